from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from paris_assets.ingest import folder
from paris_assets.ingest.columns import SourceError
from paris_assets.ingest.places import list_files, locate


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"text": "no file"}',
        "7",
        '{"file": ["a.jpg"]}',
        '{"file": [], "file_name": "a.jpg"}',
        '{"file": 7}',
        '{"file_name": null}',
        '{"file": "a.jpg", "text": ' + "[" * 100_000,
    ],
)
def test_a_broken_line_of_the_metadata_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "metadata.jsonl").write_text(f'{{"file": "a.jpg"}}\n\n{line}\n')
    entry = {"members": ["a.jpg"], "source_row": 0}
    with pytest.raises(SourceError, match=r"metadata\.jsonl, line 3"):
        folder.check(fsspec.filesystem("file"), str(tmp_path), {})
    with pytest.raises(SourceError, match=r"metadata\.jsonl, line 3"):
        folder.read(fsspec.filesystem("file"), str(tmp_path), entry, {})


def test_columns_of_the_metadata_follow_the_aliases_and_the_overrides(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(
        '{"file": "a.jpg", "URL": "u", "title": "t", "width": 4, "punsafe": 0.5}\n'
    )
    entry = {"members": ["b.jpg", "a.jpg"], "source_row": 3}
    rows = folder.read(fsspec.filesystem("file"), str(tmp_path), entry, {"text": "title"})
    assert rows.select("source_row", "url", "text", "source_width", "punsafe", "locator").rows() == [
        (3, None, None, None, None, "b.jpg"),
        (4, "u", "t", 4, 0.5, "a.jpg"),
    ]


def test_the_metadata_is_checked_as_a_whole(tmp_path: Path) -> None:
    files = fsspec.filesystem("file")
    folder.check(files, str(tmp_path), {})
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.jpg"}\n{"file": "b.jpg", "title": "t"}\n')
    folder.check(files, str(tmp_path), {"text": "title"})
    with pytest.raises(SourceError, match=r"metadata\.jsonl has no \['titel'\]; .*\['title'\]"):
        folder.check(files, str(tmp_path), {"text": "titel"})
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.jpg"}\nnot JSON\n')
    with pytest.raises(SourceError, match=r"metadata\.jsonl, line 2"):
        folder.check(files, str(tmp_path), {})


def test_images_that_the_metadata_leaves_out_stop_no_shard(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.jpg", "title": "t"}\n')
    rows = folder.read(
        fsspec.filesystem("file"), str(tmp_path), {"members": ["b.jpg"], "source_row": 0}, {"text": "title"}
    )
    assert rows.select("text", "locator").rows() == [(None, "b.jpg")]


def test_links_out_of_the_folder_are_refused_for_the_metadata_too(tmp_path: Path) -> None:
    (tmp_path / "private.jsonl").write_text('{"file": "a.jpg", "text": "secret"}\n')
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    (tmp_path / "images" / "metadata.jsonl").symlink_to(tmp_path / "private.jsonl")
    with pytest.raises(SourceError, match=r"metadata\.jsonl is a link out of the folder, to .*private\.jsonl"):
        list_files(locate(str(tmp_path / "images")))
