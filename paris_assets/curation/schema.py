"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema, every

# Every column that a rule of a profile may judge.
_JUDGED = (
    *every("raw_images", "width", "height", "size_bytes"),
    *every("image_signals", "undecodable", "entropy", "blocking", "blur", "noise", "colour_cast", "exposure"),
    *every("image_signals", "contrast", "shadows", "highlights"),
    *every("source_rows", "aesthetic", "similarity", "punsafe", "pwatermark"),
    "content_scores.nsfw",
)
FILTERED_IMAGES = Schema(
    {
        "image_id": (pl.String, "image", "raw_images.image_id", "image_signals.image_id"),
        "kept": (pl.Boolean, "whether every rule is met", *_JUDGED),
        "reason": (pl.String, "first failing rule; null when kept", *_JUDGED),
        "value": (pl.Float64, "what that rule saw", *_JUDGED),
        "reasons": (pl.List(pl.String), "all failing rules", *_JUDGED),
        "tier": (pl.String, "highest tier reached, under a profile with tiers; null when rejected", *_JUDGED),
        "stopped_by": (pl.String, "first failing rule of the next tier; null at the highest", *_JUDGED),
        "prune_reason": (pl.String, "reason in a list of curation.prune, under a profile with such lists"),
    },
    by_profile=("tier", "stopped_by", "prune_reason"),
)
SCORE_QUANTILES = Schema(
    {
        "rule": (pl.String, "name of the quantile rule"),
        "column": (pl.String, "what it ranks by"),
        "ranked": (pl.Int64, "images that meet all other rules and have a value", *_JUDGED),
        "kept": (pl.Int64, "of these, those within the share", *_JUDGED),
        "first": (pl.Float64, "value of the first that is kept, largest first; null when none is", *_JUDGED),
        "first_id": (pl.String, "its image_id: equal values stand in the order of image_ids", "raw_images.image_id"),
        "last": (pl.Float64, "value of the last that is kept", *_JUDGED),
        "last_id": (pl.String, "its image_id", "raw_images.image_id"),
    }
)
VECTORS, COPY_EMBEDDING = "vectors", "copy_embedding"
"""Methods of copies that only vectors show, of `picture_embeddings` and of `copy_embeddings`."""
_SAME_PICTURE = ("raw_images.image_id", *every("image_signals", "phash", "thumbnail"))
DUPLICATE_GROUPS = Schema(
    {
        "image_id": (pl.String, "image", "raw_images.image_id", "filtered_images.image_id"),
        "shard": (pl.String, "shard of this occurrence"),
        "source_row": (pl.Int64, "source row of this occurrence", "raw_images.source_row"),
        "group_id": (pl.String, "smallest image_id of the group when it was first decided", *_SAME_PICTURE),
        "keeper": (
            pl.Boolean,
            "the one occurrence that stays",
            *_SAME_PICTURE,
            *every("raw_images", "width", "height"),
            "source_rows.aesthetic",
        ),
        "distance": (pl.UInt8, "pHash distance to the keeper, bits", "image_signals.phash"),
        "method": (
            pl.String,
            "exact, phash, or what pHash and thumbnail do not show: vectors or copy_embedding; null for the keeper",
            *_SAME_PICTURE,
        ),
        "cosine": (pl.Float32, "of vectors with the keeper's, under a profile that compares vectors"),
        "alt_texts": (
            pl.List(pl.String),
            "on keepers: texts of dropped exact copies",
            "raw_images.text",
            "source_rows.alt_texts",
        ),
    },
    by_profile=("cosine",),
)
CURATED_IMAGES = Schema(
    {
        "image_id": (pl.String, "image, unique over the whole set", "duplicate_groups.image_id"),
        "source_row": (pl.Int64, "source row it stands for", "duplicate_groups.source_row"),
        "uid": (pl.String, "the source's own id; null where it has none", "raw_images.uid"),
        "url": (pl.String, "where it came from", "raw_images.url"),
        "text": (pl.String, "text of the source", "raw_images.text"),
        "alt_texts": (
            pl.List(pl.String),
            "other texts of the source for this image, then those of exact copies",
            "source_rows.alt_texts",
            "duplicate_groups.alt_texts",
            "raw_images.text",
        ),
        "width": (pl.Int32, "pixels, as fetched after EXIF orientation", "raw_images.width"),
        "height": (pl.Int32, "pixels, as fetched after EXIF orientation", "raw_images.height"),
        "group_id": (pl.String, "duplicate group", "duplicate_groups.group_id"),
        "aesthetic": (pl.Float64, "aesthetic score of the source; null when unknown", "source_rows.aesthetic"),
        "similarity": (pl.Float64, "image-text similarity of the source", "source_rows.similarity"),
        "punsafe": (pl.Float64, "unsafe probability of the source", "source_rows.punsafe"),
        "pwatermark": (pl.Float64, "watermark probability of the source", "source_rows.pwatermark"),
        "tier": (pl.String, "highest tier reached, under a profile with tiers", "filtered_images.tier"),
        "boost": (pl.Float64, "factor of a list of curation.boost, 1 without, under a profile with such lists"),
    },
    by_profile=("tier", "boost"),
)
CURATION_REPORT = Schema(
    {
        "rule": (pl.String, "rule with a bound"),
        "of_tier": (pl.String, "tier that asks for it; empty for what every image has to meet"),
        "column": (pl.String, "what the rule looks at"),
        "side": (pl.String, "min: smaller values fail; max: larger ones"),
        "bound": (pl.Float64, "value of the bound; of a share, what it came to", "score_quantiles.last"),
        "known": (pl.Int64, "images that have a value", *_JUDGED),
        "unknown": (pl.Int64, "images that have none", *_JUDGED),
        "smallest": (pl.Float64, "smallest value", *_JUDGED),
        "largest": (pl.Float64, "largest value", *_JUDGED),
        "outside": (pl.Int64, "values that fail the bound, whatever else the image fails", *_JUDGED),
    }
)
