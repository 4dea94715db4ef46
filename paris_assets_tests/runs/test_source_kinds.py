"""The command line takes folders, WebDataset tars and embedded bytes as well as url lists."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.dag.store import open_store
from paris_assets.storage.location import Location
from paris_assets_tests.runs.conftest import SAMPLE

PHOTOS = sorted((SAMPLE / "images").iterdir())[:6]


def folder(place: Path) -> Path:
    place.mkdir()
    for photo in PHOTOS:
        (place / photo.name).write_bytes(photo.read_bytes())
    lines = [{"file": photo.name, "text": f"text of {photo.stem}"} for photo in PHOTOS]
    (place / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return place


def tars(place: Path) -> Path:
    place.mkdir()
    with tarfile.open(place / "0.tar", "w") as tar:
        for photo in PHOTOS:
            key = photo.stem.replace(".", "-")
            for name, data in ((f"{key}.jpg", photo.read_bytes()), (f"{key}.txt", f"text of {photo.stem}".encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return place


def embedded(place: Path) -> Path:
    place.mkdir()
    rows = {"image": [photo.read_bytes() for photo in PHOTOS], "text": [f"text of {photo.stem}" for photo in PHOTOS]}
    pl.DataFrame(rows).write_parquet(place / "rows.parquet")
    return place / "rows.parquet"


@pytest.mark.parametrize("make", [folder, tars, embedded])
def test_a_source_that_holds_its_images(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLE.parents[1])
    source, root = make(tmp_path / "source"), tmp_path / "root"
    select = "source_rows,raw_images,image_signals"
    arguments = [
        "run",
        "--source",
        str(source),
        "--root",
        str(root),
        "--select",
        select,
        "--set",
        "source.rows_per_shard=4",
    ]
    assert main(arguments) == 0
    store = open_store(str(root))
    assert store.shards() == ["00000", "00001"]
    ledger = store.scan("raw_images", store.shards()).sort("source_row").collect()
    assert ledger["source_row"].to_list() == list(range(6))
    assert ledger["status"].to_list() == ["ok"] * 6
    texts = dict(ledger.select("text", "size_bytes").iter_rows())
    assert texts == {f"text of {photo.stem}": photo.stat().st_size for photo in PHOTOS}
    images = dict(image for shard in store.shards() for image in store.images(shard, ledger_ids(store, shard)))
    assert sorted(images.values()) == sorted(photo.read_bytes() for photo in PHOTOS)


def ledger_ids(store, shard: str) -> pl.Series:  # type: ignore[no-untyped-def]
    return store.read("raw_images", shard)["image_id"]


def test_a_table_without_usable_columns_says_what_it_has_and_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame({"adress": ["http://photos.example/x.jpg"], "words": ["x"]}).write_parquet(tmp_path / "rows.parquet")
    assert main(["run", "--source", str(tmp_path / "rows.parquet"), "--root", str(tmp_path / "root")]) == 2
    said = capsys.readouterr().err
    assert "adress" in said
    assert "url" in said


def _run(*arguments: str) -> int:
    return main(["run", "--select", "source_rows", "--set", "source.rows_per_shard=2", *arguments])


def _said(capfd: pytest.CaptureFixture[str]) -> str:
    """What was printed since, whatever the width of the screen."""
    return " ".join("".join(capfd.readouterr()).split())


def test_a_text_list_is_kept_as_parquet_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLE.parents[1])
    root, source = Location(tmp_path / "root"), tmp_path / "source"
    source.mkdir()
    lines = [json.dumps({"url": f"http://photos.example/{row}.jpg", "text": f"text {row}"}) for row in range(3)]
    (source / "b.jsonl.gz").write_bytes(gzip.compress("\n".join([*lines[:2], "no JSON", lines[2]]).encode()))
    where = ("--source", f"{source}/*.gz", "--root", str(tmp_path / "root"))
    assert _run("--dry-run", *where) == 0
    assert "would register 2 shards: 00000, 00001" in _said(capfd)
    assert not (tmp_path / "root" / "source_lists").exists()
    assert _run(*where) == 0
    rows = open_store(root.url).scan("source_rows", ["00000", "00001"]).collect()
    assert rows["text"].to_list() == ["text 0", "text 1", None, "text 2"]
    (name,) = root.glob("source_lists/*")
    content = root.read(name)
    root.delete(name)
    root.delete("source_rows/00001.parquet")
    assert _run(*where) == 0
    assert root.read(name) == content
    assert open_store(root.url).read("source_rows", "00001")["text"].to_list() == [None, "text 2"]
    (source / "a.jsonl.gz").write_bytes(gzip.compress(lines[0].encode()))
    assert _run("--dry-run", *where) == 0
    assert "would register 1 shards: 00002" in _said(capfd)
    assert root.glob("source_lists/*") == [name]
    assert _run(*where) == 0
    assert open_store(root.url).read("source_rows", "00002")["text"].to_list() == ["text 0"]


def test_a_list_written_anew_is_read_again_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLE.parents[1])
    path, root = tmp_path / "l.csv", tmp_path / "root"
    where = ("--source", str(path), "--root", str(root))
    path.write_text("url,text\nu,one\nv,two\nw,six\n")
    assert _run(*where) == 0
    path.write_text("url,text\nu,one\nv,two\nw,ten\n")
    _said(capfd)
    assert _run("--dry-run", *where) == 0
    assert "files of the source were written anew: their shards would be read again" in _said(capfd)
    assert _run(*where) == 0
    assert open_store(str(root)).read("source_rows", "00001")["text"].to_list() == ["ten"]
    path.write_text("url,text\nu,one\nv,two\nw,ten\nx,more\n")
    assert _run(*where) == 2
    assert "l.csv had 27 bytes and has 34 since it was registered: add new rows as new files" in _said(capfd)


def test_one_root_takes_no_list_of_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "l.csv").write_text(f"url,text\nu,{folder}\n")
    root = ("--root", str(tmp_path / "root"), "--set", f"ingest.serve={SAMPLE}")
    monkeypatch.chdir(tmp_path / "one")
    assert _run("--source", "l.csv", *root) == 0
    monkeypatch.chdir(tmp_path / "two")
    assert _run("--source", "l.csv", *root) == 2
    assert f"holds results of {tmp_path}/one/l.csv, not of {tmp_path}/two/l.csv" in _said(capfd)
    assert _run(*root) == 0
    assert "nothing to do" in _said(capfd)
