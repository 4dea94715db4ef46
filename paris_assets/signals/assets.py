"""What is measured on every fetched image, and what models say of those that pass."""

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.dag.assets import shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.signals.schema import CONTENT_SCORES, COPY_EMBEDDINGS, IMAGE_SIGNALS, PICTURE_EMBEDDINGS
from paris_assets.storage.output import Output


@shard_asset(IMAGE_SIGNALS, group="signals", kinds={"numba"}, settings=["signals", "ingest.encode"])
def image_signals(shard: str, images: ImageTars, profile: Profile, raw_images: pl.LazyFrame) -> Output:
    """Every measurement of a fetched image that needs no model, from one decode per image.

    Images whose pixels cannot be read get nulls and the error; `signals.measures` names the classes that measure.
    """
    from paris_assets.signals.distribution import sketched
    from paris_assets.signals.measure import measure
    from paris_assets.signals.signal import SignalError, encoded_files_problem

    if problem := encoded_files_problem(profile):
        raise SignalError(problem)
    fetched = raw_images.filter(pl.col("status") == "ok").select("image_id").unique().collect()
    files = images.of(shard, raw_images).read(fetched)
    output = Output(rows_in=fetched.height)
    output.rows = sketched(measure(files, profile.signals), output)
    return output


@shard_asset(
    PICTURE_EMBEDDINGS,
    group="signals",
    kinds={"pytorch"},
    settings=["picture_embeddings"],
    row_settings=["curation.signal_rules"],
    used_if=lambda profile: bool(profile.picture_embeddings),
    pool="gpu",
)
def picture_embeddings(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
) -> Output:
    """One vector per image and encoder of the profile, not normalised, of images that pass the rules on signals.

    Scores and clusters read these instead of running a network again; an image without vector has a reason.
    """
    from paris_assets.signals.scoring import embedded, passing_of

    passing = passing_of(raw_images, image_signals, profile.curation)
    return embedded(passing, images.of(shard, raw_images), profile.picture_embeddings, models, compute)


@shard_asset(
    COPY_EMBEDDINGS,
    group="signals",
    kinds={"pytorch"},
    settings=["copy_embedder"],
    row_settings=["curation.signal_rules"],
    used_if=lambda profile: profile.copy_embedder is not None,
    pool="gpu",
)
def copy_embeddings(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
) -> Output:
    """One vector of length one per image that passes the rules on signals, by the network that finds copies.

    Images whose vectors are close count as copies, whatever their pHashes; an image without vector has a reason.
    """
    from paris_assets.signals.scoring import embedded_for_copies, passing_of

    assert profile.copy_embedder is not None
    passing = passing_of(raw_images, image_signals, profile.curation)
    return embedded_for_copies(passing, images.of(shard, raw_images), profile.copy_embedder, models, compute)


@shard_asset(
    CONTENT_SCORES,
    group="signals",
    kinds={"onnx"},
    settings=["scores", "picture_embeddings"],
    row_settings=["curation.signal_rules"],
    used_if=lambda profile: bool(profile.scores),
    optional_inputs={"picture_embeddings": lambda profile: any(score.on for score in profile.scores.values())},
    pool="gpu",
)
def content_scores(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    picture_embeddings: pl.LazyFrame | None,
) -> Output:
    """Model scores of an image, such as how likely it is unsafe, one column for each score of the profile.

    Only images that pass the rules on signals are scored; a head reads stored vectors, other scorers the pixels.
    """
    from paris_assets.signals.scoring import passing_of, scored

    passing = passing_of(raw_images, image_signals, profile.curation)
    return scored(passing, images.of(shard, raw_images), picture_embeddings, profile, models, compute)
