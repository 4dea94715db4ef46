"""A caption for every curated image, and its text embedding."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import shard_asset
from paris_assets.dag.store import Store
from paris_assets.storage.output import Output

CAPTIONS = {
    "image_id": ("String", "image", "curated_images.image_id"),
    "caption": ("String", "what the expert is trained on", "curated_images.text", "curated_images.image_id"),
    "captioner": ("String", "source_text, or the captioner that wrote it", "curated_images.text"),
    "source_text": ("String", "text of the source, kept as it was", "curated_images.text"),
}
TEXT_EMBEDDINGS = {
    "image_id": ("String", "image", "captions.image_id"),
    "caption": ("String", "the caption that was encoded", "captions.caption"),
    "embedding": ("Array(Float16, (tokens, dim))", "last hidden state, padded", "captions.caption"),
    "pooled": ("Array(Float16, dim)", "one vector per caption", "captions.caption"),
    "tokens": ("Int32", "true token count: mask = position < tokens", "captions.caption"),
}


@shard_asset(group="captions", kinds={"pytorch"}, settings=["captions"], columns=CAPTIONS, pool="gpu")
def captions(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], curated_images: pl.LazyFrame) -> Output:
    """The caption of every curated image: the source's text where it reads like one, else what a captioner wrote.

    Each row names who wrote it and keeps the source's text beside it.
    """
    from paris_assets.captions.tables import captions as caption_table

    return caption_table(store, context.partition_key, curated_images)


@shard_asset(group="captions", kinds={"pytorch"}, settings=["text"], columns=TEXT_EMBEDDINGS, pool="gpu")
def text_embeddings(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], captions: pl.LazyFrame
) -> Output:
    """The captions as the text encoder gives them: the last hidden state with fixed padding, and one pooled vector.

    Experts are conditioned on the first; the token count says how many of its positions are real.
    """
    from paris_assets.captions.tables import text_embeddings as embedding_table

    return embedding_table(store, context.partition_key, captions)
