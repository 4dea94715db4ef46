"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema

CAPTIONS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "caption": (pl.String, "what the expert is trained on", "curated_images.text", "curated_images.image_id"),
        "captioner": (pl.String, "source_text, or the captioner that wrote it", "curated_images.text"),
        "source_text": (pl.String, "text of the source, kept as it was", "curated_images.text"),
    }
)
TEXT_EMBEDDINGS = Schema(
    {
        "image_id": (pl.String, "image", "captions.image_id"),
        "caption": (pl.String, "the caption that was encoded", "captions.caption"),
        "embedding": (ArrayOf(pl.Float16, ("tokens", "dim")), "last hidden state, padded", "captions.caption"),
        "pooled": (ArrayOf(pl.Float16, ("dim",)), "one vector per caption", "captions.caption"),
        "tokens": (pl.Int32, "true token count: mask = position < tokens", "captions.caption"),
    }
)
