from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import imagehash
import polars as pl
import pytest
from PIL import Image, ImageOps

from paris_assets.config import Ingest, Source
from paris_assets.demo.server import FolderServer
from paris_assets.images.decode import Undecodable, decode_rgb
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.sources import entry_of, images_of, read_rows, register
from paris_assets.storage.location import Location
from tools.sample_list import HOST, make_sample

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
ROWS_PER_SHARD = 64


def _files(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_script_makes_the_shipped_files_again(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("derived", "photos.parquet", "server.json"))
    (folder / "derived").mkdir()
    (folder / "derived" / "stale.jpg").write_bytes(b"left over")
    make_sample(folder)
    assert _files(folder) == _files(SAMPLE)


def test_every_photo_has_its_credits_and_nothing_curated() -> None:
    credits = [json.loads(line) for line in (SAMPLE / "credits.jsonl").read_text().splitlines()]
    assert {row["file"] for row in credits} == {f"images/{path.name}" for path in (SAMPLE / "images").iterdir()}
    assert len(credits) == 215
    assert sum(not row["alt"] for row in credits) == 13
    assert {row["licence"] for row in credits} == {"Public Domain", "CC0-1.0"}
    assert all(row["author"] and row["source"].startswith("https://") for row in credits)
    assert {key for row in credits for key in row} == {"file", "author", "licence", "source", "alt", "width", "height"}


def test_the_list_has_the_columns_of_laion_and_no_invented_score() -> None:
    rows = pl.read_parquet(SAMPLE / "photos.parquet")
    assert rows.columns == [
        "URL",
        "TEXT",
        "WIDTH",
        "HEIGHT",
        "similarity",
        "punsafe",
        "pwatermark",
        "AESTHETIC_SCORE",
        "hash",
    ]
    assert (
        rows.select("similarity", "punsafe", "pwatermark", "AESTHETIC_SCORE", "hash").null_count().row(0) == (264,) * 5
    )
    assert rows["URL"].is_unique().all()


def test_the_sample_is_small() -> None:
    own = (path for path in SAMPLE.rglob("*") if path.is_file() and SAMPLE / "pool" not in path.parents)
    assert sum(path.stat().st_size for path in own) < 9_000_000  # test_pool_sample.py bounds the pool


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The ledger of the whole list, with `shard`, fetched from the server as the demo does."""
    source = Source(path=str(SAMPLE / "photos.parquet"), rows_per_shard=ROWS_PER_SHARD)
    settings = Ingest(timeout_s=1, retries=1, backoff_s=0.05, resolve={"photos.example": "serve"})
    folder, ledgers = tmp_path_factory.mktemp("tars"), []
    root = Location(folder)
    registry = register(source, None, root)
    with FolderServer(SAMPLE) as server:
        for shard in registry["shard"]:
            entry = entry_of(registry, shard)
            rows = read_rows(source, entry, root)
            images = images_of(source, entry, rows, settings, server.address)
            part = fetch_shard(rows, images, settings, folder / f"{shard}.tar")
            ledgers.append(part.with_columns(shard=pl.lit(shard)))
    return pl.concat(ledgers)


def test_each_bad_row_fails_for_its_own_reason(ledger: pl.DataFrame) -> None:
    failed = ledger.filter(pl.col("status") == "failed")
    reasons = {url.removeprefix(HOST): reason for url, reason in failed.select("url", "reason").iter_rows()}
    assert reasons == {
        "/images/missing.jpg": "http_404",
        "/derived/broken/slow.jpg": "timeout",
        "/derived/broken/page.jpg": "not_an_image",
        "/derived/broken/empty.jpg": "empty_body",
        "/huge.jpg": "too_large",
        "/endless.jpg": "too_large",
        "/loop.jpg": "too_many_redirects",
        "/inside.jpg": "private_address",
        "http://10.0.0.1/printer.jpg": "private_address",
        "http://2130706433/decimal.jpg": "private_address",
        "file:///etc/hostname": "bad_scheme",
    }
    assert ledger.height == 264
    assert ledger["shard"].n_unique() == 5
    photos = ledger.filter(pl.col("url").str.contains("/images/") & (pl.col("reason").is_null()))
    assert photos.height == 215
    behaviours = json.loads((SAMPLE / "server.json").read_text())
    failing = [HOST + path for path, behaviour in behaviours.items() if "fail_first" in behaviour]
    again = photos.filter(pl.col("url").is_in(failing) & (pl.col("attempts") == 2))
    assert again.height == 2


def test_copies_are_identical_and_near_duplicates_look_alike_across_shards(ledger: pl.DataFrame) -> None:
    named = ledger.filter(pl.col("status") == "ok").with_columns(stem=pl.col("url").str.extract(r"([^/]+)\.[a-z]+$"))
    originals = named.filter(pl.col("url").str.contains("/images/")).select("stem", "shard", "image_id", "url")
    pairs = named.filter(pl.col("url").str.contains("/derived/")).join(originals, on="stem", suffix="_original")
    kinds = pairs.with_columns(kind=pl.col("url").str.extract("/derived/([a-z]+)/"))
    counts = dict(kinds.group_by("kind").len().iter_rows())
    assert counts == {"copies": 6, "reencoded": 9, "resized": 8, "cropped": 8, "truncated": 2, "tiny": 2}
    assert (kinds.filter(kind="copies")["image_id"] == kinds.filter(kind="copies")["image_id_original"]).all()
    moved = named.filter(pl.col("url") == f"{HOST}/moved.jpg")
    assert moved["image_id"].is_in(originals["image_id"].implode()).all()
    assert moved.height == 1
    near = kinds.filter(pl.col("kind").is_in(["reencoded", "resized", "cropped"]))
    assert (near["image_id"] != near["image_id_original"]).all()
    for kind in ("copies", "reencoded", "resized", "cropped"):
        crossing = kinds.filter((pl.col("kind") == kind) & (pl.col("shard") != pl.col("shard_original"))).height
        assert crossing >= 3
    for url, original in near.select("url", "url_original").iter_rows():
        assert _phash(url) - _phash(original) <= 10, url
    assert near["width"].is_between(160, 512).all()
    assert near["height"].is_between(160, 512).all()


def test_what_curation_must_drop_arrives_with_its_defect(ledger: pl.DataFrame) -> None:
    by_kind = ledger.with_columns(kind=pl.col("url").str.extract("/derived/([a-z]+)/")).filter(pl.col("status") == "ok")
    assert (by_kind.filter(kind="tiny").select(pl.min_horizontal("width", "height")).to_series() < 160).all()
    aspect = pl.max_horizontal("width", "height") / pl.min_horizontal("width", "height")
    strips = by_kind.filter(kind="strip")
    assert strips.height == 2
    assert (strips.select(aspect).to_series() > 3).all()
    assert (strips.select(pl.min_horizontal("width", "height")).to_series() >= 160).all()
    for url in by_kind.filter(kind="truncated")["url"]:
        with pytest.raises(Undecodable):
            decode_rgb((SAMPLE / url.removeprefix(f"{HOST}/")).read_bytes())


def _phash(url: str) -> imagehash.ImageHash:
    return imagehash.phash(ImageOps.exif_transpose(Image.open(SAMPLE / url.removeprefix(f"{HOST}/"))).convert("RGB"))
