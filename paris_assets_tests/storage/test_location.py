"""Files are whole or absent, on a local disk and on S3."""

import os
import platform
from pathlib import Path

import pytest

from paris_assets.storage.location import Location


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


@pytest.mark.parametrize("url", ["memory://bucket/root"])
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


def test_scratch_of_a_dead_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    root = Location(tmp_path)
    host = platform.node().replace("-", "_")
    names = (f"{host}-999999999-aa", f"{host}-{os.getpid()}-bb", "far-999999999-cc")
    dead, alive, elsewhere = (tmp_path / ".scratch" / name for name in names)
    for folder in (dead, alive, elsewhere):
        folder.mkdir(parents=True)
    root.remove_abandoned_scratch()
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()


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
