"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema, every

_WRITTEN = (
    "curated_images.text",
    *every("source_rows", "short_text", "long_text", "tags", "ocr"),
    "image_signals.ocr_text",
    "curated_images.image_id",
)
_OF_KIND = every("caption_kinds", "kind", "caption", "reason")
_ALL = (*_OF_KIND, "repeated_captions.image_id")
_SOURCE = ("curated_images.text", "curated_images.image_id")
CAPTION_KINDS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "kind": (pl.String, "source, short, long, tags or ocr: as the profile's captions.kinds"),
        "caption": (pl.String, "what was written, on one line; empty where nothing was", *_WRITTEN),
        "captioner": (pl.String, "source_text, text_signal, or who wrote it", *_WRITTEN),
        "reason": (pl.String, "the rule that it fails; null when valid", *_WRITTEN),
    }
)
REPEATED_CAPTIONS = Schema(
    {
        "shard": (pl.String, "shard of the image"),
        "image_id": (pl.String, "image", "caption_kinds.image_id"),
        "kind": (pl.String, "kind of the caption", "caption_kinds.kind"),
        "template": (pl.String, "what repeats: the caption in lower case, numbers as 0", "caption_kinds.caption"),
        "repeats": (pl.Int64, "captions of this kind and template in the whole set", *_OF_KIND),
    }
)
CAPTIONS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "caption": (pl.String, "what the expert is trained on; empty without a valid one", *_SOURCE, *_ALL),
        "captioner": (pl.String, "source_text, or who wrote it", "curated_images.text", "caption_kinds.captioner"),
        "source_text": (pl.String, "text of the source, kept as it was", "curated_images.text"),
        "kind": (pl.String, "kind of the caption; null without a valid one", *_SOURCE, *_ALL),
        "kinds": (pl.List(pl.String), "kinds of which the image has a valid caption", *_SOURCE, *_ALL),
        "captions": (pl.List(pl.String), "these captions", *_SOURCE, *_ALL),
        "captioners": (pl.List(pl.String), "who wrote them", "curated_images.text", "caption_kinds.captioner"),
        "invalid": (pl.List(pl.String), "kinds of which its caption is invalid", *_SOURCE, *_ALL),
        "reasons": (pl.List(pl.String), "the rule that each of these fails", *_SOURCE, *_ALL),
    }
)
TEXT_EMBEDDINGS = Schema(
    {
        "image_id": (pl.String, "image", "captions.image_id"),
        "caption": (pl.String, "the caption that was encoded", "captions.caption"),
        "embedding": (
            ArrayOf(pl.Float16, ("tokens", "dim"), or_ragged=True),
            "last hidden state: padded, or as bytes that of the true tokens (float16, token after token)",
            "captions.caption",
        ),
        "pooled": (ArrayOf(pl.Float16, ("dim",)), "one vector per caption", "captions.caption"),
        "tokens": (pl.Int32, "true token count: mask = position < tokens", "captions.caption"),
        "truncated": (pl.Int32, "tokens that were cut; null where the encoder cannot count", "captions.caption"),
    },
    by_profile=("pooled",),
)
