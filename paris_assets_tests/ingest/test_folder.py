from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from paris_assets.ingest import folder
from paris_assets.ingest.columns import SourceError


@pytest.mark.parametrize("line", ["{", "[]", '{"text": "no file"}', "7"])
def test_a_broken_line_of_the_metadata_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "metadata.jsonl").write_text(f'{{"file": "a.jpg"}}\n\n{line}\n')
    entry = {"members": ["a.jpg"], "source_row": 0}
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
