"""Two shards of eight images each, six of them curated, with all tables that an export reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.images.tars import write_tar
from paris_assets.ingest.schema import RAW_IMAGES, SOURCE_ROWS
from paris_assets.signals.schema import IMAGE_SIGNALS
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot
from paris_assets_tests.fixtures.small_world import picture

SHARDS = ("00000", "00001")
COUNT, KEPT, DIM = 8, 6, 5
HUB = "openai/clip-vit-large-patch14"
ENCODERS = {
    "clip-l14": {"implementation": "clip-image", "path": HUB, "revision": "r"},
    "siglip2-so400m": {"implementation": "siglip-image", "path": "folder/of/siglip"},
}
SCORES = {
    "nsfw": {"implementation": "open-nsfw"},
    "aesthetic": {"implementation": "linear-head", "on": "clip-l14", "path": "x.pth"},
    "aigc": {"implementation": "mlp-head", "on": "siglip2-so400m", "path": "x.pth"},
}


def names(shard: str) -> list[str]:
    """The image_ids of a shard, sorted."""
    return sorted(hashlib.sha256(data).hexdigest()[:32] for data in files(shard))


def files(shard: str) -> list[bytes]:
    """The files of a shard."""
    return [picture(100 * int(shard) + number, (48, 32)) for number in range(COUNT)]


def finished(folder: Path, **overrides: Any) -> MadeUpRoot:
    """A root whose tables are all there."""
    settings = {"picture_embeddings": ENCODERS, "scores": SCORES, "curation.score_rules": [], **overrides}
    store = made_up.flat_root(folder, **settings)
    made_up.put_registry(folder, pl.DataFrame({"shard": SHARDS, "file": "", "rows": COUNT}))
    for shard in SHARDS:
        _fetched(store, shard)
        _measured(store, shard)
        _curated(store, shard)
    groups = [store.read("curated_images", shard).with_columns(shard=pl.lit(shard)) for shard in SHARDS]
    kept = pl.concat(groups).select("image_id", "shard", "source_row", "group_id", keeper=pl.lit(True))
    store.put("duplicate_groups", kept)
    return store


def put(store: MadeUpRoot, asset: str, shard: str, rows: pl.DataFrame) -> None:
    """Commit a table of a shard."""
    store.put(asset, rows, shard)


def _fetched(store: MadeUpRoot, shard: str) -> None:
    first, stored = COUNT * int(shard), sorted((hashlib.sha256(data).hexdigest(), data) for data in files(shard))
    tar = Path(f"{store.root.url}-{shard}.tar")
    offsets = write_tar(tar, [(f"{sha[:32]}.jpg", data) for sha, data in stored])
    rows, sources = [], []
    for number, (sha, data) in enumerate(stored):
        url, text = f"http://photos.example/{shard}/{number}.jpg", f"text {number}"
        rows.append(
            {
                "source_row": first + number, "image_id": sha[:32], "url": url, "text": text, "status": "ok",
                "size_bytes": len(data), "width": 48, "height": 32, "format": "jpeg", "offset": offsets[number],
                "sha256": sha, "stored_sha256": sha, "stored_bytes": len(data),
            }
        )  # fmt: skip
        sources.append({"source_row": first + number, "url": url, "text": text, "aesthetic": 1.5, "pwatermark": 0.25})
    store.put("raw_images", RAW_IMAGES.frame(rows), shard, files={f"raw_images/{shard}.tar": tar})
    put(store, "source_rows", shard, SOURCE_ROWS.frame(sources))


def _measured(store: MadeUpRoot, shard: str) -> None:
    known, generator = names(shard), np.random.default_rng(int(shard))
    signals = {"entropy": 7.5, "blocking": 0.25, "blur": 4.0, "noise": 100.0, "colour_cast": 1.5, "phash": 2**63 + 10}
    rows = [{"image_id": name, "undecodable": False, "dhash": 255, **signals} for name in known]
    put(store, "image_signals", shard, IMAGE_SIGNALS.frame(rows).with_columns(own=pl.lit(3, pl.Int8)))
    scores = pl.DataFrame({"image_id": known}).with_columns(
        nsfw=pl.lit(0.125, pl.Float32), aesthetic=pl.lit(5.5, pl.Float32), aigc=pl.lit(0.75, pl.Float32)
    )
    put(store, "content_scores", shard, scores)
    vectors = {name: generator.normal(0, 9, (COUNT, DIM)).astype(np.float16) for name in ENCODERS}
    rows = pl.DataFrame({"image_id": known, **{name: pl.Series(values) for name, values in vectors.items()}})
    first = pl.int_range(pl.len()) == 0
    siglip = pl.when(~first).then("siglip2-so400m").alias("siglip2-so400m")
    why = pl.when(first).then(pl.lit("siglip2-so400m: why"))
    put(store, "picture_embeddings", shard, rows.with_columns(siglip, reason=why))


def _curated(store: MadeUpRoot, shard: str) -> None:
    known, kept = pl.DataFrame({"image_id": names(shard)}), pl.int_range(pl.len()) < KEPT
    reason = pl.when(~kept).then(pl.lit("short_side"))
    reasons = pl.when(kept).then(pl.lit([], pl.List(pl.String))).otherwise(pl.lit(["short_side", "aspect"]))
    value = pl.when(~kept).then(pl.lit(32.0))
    put(store, "filtered_images", shard, known.with_columns(kept=kept, reason=reason, value=value, reasons=reasons))
    curated, ledger = known[:KEPT], store.read("raw_images", shard)
    rows = curated.join(ledger.select("image_id", "source_row", "url", "text", "width", "height"), on="image_id")
    rows = rows.sort("image_id").with_columns(alt_texts=pl.lit(["also"]), group_id="image_id")
    put(store, "curated_images", shard, rows)
    words = {"caption": pl.lit("a caption"), "captioner": pl.lit("source_text"), "source_text": pl.lit("x")}
    put(store, "captions", shard, curated.with_columns(**words))
    distance = pl.lit(0.5, pl.Float32)
    put(store, "cluster_assignments", shard, curated.with_columns(cluster=pl.lit(1, pl.Int32), distance=distance))
    selected = curated.with_columns(selected=pl.lit(True), reason=pl.lit(None, pl.String))
    put(store, "training_selection", shard, selected)
