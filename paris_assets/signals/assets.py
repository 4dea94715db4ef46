"""What is measured on every fetched image, and what models say of those that pass."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.signals.schema import CONTENT_SCORES, IMAGE_SIGNALS
from paris_assets.storage.output import Output


@shard_asset(IMAGE_SIGNALS, group="signals", kinds={"numba"}, settings=["signals"])
def image_signals(shard: str, images: ImageTars, profile: Profile, raw_images: pl.LazyFrame) -> Output:
    """Every measurement of a fetched image that needs no model, from one decode per image.

    Images whose pixels cannot be read get nulls and the error; `signals.measures` names the classes that measure.
    """
    from paris_assets.signals.measure import measure

    fetched = raw_images.filter(pl.col("status") == "ok").select("image_id").unique().collect()
    files = images.of(shard, raw_images).read(fetched)
    return Output(rows=measure(files, profile.signals), rows_in=fetched.height)


@shard_asset(
    CONTENT_SCORES,
    group="signals",
    kinds={"onnx"},
    settings=["scores"],
    row_settings=["curation.signal_rules"],
    used_if=lambda profile: bool(profile.scores),
    pool="gpu",
)
def content_scores(
    shard: str,
    images: ImageTars,
    models: Models,
    profile: Profile,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
) -> Output:
    """Model scores of an image, such as how likely it is unsafe, one column for each scorer of the profile.

    Only images that pass the rules on signals are scored, so that no model time goes to rejected ones.
    """
    from paris_assets.rules.verdicts import passing_signals
    from paris_assets.signals.scoring import scored

    passing = passing_signals(raw_images, image_signals, profile.curation)
    measured = image_signals.select(pl.len()).collect().item()
    return scored(passing, measured, images.of(shard, raw_images), profile.scores, models)
