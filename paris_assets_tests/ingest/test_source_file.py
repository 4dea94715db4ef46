"""A source file is known by its content, wherever it lies."""

import os
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from paris_assets.ingest.files.source_file import MIB, file_identity, members_identity

LOCAL = LocalFileSystem()


def identity(path: Path) -> str:
    return file_identity(LOCAL, str(path), LOCAL.info(str(path)))


def test_identity_follows_content_not_place_or_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_bytes(b"x" * 10)
    os.utime(tmp_path / "a" / "rows.csv", (0, 0))
    (tmp_path / "b" / "other.csv").write_bytes(b"x" * 9 + b"y")
    assert identity(tmp_path / "a" / "rows.csv") == identity(tmp_path / "b" / "rows.csv")
    assert identity(tmp_path / "a" / "rows.csv") != identity(tmp_path / "b" / "other.csv")


def test_a_large_file_changed_in_the_middle_is_another(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"s" * MIB + b"m" * MIB + b"e" * MIB)
    before = identity(path)
    assert identity(path) == before
    path.write_bytes(b"s" * MIB + b"n" * MIB + b"e" * MIB)
    os.utime(path, (0, 0))
    assert identity(path) != before


def test_images_are_known_by_those_of_the_shard_and_their_metadata(tmp_path: Path) -> None:
    def found(members: list[str]) -> str:
        return members_identity({name: LOCAL.info(str(tmp_path / name)) for name in members}, members)

    (tmp_path / "a.jpg").write_bytes(b"one")
    (tmp_path / "b.jpg").write_bytes(b"another shard's")
    before = found(["a.jpg"])
    (tmp_path / "b.jpg").write_bytes(b"changed")
    assert found(["a.jpg"]) == before
    assert found(["a.jpg", "b.jpg"]) != before
    os.utime(tmp_path / "a.jpg", (0, 0))
    changed = found(["a.jpg"])
    assert changed != before
    (tmp_path / "metadata.jsonl").write_text("{}")
    described = found(["a.jpg", "metadata.jsonl"])
    assert described != changed
    os.utime(tmp_path / "metadata.jsonl", (0, 0))
    assert found(["a.jpg", "metadata.jsonl"]) != described


def test_a_large_file_that_stays_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "rows.csv", []
    path.write_bytes(b"s" * 3 * MIB)
    whole = LocalFileSystem.open
    monkeypatch.setattr(LocalFileSystem, "open", lambda self, *a, **k: opened.append(a) or whole(self, *a, **k))
    assert len({identity(path) for _ in range(5)}) == 1
    assert len(opened) == 1
    path.write_bytes(b"s" * 3 * MIB + b"more")
    identity(path)
    assert len(opened) == 2


def test_a_remote_file_is_known_by_what_the_listing_says_or_else_by_its_content() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/identity.csv", b"rows")
    tagged = {"size": 4, "ETag": '"1"'}
    assert file_identity(memory, "/no such file", tagged) == file_identity(memory, "/identity.csv", dict(tagged))
    assert file_identity(memory, "/no such file", tagged | {"ETag": '"2"'}) != file_identity(memory, "", tagged)
    before = file_identity(memory, "/identity.csv", {"size": 4})
    memory.pipe_file("/identity.csv", b"cows")
    assert file_identity(memory, "/identity.csv", {"size": 4}) != before
