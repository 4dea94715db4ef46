"""Locks end with their process, and say who holds them."""

import subprocess
import sys
import threading
from pathlib import Path

from paris_assets.storage.lock import alive, boot_id, exclusive, free, held

HOLD = """
import sys
from pathlib import Path
from paris_assets.storage.lock import boot_id, exclusive
with exclusive(Path(sys.argv[1]), "the other"):
    print(boot_id(), flush=True)
    sys.stdin.read()
"""


def test_who_waits_is_told_for_whom(tmp_path: Path) -> None:
    path, told = tmp_path / "a" / "lock", list[str]()
    command = [sys.executable, "-c", HOLD, str(path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin
    assert other.stdout
    assert other.stdout.readline().strip() == boot_id(), "processes of one machine agree on it"

    def waiting(holder: str) -> None:
        told.append(holder)
        assert alive(other.pid)
        other.kill()
        other.wait()

    with exclusive(path, "this one", waiting):
        assert path.read_text() == "this one"
    assert told == ["the other"]
    assert not alive(other.pid)


def test_who_waited_for_a_file_that_was_removed_holds_the_one_that_others_see(tmp_path: Path) -> None:
    path, waits, holds, ends = tmp_path / "lock", threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with exclusive(path, "second", lambda holder: waits.set()):
            holds.set()
            ends.wait(20)

    thread = threading.Thread(target=second)
    with exclusive(path, "first"):
        thread.start()
        assert waits.wait(20)
        path.unlink()
    assert holds.wait(20)
    assert path.read_text() == "second"
    assert not free(path)
    ends.set()
    thread.join()


def test_a_held_file_is_not_free(tmp_path: Path) -> None:
    with held(tmp_path / "file"):
        assert not free(tmp_path / "file")
    assert free(tmp_path / "file")
    assert not free(tmp_path / "absent"), "nothing is known of it"
