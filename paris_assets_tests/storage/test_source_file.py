"""A source file is known by its content, wherever it lies."""

from pathlib import Path

import pytest

from paris_assets.storage.source_file import MIB, file_identity


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


def test_large_files_are_known_by_size_and_ends(tmp_path: Path) -> None:
    for name, middle in (("a", b"m"), ("b", b"n"), ("c", b"mm")):
        (tmp_path / name).write_bytes(b"s" * MIB + middle + b"e" * MIB)
    a, b, c = (file_identity(str(tmp_path / name), name) for name in "abc")
    assert a == b
    assert a != c


def test_a_folder_of_images_has_no_file() -> None:
    assert file_identity("anywhere", "") == ""
