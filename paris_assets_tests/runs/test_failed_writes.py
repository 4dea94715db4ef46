"""Errors in the middle of every kind of file, and a disk that is really full.

Nothing torn is read, and a later run ends with the bytes of an undisturbed one.
"""

import errno
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from paris_assets.storage.location import sha256_file
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.runs import kill_points

pytestmark = [pytest.mark.long, pytest.mark.slow]


class Fault:
    """Raises an error at one point; notes every point that is passed."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.at, self.error = "", errno.ENOSPC

    def __call__(self, when: str, name: str) -> None:
        point = f"{when} {name}"
        self.passed.append(point)
        if point == self.at:
            raise OSError(self.error, f"injected at {point}")


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    found = Fault()
    monkeypatch.setattr(kill_points, "reached", found)
    for owner, method in kill_points.WATCHED:
        monkeypatch.setattr(owner, method, getattr(owner, method))  # put back when the test ends
    kill_points.install()
    return found


def kind(point: str) -> str:
    """Points of one kind differ in shard, id, number or cluster only."""
    return re.sub(r"[0-9a-f]{32}|\d+", "*", point)


def assert_whole(root: Path) -> None:
    """Every file that a record names is there with its hash."""
    for record in direct.records(root).values():
        for file in record.files:
            assert sha256_file(root / file.path) == file.sha256, f"{record.asset}/{record.shard}: {file.path} is torn"


def test_an_error_in_the_middle_of_each_kind_of_file(fault: Fault, tmp_path: Path) -> None:
    source = small_world.embedded(tmp_path / "source" / "rows.parquet", 24)
    profile = small_world.profile(source, source__rows_per_shard=24, clusters__k=2)
    direct.bring_up_to_date(profile, tmp_path / "undisturbed")
    first_of_kind: dict[str, str] = {}
    for point in fault.passed:
        first_of_kind.setdefault(kind(point), point)
    # After its record is there a partition is done, and the run goes on whatever is raised.
    points = [point for point in first_of_kind.values() if not re.fullmatch("after (member .*|put .*parquet)", point)]
    root, tested = tmp_path / "root", 0
    fault.passed.clear()
    for number, point in enumerate(points):
        if point in fault.passed:  # made by a run that failed elsewhere
            continue
        fault.at, fault.error = point, (errno.ENOSPC, errno.EACCES)[number % 2]
        with pytest.raises((OSError, RuntimeError), match="injected"):
            direct.bring_up_to_date(profile, root)
        assert_whole(root)
        tested += 1
    assert tested > 80
    fault.at = ""
    direct.bring_up_to_date(profile, root)
    assert small_world.contents(root) == small_world.contents(tmp_path / "undisturbed")
    assert not list((root / ".scratch").glob("*-*-*")), "files in the making stay behind"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which starts full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True) if shutil.which("mount") else None
    if mounted is None or mounted.returncode:
        said = mounted.stderr.decode().strip() if mounted else "no mount program"
        pytest.skip(f"a small disk cannot be mounted here: {said}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.extended
def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    profile = small_world.profile(small_world.embedded(tmp_path / "source" / "rows.parquet", 40))
    assert kill_points.run(profile, str(tmp_path / "undisturbed"), tmp_path) == 0
    log, root = tmp_path / "log", small_disk / "root"
    for size in ("128k", "900k", "1800k"):
        subprocess.run(["mount", "-o", f"remount,size={size}", str(small_disk)], check=True)
        log.unlink()
        assert kill_points.run(profile, str(root), tmp_path) not in (0, -9)
        assert "full" in log.read_text() or "No space left" in log.read_text(), log.read_text()
        assert "Traceback" not in log.read_text()
        if (root / "shards.parquet").exists():
            assert_whole(root)
    subprocess.run(["mount", "-o", "remount,size=1g", str(small_disk)], check=True)
    assert kill_points.run(profile, str(root), tmp_path) == 0, log.read_text()
    assert small_world.contents(root) == small_world.contents(tmp_path / "undisturbed")
