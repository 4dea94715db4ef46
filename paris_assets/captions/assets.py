"""A caption for every curated image, and its text embedding."""

import polars as pl

from paris_assets.captions.schema import CAPTION_KINDS, CAPTIONS, REPEATED_CAPTIONS, TEXT_EMBEDDINGS
from paris_assets.compute import Compute
from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.settings.captions import SIGNALLED, columns_read
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

OF_KINDS = [f"captions.{name}" for name in ("kinds", "min_words", "refusals", "max_chars", "max_tokens")]
COLUMNS_OF = {
    "source_rows": lambda profile: bool(columns_read(profile.captions) - {"text", SIGNALLED}),
    "image_signals": lambda profile: SIGNALLED in columns_read(profile.captions),
}
"""Tables that hold a column which a kind of the profile is taken from."""


@shard_asset(
    CAPTION_KINDS,
    group="captions",
    kinds={"pytorch"},
    settings=[*OF_KINDS, "text"],
    used_if=lambda profile: bool(profile.captions.kinds),
    optional_inputs=COLUMNS_OF,
    unit="captions",
    pool="gpu",
)
def caption_kinds(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    source_rows: pl.LazyFrame | None,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame | None,
    curated_images: pl.LazyFrame,
) -> Output:
    """Captions of every kind that the profile names: of the source, short, long, tags, words seen in the picture.

    A row for each image and kind says who wrote it, and of an invalid one why: a refusal, an address, too long.
    """
    from paris_assets.captions.captioning import captions_of_kinds
    from paris_assets.captions.kinds import with_texts

    texts, shown = with_texts(curated_images, source_rows, image_signals), images.of(shard, raw_images)
    return captions_of_kinds(texts, shown, profile.captions, profile.text, models, compute)


@all_asset(
    REPEATED_CAPTIONS,
    group="captions",
    kinds={"polars"},
    settings=["captions.max_repeats"],
    used_if=lambda profile: profile.captions.max_repeats is not None,
    slice_by="shard",
    volatile=["repeats"],
    unit="captions",
    keeps_rows="when_taken_down",
)
def repeated_captions(profile: Profile, caption_kinds: Shards) -> Output:
    """Captions that stand too often in the whole set, numbers left aside: filled-in templates and texts of shops.

    They are invalid wherever they stand, in whichever order shards come; a growing source may add to them.
    """
    from paris_assets.captions.repeats import repeated

    most = profile.captions.max_repeats
    assert most is not None  # else the profile does not have this asset
    return repeated(caption_kinds, most)


@shard_asset(CAPTIONS, group="captions", kinds={"pytorch"}, settings=["captions"], pool="gpu")
def captions(
    shard: str,
    images: ImageTars,
    models: Models,
    compute: Compute,
    profile: Profile,
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
    caption_kinds: pl.LazyFrame | None,
    repeated_captions: pl.LazyFrame | None,
) -> Output:
    """The caption that every curated image is trained on: the first valid one in the profile's order of kinds.

    That is the source's text where it reads like one, else what a captioner wrote, unless the profile names its kinds.
    Each row names who wrote it, keeps the source's text beside it, and says of captions that are none why not.
    """
    from paris_assets.captions.captioning import captioned, training_captions

    shown = images.of(shard, raw_images)
    if caption_kinds is None:
        return captioned(curated_images, shown, profile.captions, models, compute)
    return training_captions(curated_images, caption_kinds, repeated_captions, shown, profile.captions)


@shard_asset(TEXT_EMBEDDINGS, group="captions", kinds={"pytorch"}, settings=["text"], pool="gpu")
def text_embeddings(models: Models, profile: Profile, captions: pl.LazyFrame) -> Output:
    """The captions as the text encoder gives them: the last hidden state with fixed padding, and one pooled vector.

    Experts are conditioned on the first; the token count says how many of its positions are real.
    """
    from paris_assets.captions.encoding import encoded

    return encoded(captions, profile.text, models)
