"""A caption for every curated image, and its text embedding."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.storage.output import Output
from paris_assets.storage.store import Store
from paris_assets.storage.table_asset import shard_asset

CAPTIONS = {
    "image_id": ("String", "image"),
    "caption": ("String", "what the expert is trained on"),
    "captioner": ("String", "source_text, or the captioner that wrote it"),
    "source_text": ("String", "text of the source, kept as it was"),
}
TEXT_EMBEDDINGS = {
    "image_id": ("String", "image"),
    "caption": ("String", "the caption that was encoded"),
    "embedding": ("Array(Float16, (tokens, dim))", "last hidden state, padded"),
    "pooled": ("Array(Float16, dim)", "one vector per caption"),
    "tokens": ("Int32", "true token count: mask = position < tokens"),
}


@shard_asset(group="captions", kinds={"pytorch"}, settings=["captions"], columns=CAPTIONS, pool="gpu")
def captions(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], curated_images: pl.LazyFrame) -> Output:
    """Uses the source text where it is a caption by a stated rule, else asks the captioner. Each row says which."""
    from paris_assets.captions.tables import captions as caption_table

    return caption_table(store, context.partition_key, curated_images)


@shard_asset(group="captions", kinds={"pytorch"}, settings=["text"], columns=TEXT_EMBEDDINGS, pool="gpu")
def text_embeddings(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], captions: pl.LazyFrame
) -> Output:
    """Encodes captions with fixed padding; the token count says how many positions are real."""
    from paris_assets.captions.tables import text_embeddings as embedding_table

    return embedding_table(store, context.partition_key, captions)
