"""A converted list holds every row of the list, in the same bytes each time, and knows when it is damaged."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from paris_assets.errors import MissingInput
from paris_assets.ingest.lists import source_lists, text_tables
from paris_assets.ingest.lists.columns import SourceError, with_problems
from paris_assets.ingest.lists.records import from_records
from paris_assets.storage.checksum import DamagedFile, intact
from paris_assets.storage.location import Location

LINES = [json.dumps({"url": f"http://a.example/{row}", "text": f"text {row}", "tags": [row]}) for row in range(25)]
CONTENT = "\n".join(LINES).encode()


def _convert(content: bytes, local: Path, kind: str = "jsonl", file: str = "l.jsonl") -> tuple[int, str]:
    return source_lists.convert(io.BytesIO(content), file, kind, local)


def _read(local: Path, first: int, rows: int) -> pl.DataFrame:
    entry = {"list": local.name, "file": "l.jsonl", "first_row": first, "rows": rows, "source_row": 100 + first}
    return source_lists.read(Location(local.parent), entry, {})


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_lists, "GROUP_ROWS", 4)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400), st.sampled_from(["csv", "tsv", "jsonl"]), st.integers(1, 6), st.integers(1, 40))
def test_whatever_the_bytes_are_rows_come_back_as_they_would_from_the_list(
    content: bytes, kind: str, group_rows: int, group_bytes: int
) -> None:
    content = b"url,text\n" + content if kind == "csv" else b"url\ttext\n" + content if kind == "tsv" else content
    try:
        layout = text_tables.layout_of(io.BytesIO(content), "l", kind, "utf-8")
        texts = [text_tables.text_of(record) for record in text_tables.records(io.BytesIO(content), "l", layout)]
    except SourceError:  # a header that does not fit its rows, a JSON array that is broken
        reject()
    parsed = [text_tables.parse(text, layout) for text in texts]
    expected = with_problems(from_records([row or {} for row in parsed], {}, 100), [row is None for row in parsed])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_lists, "GROUP_ROWS", group_rows)
        patch.setattr(source_lists, "GROUP_BYTES", group_bytes)
        local = Path(folder) / "list.parquet"
        rows, _ = source_lists.convert(io.BytesIO(content), "l", kind, local, "utf-8")
        assert rows == len(texts)
        if rows:
            assert _read(local, 0, rows).equals(expected)


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("rows", [1, 3, 4, 5, 25])
def test_each_part_opens_its_own_row_groups_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    _convert(CONTENT, tmp_path / "l.parquet")
    assert pq.ParquetFile(tmp_path / "l.parquet").num_row_groups == 7
    opened, whole = [], pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda self, *a, **k: opened.extend(k["row_groups"]) or whole(self, *a, **k)
    )
    for first in range(0, 25, rows):
        opened.clear()
        last = min(first + rows, 25)
        read = _read(tmp_path / "l.parquet", first, last - first)
        assert read["url"].to_list() == [f"http://a.example/{row}" for row in range(first, last)]
        assert read["source_row"].to_list() == list(range(100 + first, 100 + last))
        assert opened == list(range(first // 4, (last - 1) // 4 + 1))


def test_the_same_list_gives_the_same_bytes_and_name_and_any_other_another(tmp_path: Path) -> None:
    names = set()
    for number in range(2):
        names.add(_convert(CONTENT, tmp_path / f"{number}.parquet")[1])
    assert (tmp_path / "0.parquet").read_bytes() == (tmp_path / "1.parquet").read_bytes()
    assert len(names) == 1
    others = [CONTENT.replace(b"text 3", b"text 4"), b'{"url": "u"}\n' + CONTENT, CONTENT[: CONTENT.rindex(b"\n")]]
    found = {_convert(content, tmp_path / "o.parquet")[1] for content in others}
    assert len(found) == 3
    assert not names & found
    assert source_lists.convert(io.BytesIO(CONTENT), "l.jsonl", "jsonl", None) == (25, *names)


def test_the_name_depends_on_content_only_and_is_one_that_any_store_takes(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _, name = _convert(CONTENT, tmp_path / "1.parquet")
        patch.setattr(source_lists, "GROUP_ROWS", 3)
        assert _convert(CONTENT, tmp_path / "2.parquet")[1] == name
    _, odd = _convert(CONTENT, tmp_path / "3.parquet", file="../a b/%é#?*[1]" + "x" * 300 + ".jsonl.gz")
    folder, _, name = odd.partition("/")
    assert folder == "source_lists"
    assert len(name) < 120
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")
    assert "x.jsonl.gz-" in name


def test_a_reader_of_parquet_sees_every_row_of_the_list_with_all_that_it_has(tmp_path: Path) -> None:
    lines = [*LINES, "no JSON", '{"url": "u", "nested": {"a": [1, {"b": null}]}, "n": 1e3}']
    _convert("\n\n".join(lines).encode(), tmp_path / "l.parquet")
    assert [text.strip() for text in pl.read_parquet(tmp_path / "l.parquet")["record"]] == lines


def test_compressed_bytes_do_not_matter(tmp_path: Path) -> None:
    with gzip.open(io.BytesIO(gzip.compress(CONTENT, 9))) as packed:
        source_lists.convert(packed, "l.jsonl", "jsonl", tmp_path / "1.parquet")  # type: ignore[arg-type]
    _convert(CONTENT, tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


@pytest.mark.usefixtures("small_groups")
def test_a_damaged_list_is_named_wherever_the_damage_is(tmp_path: Path) -> None:
    local = tmp_path / "l.parquet"
    _convert(CONTENT, local)
    content, whole = local.read_bytes(), _read(local, 0, 25)
    refused = []
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 255
        local.write_bytes(changed)
        with local.open("rb") as file:
            assert not intact(file)
        try:
            assert _read(local, 0, 25).equals(whole), position
        except DamagedFile as error:
            refused.append(str(error))
    assert len(refused) > len(content) // 14
    assert all("l.parquet is damaged" in said and "Delete it, and run again" in said for said in refused)
    local.write_bytes(content[:-100])
    with pytest.raises(DamagedFile, match=r"l\.parquet is damaged"):
        _read(local, 0, 25)


def test_a_list_that_is_gone_says_how_it_comes_back(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"l\.parquet is gone: the next `paris run` makes it again from l\.jsonl"):
        _read(tmp_path / "l.parquet", 0, 1)
