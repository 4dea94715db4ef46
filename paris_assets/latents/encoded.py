"""Latents of a shard, where earlier rows of the same codec may be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Latents
from paris_assets.images.reader import ShardImages
from paris_assets.latents.encode import encode
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def encoded(
    curated: pl.LazyFrame, images: ShardImages, settings: Latents, seed: int, models: Models, compute: Compute
) -> Output:
    """Rows of `latents` for the shard's `curated_images`; those below the resolution are counted when they may not be
    upscaled.

    Args:
        compute: who decodes.
    """
    wanted = curated.select("image_id").sort("image_id").collect()
    output, stats = Output(rows_in=wanted.height), BatchStats()

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        codec, rejects = models.load(settings.codec), dict[str, str]()
        yield from encode(images.read(missing), codec, settings, seed, rejects, compute, stats)
        output.rejects |= Counter(rejects.values())
        output.facts["models"] = {"latents.codec": codec.identity()}
        output.facts["scaling_factor"] = codec.scaling_factor
        output.facts["shift_factor"] = float(getattr(codec, "shift_factor", 0.0))
        output.note_halved(stats.halved)

    output.rows = lambda previous: reuse_rows(wanted, previous, made)
    return output
