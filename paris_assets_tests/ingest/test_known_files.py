"""Registered lists: converted once, made again when lost, and refused when they are other lists than they were."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Source
from paris_assets.errors import MissingInput
from paris_assets.ingest.lists import source_lists, text_tables
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.storage.location import Location

ROWS = 7
LISTS = {
    "l.csv": "url,text\n" + "".join(f"u{row},text {row}\n" for row in range(ROWS)),
    "l.tsv": "url\ttext\n" + "".join(f"u{row}\ttext {row}\n" for row in range(ROWS)),
    "l.jsonl": "".join(f'{{"url": "u{row}", "text": "text {row}"}}\n' for row in range(ROWS)),
    "l.json": "[" + ",".join(f'{{"url": "u{row}", "text": "text {row}"}}' for row in range(ROWS)) + "]",
}


@pytest.fixture(params=LISTS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    (tmp_path / request.param).write_text(LISTS[request.param])
    return Source(path=str(tmp_path / request.param), rows_per_shard=3)


def _texts(source: Source, registry: pl.DataFrame, root: Location) -> list[str]:
    parts = [read_rows(source, entry_of(registry, shard), root)["text"] for shard in registry["shard"]]
    return pl.concat(parts).to_list()


def _lists(root: Location) -> list[str]:
    return root.glob("source_lists/*")


def test_nothing_but_the_list_is_written_and_only_once(source: Source, root: Location) -> None:
    known = register(source, None, root)
    (name,) = known["list"].unique()
    assert _lists(root) == [name]
    assert [path for path in root.glob("*") if not path.startswith(".")] == ["source_lists"]
    assert root.glob(".scratch/*") == []
    before = root.stamp(name)
    assert register(source, known, root).equals(known)
    assert root.stamp(name) == before


def test_a_look_writes_nothing_and_sees_the_same(source: Source, root: Location) -> None:
    seen = register(source, None, root, write=False)
    assert list(Path(root.url).iterdir()) == []
    assert seen.equals(register(source, None, root))


def test_a_list_that_was_deleted_is_made_again(source: Source, root: Location) -> None:
    known = register(source, None, root)
    content = root.read(known["list"][0])
    root.delete(known["list"][0])
    assert register(source, known, root, write=False).equals(known)
    assert _lists(root) == []
    assert register(source, known, root).equals(known)
    assert root.read(known["list"][0]) == content


def test_a_deleted_list_that_cannot_be_made_again_is_named(
    source: Source, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, path = register(source, None, root), Path(source.path)
    root.delete(known["list"][0])
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(SourceError, match=r"no source at .*/l\."):
        register(source, known, root)
    path.write_bytes(content.replace(b"text 3", b"TEXT 3"))
    # As for a large list that was changed in its middle and given its old time.
    monkeypatch.setattr("paris_assets.ingest.known_files.file_identity", lambda *_: known["identity"][0])
    with pytest.raises(SourceError, match=r"has other rows than when it was registered, and .*source_lists/l\..* gone"):
        register(source, known, root)


def test_a_list_that_was_touched_or_copied_is_the_same_list(source: Source, root: Location, tmp_path: Path) -> None:
    known = register(source, None, root)
    os.utime(source.path, (0, 0))
    assert register(source, known, root).equals(known)


def test_a_list_written_anew_with_as_many_bytes_and_rows_is_read_again(source: Source, root: Location) -> None:
    known, path = register(source, None, root), Path(source.path)
    path.write_bytes(path.read_bytes().replace(b"text 3", b"TEXT 3"))
    again = register(source, known, root)
    follow = ("identity", "list")
    assert again.drop(follow).equals(known.drop(follow))
    assert not set(again["list"]) & set(known["list"])
    assert _texts(source, known, root)[3] == "text 3"  # until the registry says otherwise
    assert _texts(source, again, root)[3] == "TEXT 3"
    assert register(source, again, root).equals(again)


def test_a_list_with_other_rows_in_as_many_bytes_is_refused(source: Source, root: Location) -> None:
    known, path = register(source, None, root), Path(source.path)
    changed = {"l.csv": (b"text 3\n", b"text 3 "), "l.tsv": (b"text 3\n", b"text 3 "), "l.jsonl": (b'3"}\n', b'3"} ')}
    old, new = changed.get(path.name, (b'"text 3"},{', b'"text 3"  ,'))
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(SourceError, match=r"had 7 rows and has 6 since it was registered: add new rows as new files"):
        register(source, known, root)


def test_a_killed_registration_leaves_nothing_that_is_believed(
    source: Source, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Location.put

    def killed(self: Location, local: Path, path: str) -> None:
        whole(self, local, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Location, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        register(source, None, root)
    monkeypatch.undo()
    (left,) = _lists(root)
    Path(root.uri(left)).write_bytes(b"whatever")
    assert _texts(source, register(source, None, root), root) == [f"text {row}" for row in range(ROWS)]


def test_a_full_disk_leaves_nothing(source: Source, root: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source_lists, "seal", full)
    with pytest.raises(OSError, match="No space left"):
        register(source, None, root)
    assert _lists(root) == []
    assert root.glob(".scratch/*") == []


def test_columns_named_later_need_no_list_and_are_checked(source: Source, root: Location) -> None:
    known, path = register(source, None, root), Path(source.path)
    described = source.model_copy(update={"columns": {"uid": "text"}})
    assert register(described, known, root).equals(known)
    with pytest.raises(SourceError, match=rf"{path.name} has no \['no_such'\]"):
        register(source.model_copy(update={"columns": {"text": "no_such"}}), known, root)
    path.unlink()
    rows = read_rows(described, entry_of(known, "00001"), root)
    assert rows["uid"].to_list() == ["text 3", "text 4", "text 5"]


def test_a_new_file_reads_no_registered_list(tmp_path: Path, root: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.csv").write_text(LISTS["l.csv"])
    source = Source(path=str(tmp_path / "*.csv"), rows_per_shard=3)
    known, read = register(source, None, root), []
    whole = text_tables.records
    monkeypatch.setattr(
        text_tables, "records", lambda handle, file, kind: read.append(file) or whole(handle, file, kind)
    )
    (tmp_path / "a.csv").write_text(LISTS["l.csv"].replace("text", "more"))
    grown = register(source, known, root)
    assert set(read) == {"a.csv"}
    assert grown.head(3).equals(known)
    assert grown["file"].to_list() == ["b.csv"] * 3 + ["a.csv"] * 3
    assert grown["source_row"].to_list() == [0, 3, 6, 7, 10, 13]
    assert len(_lists(root)) == 2


def test_other_code_converts_a_list_again_and_the_same_does_not(
    source: Source, root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = register(source, None, root, converts="one")
    stamp = root.stamp(known["list"][0])
    assert register(source, known, root, converts="one").equals(known)
    assert root.stamp(known["list"][0]) == stamp
    again = register(source, known, root, converts="two")
    assert again.drop("converted_by").equals(known.drop("converted_by"))
    assert again["converted_by"].unique().to_list() == ["two"]
    whole = text_tables.records
    monkeypatch.setattr(text_tables, "records", lambda *of: (record.replace(b"text", b"word") for record in whole(*of)))
    assert register(source, again, root, converts="two").equals(again)
    mended = register(source, again, root, converts="three")
    assert set(mended["list"]).isdisjoint(again["list"])
    monkeypatch.setattr(text_tables, "records", lambda *of: [*whole(*of)][1:])
    with pytest.raises(SourceError, match=r"as another version read it, and has 6 as this one does.*another --root"):
        register(source, mended, root, converts="four")


def test_a_root_of_another_version_is_named(source: Source, root: Location) -> None:
    known = register(source, None, root).drop("list", "identity")
    with pytest.raises(SourceError, match="registered by another version: give another --root, or delete this one"):
        register(source, known, root)


def test_more_shards_than_five_digits_stay_in_the_order_of_registration(tmp_path: Path, root: Location) -> None:
    (tmp_path / "b.csv").write_text("url\n" + "".join(f"u{row}\n" for row in range(99_998)))
    source = Source(path=str(tmp_path / "*.csv"), rows_per_shard=1)
    known = register(source, None, root)
    (tmp_path / "a.csv").write_text("url\n" + "".join(f"v{row}\n" for row in range(5)))
    grown = register(source, known, root)
    assert grown.head(known.height).equals(known)
    assert grown["shard"].tail(6).to_list() == ["99997", "99998", "99999", "100000", "100001", "100002"]
    assert grown["source_row"].to_list() == list(range(100_003))
    assert register(source, grown, root).equals(grown)
    read = [read_rows(source, entry_of(grown, shard), root) for shard in ("99997", "99998", "100000", "100002")]
    assert pl.concat(read).select("source_row", "url").rows() == [
        (99_997, "u99997"), (99_998, "v0"), (100_000, "v2"), (100_002, "v4"),
    ]  # fmt: skip


def test_lists_of_a_root_on_s3(source: Source, s3_url: str, tmp_path: Path) -> None:
    root = Location(f"{s3_url}/{tmp_path.name}")
    known = register(source, None, root)
    assert _texts(source, known, root) == [f"text {row}" for row in range(ROWS)]
    root.delete(known["list"][0])
    with pytest.raises(MissingInput, match="is gone: the next `paris run` makes it again"):
        _texts(source, known, root)
    assert register(source, known, root).equals(known)
    assert _texts(source, known, root) == [f"text {row}" for row in range(ROWS)]
