"""The command line takes folders, WebDataset tars and embedded bytes as well as url lists."""

import io
import json
import tarfile
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.dag.tables import Tables
from paris_assets.definitions import open_catalog
from paris_assets.images.reader import ImageTars
from paris_assets.runs.inspect import find_occurrences
from paris_assets.storage.files import LocalFiles
from paris_assets_tests.ingest.servers import replies, response, serving
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


@pytest.mark.parametrize("make", [folder, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (tars, embedded))])
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
    catalog = open_catalog(str(root))
    tables, shards = Tables(catalog), catalog.shards()
    assert shards == ["00000", "00001"]
    ledger = tables.scan("raw_images", shards).sort("source_row").collect()
    assert ledger["source_row"].to_list() == list(range(6))
    assert ledger["status"].to_list() == ["ok"] * 6
    texts = dict(ledger.select("text", "size_bytes").iter_rows())
    assert texts == {f"text of {photo.stem}": photo.stat().st_size for photo in PHOTOS}
    tars = ImageTars(LocalFiles(catalog.location))
    ledgers = {shard: tables.scan("raw_images", [shard]) for shard in shards}
    ids = {shard: rows.select("image_id").collect() for shard, rows in ledgers.items()}
    images = dict(image for shard in shards for image in tars.of(shard, ledgers[shard]).read(ids[shard]))
    assert sorted(images.values()) == sorted(photo.read_bytes() for photo in PHOTOS)


def test_a_table_without_usable_columns_says_what_it_has_and_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame({"adress": ["http://photos.example/x.jpg"], "words": ["x"]}).write_parquet(tmp_path / "rows.parquet")
    assert main(["run", "--source", str(tmp_path / "rows.parquet"), "--root", str(tmp_path / "root")]) == 2
    said = capsys.readouterr().err
    assert "adress" in said
    assert "url" in said


def test_what_is_no_row_is_counted_in_one_line_and_in_the_metadata(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = folder(tmp_path / "source")
    (place / "metadata.jsonl").unlink()
    first, second, *others = PHOTOS
    (place / f"{first.stem}.txt").write_text("a red bicycle by the wall")
    (place / f"{second.stem}.txt").write_bytes(b"caf\xe9")
    (place / "features.npy").write_bytes(b"x" * 99)
    command = ["run", "--source", str(place), "--root", str(tmp_path / "root"), "--select", "source_rows"]
    line = "no rows of the source: 1 .npy files (features.npy)\n"
    bare = f"{len(others)} images without captions or metadata beside them ({others[0].name}, "
    assert main(command) == 0
    said = capfd.readouterr().err
    assert line in said
    assert bare in said
    assert f", of {len(PHOTOS)} images: their captions are the captioner's" in said
    assert f"could not be read: 1 captions that are no UTF-8 ({second.stem}.txt)" in said
    catalog = open_catalog(str(tmp_path / "root"))
    record = catalog.record("source_rows", "00000")
    assert record is not None
    assert record.facts["left_out"] == {".npy files": {"count": 1, "names": ["features.npy"]}}
    assert record.facts["unread"] == {"captions that are no UTF-8": {"count": 1, "names": [f"{second.stem}.txt"]}}
    texts = Tables(catalog).read("source_rows", "00000")["text"].to_list()
    locators = Tables(catalog).read("source_rows", "00000")["locator"].to_list()
    for wanted in (locators[1], f"./{locators[1]}", f"/elsewhere/photos/{locators[1]}"):
        assert find_occurrences(Tables(catalog), wanted)["source_row"].to_list() == [1], wanted
    assert find_occurrences(Tables(catalog), locators[1][1:]).is_empty()
    assert texts == ["a red bicycle by the wall", *[None] * (len(PHOTOS) - 1)]
    assert main(command) == 0
    said = capfd.readouterr().err
    assert "nothing to do" in said
    assert line in said
    assert bare not in said


@pytest.mark.slow
def test_an_address_of_ones_own_is_refused_until_it_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo, root = PHOTOS[0].read_bytes(), tmp_path / "root"
    with serving(replies(response(photo))) as server:
        urls = [f"http://127.0.0.1:{server.port}/a.jpg", "http://10.1.2.3/b.jpg"]
        pl.DataFrame({"url": urls}).write_parquet(tmp_path / "rows.parquet")
        command = ["run", "--root", str(root), "--select", "source_rows,raw_images"]
        assert main([*command, "--source", str(tmp_path / "rows.parquet")]) == 1
        said = capfd.readouterr().err
        assert (
            "nothing was fetched: of 2 rows rejected: private_address 2 (10.1.2.3, 127.0.0.1: in a private network"
            in said
        )
        assert "`paris run --retry transient --set 'ingest.resolve.10.1.2.3=" in said
        assert server.requests == []
        allowed = ["--retry", "transient", "--set", f"ingest.resolve.127.0.0.1=127.0.0.1:{server.port}"]
        assert main([*command, *allowed]) == 0
    assert "refused: 10.1.2.3: in" in capfd.readouterr().err
    ledger = Tables(open_catalog(str(root))).read("raw_images", "00000")
    assert ledger["reason"].to_list() == [None, "private_address"]
    assert ledger["size_bytes"].to_list() == [len(photo), None]
