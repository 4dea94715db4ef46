"""Files are whole or absent, on a local disk and on S3."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError


def test_put_replaces_whole_files_and_leaves_nothing_behind(tmp_path: Path) -> None:
    root = Location(tmp_path / "root")
    root.put_bytes(b"old", "a/b.bin")
    root.put_bytes(b"new content", "a/b.bin")
    assert root.read("a/b.bin") == b"new content"
    assert root.size("a/b.bin") == 11
    assert list((tmp_path / "root" / ".scratch").iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    root = Location(tmp_path)
    root.put_bytes(b"old", "table.bin")

    def write() -> None:
        with root.scratch() as folder:
            (folder / "half").write_bytes(b"ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        write()
    assert root.read("table.bin") == b"old"
    assert list((tmp_path / ".scratch").iterdir()) == []


def test_absent_files(tmp_path: Path) -> None:
    root = Location(tmp_path)
    assert root.size("nothing") is None
    root.delete("nothing")
    with pytest.raises(FileNotFoundError):
        root.read("nothing")


def test_a_stamp_changes_with_the_file_even_of_the_same_size(tmp_path: Path) -> None:
    root = Location(tmp_path)
    assert root.stamp("a") is None
    root.put_bytes(b"one", "a")
    first = root.stamp("a")
    assert root.stamp("a") == first
    root.put_bytes(b"two", "a")
    assert root.stamp("a") not in (None, first)


def test_a_probe_leaves_nothing(tmp_path: Path) -> None:
    root = Location(tmp_path)
    root.probe()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("url", ["memory://bucket/root", "memory://bucket/a[1]"])
def test_any_other_url(url: str, tmp_path: Path) -> None:
    root = Location(url)
    root.probe()
    root.put_bytes(b"0123456789", "x/y.bin")
    assert root.size("x/y.bin") == 10
    assert root.read("x/y.bin") == b"0123456789"
    assert root.fetch("x/y.bin", tmp_path).read_bytes() == b"0123456789"
    assert root.glob("x/*.bin") == ["x/y.bin"]
    root.delete("x/y.bin")
    assert root.stamp("x/y.bin") is None
    with pytest.raises(FileNotFoundError):
        root.read("x/y.bin")


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../../b"])
def test_paths_cannot_leave_the_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="below the root"):
        Location(tmp_path).put_bytes(b"x", path)


KEEP_SCRATCH = """
import os, sys
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError
with Location(sys.argv[1]).scratch() as folder:
    print(folder, flush=True)
    sys.stdin.read()
    os._exit(1)
"""


def keep_scratch(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process with files in the making, which ends without a word when its input does, and its folder."""
    command = [sys.executable, "-c", KEEP_SCRATCH, str(root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_scratch_of_a_dead_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    """Whatever its number says here: a process of another container that shares the disk has any."""
    root, (process, folder) = Location(tmp_path), keep_scratch(tmp_path)
    elsewhere = folder.rename(folder.with_name(f"files-999999999-{folder.name.rpartition('-')[2]}"))
    root.remove_abandoned_scratch()
    assert elsewhere.is_dir()
    process.communicate()
    assert elsewhere.is_dir(), "it ended as if killed"
    reused = elsewhere.rename(elsewhere.with_name(f"files-{os.getpid()}-{'0' * 32}"))
    root.remove_abandoned_scratch()
    assert not reused.exists()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for files of remote roots, in a temporary directory of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"paris_assets-{os.getuid()}"


def test_files_of_a_remote_root_are_this_users_alone(temporary: Path) -> None:
    old = os.umask(0)
    try:
        with Location("memory://bucket/root").scratch() as folder:
            assert folder.is_relative_to(temporary)
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
        temporary.chmod(0o777)
        Location("memory://bucket/root").probe()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
    finally:
        os.umask(old)


@pytest.mark.parametrize("kind", ["link", "file", "stranger"])
def test_what_another_user_put_in_the_way_is_refused(
    temporary: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "link":
        (temporary.parent / "theirs").mkdir()
        temporary.symlink_to(temporary.parent / "theirs")
    elif kind == "file":
        temporary.touch()
    else:
        temporary.mkdir(0o777)
        stranger = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: stranger)
        temporary.rename(temporary.with_name(f"paris_assets-{os.getuid()}"))
    root = Location("memory://bucket/root")
    for use in (root.probe, root.remove_abandoned_scratch, lambda: root.alone("a").__enter__()):
        with pytest.raises(StorageError, match=r"paris_assets-\d+ is .*remove it, or set TMPDIR"):
            use()


def test_a_root_that_is_the_whole_disk() -> None:
    root = Location("/")
    assert (root.url, root.uri("etc/hosts"), root.remote) == ("/", "/etc/hosts", False)
    assert root.size("etc/passwd") == Path("/etc/passwd").stat().st_size


def test_a_root_may_hold_brackets(tmp_path: Path) -> None:
    root = Location(tmp_path / "a[1]")
    root.put_bytes(b"x", "tars/0.tar")
    assert root.glob("tars/*.tar") == ["tars/0.tar"]


def test_s3_root_reads_what_it_put(s3_url: str, tmp_path: Path) -> None:
    root = Location(f"{s3_url}/prefix")
    root.put_bytes(b"first", "x/y.bin")
    root.put_bytes(b"second!", "x/y.bin")
    assert root.size("x/y.bin") == 7
    assert root.read("x/y.bin") == b"second!"
    assert root.glob("x/*.bin") == ["x/y.bin"]
    assert root.fetch("x/y.bin", tmp_path).read_bytes() == b"second!"
    root.delete("x/y.bin")
    assert root.size("x/y.bin") is None
