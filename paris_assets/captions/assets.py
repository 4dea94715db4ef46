"""A caption for every curated image, and its text embedding."""

import polars as pl

from paris_assets.captions.schema import CAPTIONS, TEXT_EMBEDDINGS
from paris_assets.config import Profile
from paris_assets.dag.assets import shard_asset
from paris_assets.images.reader import ImageTars
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output


@shard_asset(CAPTIONS, group="captions", kinds={"pytorch"}, settings=["captions"], pool="gpu")
def captions(
    shard: str,
    images: ImageTars,
    models: Models,
    profile: Profile,
    raw_images: pl.LazyFrame,
    curated_images: pl.LazyFrame,
) -> Output:
    """The caption of every curated image: the source's text where it reads like one, else what a captioner wrote.

    Each row names who wrote it and keeps the source's text beside it.
    """
    from paris_assets.captions.captioning import captioned

    return captioned(curated_images, images.of(shard, raw_images), profile.captions, models)


@shard_asset(TEXT_EMBEDDINGS, group="captions", kinds={"pytorch"}, settings=["text"], pool="gpu")
def text_embeddings(models: Models, profile: Profile, captions: pl.LazyFrame) -> Output:
    """The captions as the text encoder gives them: the last hidden state with fixed padding, and one pooled vector.

    Experts are conditioned on the first; the token count says how many of its positions are real.
    """
    from paris_assets.captions.encoding import encoded

    return encoded(captions, profile.text, models)
