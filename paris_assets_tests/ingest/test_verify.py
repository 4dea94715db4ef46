"""Images against the hashes of the list: the bytes, or at least the picture."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import imagehash
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Ingest
from paris_assets.ingest.checks import hashes_match
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.ledger import fetch_shard
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.fixtures.small_world import picture

FIRST, OTHER = picture(1, (96, 64)), picture(2, (96, 64))


def again(body: bytes) -> bytes:
    """The same picture in other bytes."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(body)).save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


ARRIVED = [FIRST, again(FIRST), OTHER, OTHER, FIRST]
SHA256, PHASH = hashlib.sha256(FIRST).hexdigest(), str(imagehash.phash(Image.open(io.BytesIO(FIRST))))
ROWS = pl.DataFrame(
    {
        "source_row": range(5),
        "uid": None,
        "url": "u",
        "text": "x",
        "source_sha256": [SHA256, SHA256.upper(), SHA256, None, "not a hash"],
        "source_phash": [None, PHASH, PHASH, PHASH, None],
    }
)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({}, []),
        ({"verify_sha256": "exact"}, [1, 2]),
        ({"verify_sha256": "phash"}, [2]),
        ({"verify_sha256": "phash", "phash_bits": 64}, []),
    ],
)
def test_what_is_refused(tmp_path: Path, settings: dict[str, Any], refused: list[int]) -> None:
    bodies = [Fetched(row, "ok", None, 200, 1, body) for row, body in enumerate(ARRIVED)]
    ledger = fetch_shard(ROWS, bodies, Ingest(**settings), tmp_path / "t.tar")
    assert ledger.filter(pl.col("reason") == "hash_mismatch")["source_row"].to_list() == refused
    assert ledger.filter(status="ok").height == 5 - len(refused)
    assert ledger.filter(status="failed")["image_id"].null_count() == len(refused)


def test_without_a_phash_in_the_list_other_bytes_are_another_image(tmp_path: Path) -> None:
    bodies = [Fetched(0, "ok", None, 200, 1, again(FIRST))]
    ledger = fetch_shard(ROWS[:1], bodies, Ingest(verify_sha256="phash"), tmp_path / "t.tar")
    assert ledger["reason"].to_list() == ["hash_mismatch"]


def test_the_check_fails_where_most_images_are_others(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    listed = pl.DataFrame({"source_row": range(10), "source_sha256": ["ab" * 32] * 10})
    ledger = pl.DataFrame(
        {"source_row": range(10), "sha256": ["ab" * 32] * 10, "reason": pl.Series([None] * 10, dtype=pl.String)}
    )
    store.put("source_rows", listed)
    store.put("raw_images", ledger)
    assert store.check(hashes_match, SHARD).passed
    changed = pl.when(pl.col("source_row") < 3)
    store.replace("raw_images", sha256=changed.then(pl.lit("cd" * 32)).otherwise("sha256"))
    judged = store.check(hashes_match, SHARD)
    assert not judged.passed
    assert judged.figures == {"mismatch": 0.3, "other_bytes": 3, "checks.max_hash_mismatch": 0.2}
    assert store.under(**{"ingest.verify_sha256": "phash"}).check(hashes_match, SHARD).passed
    refused = changed.then(pl.lit("hash_mismatch"))
    store.replace("raw_images", sha256=changed.then(None).otherwise("sha256"), reason=refused)
    assert not store.under(**{"ingest.verify_sha256": "phash"}).check(hashes_match, SHARD).passed
    store.replace("source_rows", source_sha256=pl.lit(None, pl.String))
    assert store.check(hashes_match, SHARD).said == "the list gives no sha256 of an image that arrived"
