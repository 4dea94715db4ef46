"""A source file is known by its content, wherever it lies."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from paris_assets.dag.source_file import MIB, file_identity, source_identity


def test_identity_follows_content_not_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_bytes(b"x" * 10)
    (tmp_path / "b" / "other.csv").write_bytes(b"x" * 9 + b"y")
    same = {file_identity(str(tmp_path / folder / "rows.csv"), "rows.csv") for folder in ("a", "b")}
    assert len(same) == 1
    assert file_identity(str(tmp_path / "b" / "other.csv"), "other.csv") not in same


@pytest.mark.parametrize("pattern", ["{}/a", "{}/a/*.csv", "{}/?/rows.csv", "{}/a/rows.csv"])
def test_folders_and_globs(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "rows.csv").write_bytes(b"content")
    file = "a/rows.csv" if "?" in pattern else "rows.csv"
    plain = file_identity(str(tmp_path / "a" / "rows.csv"), "rows.csv")
    assert file_identity(pattern.format(tmp_path), file) == plain


def test_a_large_file_changed_in_the_middle_is_another(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"s" * MIB + b"m" * MIB + b"e" * MIB)
    before = file_identity(str(path), "rows.csv")
    assert file_identity(str(path), "rows.csv") == before
    path.write_bytes(b"s" * MIB + b"n" * MIB + b"e" * MIB)
    assert file_identity(str(path), "rows.csv") != before


def test_brackets_in_a_folders_name(tmp_path: Path) -> None:
    (tmp_path / "a[1]").mkdir()
    (tmp_path / "a[1]" / "rows.csv").write_bytes(b"content")
    assert file_identity(str(tmp_path / "a[1]" / "rows.csv"), "rows.csv")


def test_a_folder_of_images_follows_its_members_and_their_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    before = source_identity(str(tmp_path), "", ["a.jpg"])
    (tmp_path / "b.jpg").write_bytes(b"another shard's")
    assert source_identity(str(tmp_path), "", ["a.jpg"]) == before
    (tmp_path / "a.jpg").write_bytes(b"two")
    changed = source_identity(str(tmp_path), "", ["a.jpg"])
    assert changed != before
    (tmp_path / "metadata.jsonl").write_text("{}")
    assert source_identity(str(tmp_path), "", ["a.jpg"]) != changed


def test_the_shards_of_a_large_file_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "rows.csv", []
    path.write_bytes(b"s" * 3 * MIB)
    whole = LocalFileSystem.open
    monkeypatch.setattr(LocalFileSystem, "open", lambda self, *a, **k: opened.append(a) or whole(self, *a, **k))
    assert len({source_identity(str(path), "rows.csv") for _ in range(5)}) == 1
    assert len(opened) == 1
    path.write_bytes(b"s" * 3 * MIB + b"more")
    source_identity(str(path), "rows.csv")
    assert len(opened) == 2


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rows\.csv"):
        source_identity(str(tmp_path), "rows.csv")
