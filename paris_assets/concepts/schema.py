"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema, every

_TAGS = every("concepts", "labels", "label_parents", "phrases", "listed")
CONCEPTS = Schema(
    {
        "image_id": (pl.String, "image", "curated_images.image_id"),
        "labels": (pl.List(pl.String), "labels of the classifier, most probable first", "raw_images.image_id"),
        "label_parents": (
            pl.List(pl.String),
            "for each label the broader concept that the classifier knows; null where it knows none",
            "raw_images.image_id",
        ),
        "phrases": (pl.List(pl.String), "words and phrases of the caption", "captions.caption"),
        "listed": (
            pl.List(pl.String),
            "tags that the source lists",
            "source_rows.tags",
            *every("curated_images", "text", "alt_texts"),
        ),
    }
)
CONCEPT_COUNTS = Schema(
    {
        "concept": (pl.String, "what images show, lower case", *_TAGS),
        "df": (pl.Int64, "curated images that show it, or what is narrower", *_TAGS),
        "share": (pl.Float64, "share of all curated images", *_TAGS),
        "images": (pl.Int64, "of these, images without a narrower concept of it: their weight uses it", *_TAGS),
        "parent": (pl.String, "next broader concept, where images enough show it", *_TAGS),
        "smoothed_df": (pl.Float64, "df with a share of the parent's", *_TAGS),
        "rarity": (pl.Float64, "ln(1 + (N - df + 0.5) / (df + 0.5)) of N curated images", *_TAGS),
    }
)
_WEIGHED = (*_TAGS, *every("concept_counts", "concept", "df", "images", "parent", "smoothed_df"))
SAMPLING_WEIGHTS = Schema(
    {
        "image_id": (pl.String, "image", "concepts.image_id"),
        "weight": (pl.Float64, "how often it should be drawn, 1 for the usual image; never repeated here", *_WEIGHED),
        "concepts": (pl.List(pl.String), "the narrowest concepts of the image, which decided; sorted", *_WEIGHED),
    }
)
