"""A root of two shards with vectors of a tiny CLIP, whose tables are put there by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Model, Profile
from paris_assets.images.decode import decode_rgb
from paris_assets.models.registry import build
from paris_assets.profiles import dump_profile, load_profile
from paris_assets_tests.fixtures import made_up, small_world
from paris_assets_tests.models import tiny

SHARDS = ("00000", "00001")
PER_SHARD = 6


class World(NamedTuple):
    root: Path
    weights: Path
    profile: Profile
    files: dict[str, bytes]
    names: list[str]

    @property
    def url(self) -> str:
        return str(self.root)


def encoders(weights: Path) -> dict[str, Any]:
    """Two encoders, the first without a text tower."""
    own = {"implementation": f"{small_world.CHEAP}:Colours"}
    clip = {"implementation": "clip-image", "path": str(weights), "precision": "fp32", "device": "cpu", "batch_size": 4}
    return {"colours": own, "clip": clip}


def make(folder: Path, without_vector: Sequence[int] = (3,)) -> World:
    """A root whose image 3 (or others) has no vector, 4 is rejected, 5 a copy of 0, 6 not trained on, 7 not judged."""
    weights = folder / "clip"
    tiny.TOWERS["clip-image"](weights)
    profile = load_profile("demo", {"picture_embeddings": encoders(weights), "embedder": "clip"})
    files = {hashlib.sha256(data).hexdigest()[:32]: data for data in map(small_world.picture, range(2 * PER_SHARD))}
    names = list(files)
    root = folder / "root"
    store = made_up.flat_root(root, picture_embeddings=encoders(weights))
    made_up.put_registry(root, pl.DataFrame({"shard": SHARDS, "file": ["", ""], "rows": [PER_SHARD, PER_SHARD]}))
    (root / "profile.yaml").write_text(dump_profile(profile))
    for number, shard in enumerate(SHARDS):
        own = names[number * PER_SHARD : (number + 1) * PER_SHARD]
        _put_shard(store, shard, number * PER_SHARD, own, files, without_vector)
    groups = pl.DataFrame({"image_id": [name for at, name in enumerate(names) if at not in (4, 7)]})
    copy = pl.col("image_id") == names[5]
    groups = groups.with_columns(
        shard=pl.lit(SHARDS[0]), group_id=pl.when(copy).then(pl.lit(names[0])).otherwise("image_id"), keeper=~copy,
        method=pl.when(copy).then(pl.lit("phash")),
    )  # fmt: skip
    store.put("duplicate_groups", groups)
    return World(root, weights, profile, files, names)


def _put_shard(
    store: made_up.MadeUpRoot,
    shard: str,
    first: int,
    names: list[str],
    files: dict[str, bytes],
    without_vector: Sequence[int],
) -> None:
    sizes = [len(files[name]) for name in names]
    rows = pl.DataFrame({"image_id": names, "source_row": range(first, first + len(names))})
    ledger = rows.with_columns(
        url=pl.format("http://photos.example/{}.jpg", "source_row"), text=pl.format("picture {}", "source_row"),
        status=pl.lit("ok"), size_bytes=pl.Series(sizes), offset=pl.Series(np.cumsum([0, *sizes[:-1]])),
        stored_bytes=pl.Series(sizes),
        stored_sha256=pl.Series([hashlib.sha256(files[name]).hexdigest() for name in names]),
    )  # fmt: skip
    store.put("raw_images", ledger, shard)
    (Path(store.root.url) / f"raw_images/{shard}.tar").write_bytes(b"".join(files[name] for name in names))
    judged = rows.filter(pl.col("source_row") != 7).sort("image_id")
    rejected = pl.col("source_row") == 4
    verdicts = judged.select("image_id", kept=~rejected, reason=pl.when(rejected).then(pl.lit("blurred")))
    store.put("filtered_images", verdicts, shard)
    store.put("captions", judged.select("image_id", caption=pl.format("caption of {}", "source_row")), shard)
    left_out = pl.col("source_row") == 6
    chosen = judged.select("image_id", selected=~left_out, reason=pl.when(left_out).then(pl.lit("low_value_cluster")))
    store.put("training_selection", chosen, shard)
    columns, ran = {}, {}
    for column, settings in encoders(Path(store.profile.picture_embeddings["clip"].path or "")).items():
        network = build(Model.model_validate(settings))
        pixels = np.stack([network.preprocess(decode_rgb(files[name])) for name in names])
        columns[column] = pl.Series(network.run(pixels).astype(np.float16))
        ran[f"picture_embeddings.{column}"] = network.identity()
    missing = pl.col("source_row").is_in(list(without_vector))
    vectors = rows.with_columns(**columns).with_columns(pl.when(~missing).then(name).alias(name) for name in columns)
    vectors = vectors.with_columns(reason=pl.when(missing).then(pl.lit("broken"))).drop("source_row").sort("image_id")
    store.put("picture_embeddings", vectors, shard, facts={"models": ran})
