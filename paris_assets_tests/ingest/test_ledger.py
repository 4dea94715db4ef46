from __future__ import annotations

import hashlib
import io
import random
import tarfile
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Ingest
from paris_assets.images.reader import ImageTars
from paris_assets.images.tars import read_images
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.ledger import fetch_shard, fetched_images
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture


def _rows(count: int) -> pl.DataFrame:
    rows = {"source_row": range(100, 100 + count), "url": [f"http://a.example/{i}" for i in range(count)]}
    return pl.DataFrame(rows).with_columns(
        uid=pl.format("uid {}", "source_row"), text=pl.format("text {}", "source_row")
    )


def _ok(row: int, body: bytes, attempts: int = 1) -> Fetched:
    return Fetched(100 + row, "ok", None, 200, attempts, body)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif.tobytes())
    return buffer.getvalue()


BODIES = [
    _ok(0, picture(0)),
    _ok(1, picture(1, kind="PNG")),
    _ok(2, picture(0), attempts=3),  # the same bytes as row 0
    _ok(3, b"<!doctype html>"),
    Fetched(104, "failed", "http_404", 404, 1, None),
    _ok(5, picture(5)[:700]),  # the header reads, the pixels do not
    _ok(6, _turned()),
    _ok(7, picture(7, 200, 100, "PNG")),  # more pixels than accepted
    _ok(8, picture(8, 20, 20, "BMP") + bytes(4000)),  # more bytes than accepted
    _ok(9, picture(9, kind="WEBP")),
]
SETTINGS = Ingest(max_pixels=10_000, max_bytes=5000)


def test_every_row_is_in_the_ledger_with_its_outcome(tmp_path: Path) -> None:
    ledger = fetch_shard(_rows(10), iter(BODIES), SETTINGS.model_copy(update={"max_bytes": 70_000}), tmp_path / "t.tar")
    assert list(ledger.schema.items()) == list(RAW_IMAGES.polars().items())
    assert ledger["source_row"].to_list() == list(range(100, 110))
    assert ledger["reason"].to_list() == [None] * 3 + [
        "not_an_image",
        "http_404",
        None,
        None,
        "too_many_pixels",
        None,
        None,
    ]
    assert ledger["format"].to_list() == ["jpeg", "png", "jpeg", None, None, "jpeg", "jpeg", "png", "bmp", "webp"]
    assert ledger.row(6, named=True)["width"] == 20
    assert ledger.row(6, named=True)["height"] == 40
    assert ledger["attempts"].to_list() == [1, 1, 3, 1, 1, 1, 1, 1, 1, 1]
    assert ledger["http_status"].to_list() == [200] * 4 + [404] + [200] * 5
    failed = ledger.filter(pl.col("status") == "failed")
    assert failed.select("image_id", "offset", "sha256").null_count().row(0) == (3, 3, 3)
    kept = ledger.filter(pl.col("status") == "ok")
    for row in kept.iter_rows(named=True):
        body = BODIES[row["source_row"] - 100].body or b""
        assert row["sha256"] == hashlib.sha256(body).hexdigest()
        assert row["image_id"] == row["sha256"][:32]
        assert row["size_bytes"] == len(body)
        assert (tmp_path / "t.tar").read_bytes()[row["offset"] :].startswith(body)
        assert (row["url"], row["text"]) == (f"http://a.example/{row['source_row'] - 100}", f"text {row['source_row']}")


def test_the_body_cap_holds_for_sources_that_are_not_fetched(tmp_path: Path) -> None:
    ledger = fetch_shard(_rows(10), BODIES, SETTINGS, tmp_path / "t.tar")
    assert ledger.filter(pl.col("reason") == "too_large")["source_row"].to_list() == [107, 108]


def test_the_tar_holds_each_image_once_sorted_with_fixed_headers(tmp_path: Path) -> None:
    ledger = fetch_shard(_rows(10), BODIES, SETTINGS, tmp_path / "t.tar")
    kept = ledger.filter(pl.col("status") == "ok")
    with tarfile.open(tmp_path / "t.tar") as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert len(names) == kept["image_id"].n_unique() == kept.height - 1
    extensions = {"jpeg": "jpg", "png": "png", "webp": "webp"}
    assert set(names) == {f"{row['image_id']}.{extensions[row['format']]}" for row in kept.iter_rows(named=True)}
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode) == (
            0,
            0,
            0,
            "",
            "",
            0o644,
        )
    read = dict(read_images(tmp_path / "t.tar", kept))
    assert {hashlib.sha256(body).hexdigest()[:32] for body in read.values()} == set(read)


def test_completion_order_changes_no_byte(tmp_path: Path) -> None:
    first = fetch_shard(_rows(10), BODIES, SETTINGS, tmp_path / "0.tar")
    for seed in range(5):
        order = random.Random(seed).sample(BODIES, len(BODIES))
        ledger = fetch_shard(_rows(10).reverse(), order, SETTINGS, tmp_path / "1.tar")
        assert ledger.equals(first)
        assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "0.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar", "1.tar"]


def test_a_shard_without_any_image_has_a_ledger_and_an_empty_tar(tmp_path: Path) -> None:
    ledger = fetch_shard(_rows(1), [Fetched(100, "failed", "timeout", None, 3, None)], SETTINGS, tmp_path / "t.tar")
    assert ledger.row(0, named=True)["reason"] == "timeout"
    assert dict(ledger.schema)["offset"] == pl.Int64
    with tarfile.open(tmp_path / "t.tar") as tar:
        assert tar.getmembers() == []


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        (BODIES[:-1], ["1 have none", "109"]),
        ([*BODIES, BODIES[3]], ["1 have several", "103"]),
        ([*BODIES, _ok(50, picture(1))], ["1 are not of this shard", "150"]),
    ],
)
def test_lost_repeated_and_foreign_results_stop_the_shard(
    tmp_path: Path, bodies: list[Fetched], words: list[str]
) -> None:
    with pytest.raises(ValueError, match="exactly one result") as caught:
        fetch_shard(_rows(10), bodies, SETTINGS, tmp_path / "t.tar")
    assert all(word in str(caught.value) for word in words)


def test_images_of_a_remote_root_are_read_from_the_tar_that_a_retry_has_written(tmp_path: Path) -> None:
    """The retry itself reads the tar as it was, by a local copy; the assets after it in the same run do not."""
    root = Location("memory://bucket/retry")
    images = ImageTars(LocalFiles(root))
    failed = Fetched(101, "failed", "http_503", 503, 1, None)

    def made(before: pl.LazyFrame | None, results: list[Fetched]) -> pl.DataFrame:
        output = fetched_images("00000", _rows(2), images, lambda _: results, Ingest())
        output.scratch = tmp_path
        assert callable(output.rows)
        (ledger,) = output.rows(before)
        for path, file in output.files.items():
            root.put(file, path)
        assert isinstance(ledger, pl.DataFrame)
        return ledger

    before = made(None, [_ok(0, picture(0)), failed])
    ledger = made(before.lazy(), [_ok(1, picture(1))]).lazy()
    found = images.of("00000", ledger).read(ledger.select("image_id").collect())
    assert {body for _, body in found} == {picture(0), picture(1)}
    images.files.close()
