"""Judgement on captions and text embeddings."""

from __future__ import annotations

import polars as pl

from paris_assets.storage.asset_check import Judgement, shard_check
from paris_assets.storage.joins import same_images
from paris_assets.storage.moments import scale
from paris_assets.storage.store import Store


def ids_joined(store: Store, shard: str) -> Judgement:
    """Every curated image has exactly one caption."""
    return same_images(store, "captions", shard, store.scan("curated_images", [shard]))


def captions_not_empty(store: Store, shard: str) -> Judgement:
    """No caption is empty."""
    captions = store.scan("captions", [shard]).select(pl.col("caption").fill_null("").str.strip_chars()).collect()
    empty = captions.filter(pl.col("caption") == "").height
    return Judgement(empty == 0, f"{empty} of {captions.height} captions are empty", {"empty": empty})


def captions_differ(store: Store, shard: str) -> Judgement:
    """No single caption makes up too much of a shard."""
    captions = store.scan("captions", [shard]).select("caption").collect()
    if captions.height < 2:
        return Judgement(True, f"{captions.height} captions", {"top_share": 0.0})
    text, count = captions["caption"].value_counts(sort=True).sort("count", "caption", descending=[True, False]).row(0)
    share, most = count / captions.height, store.profile.checks.max_top_caption
    said = f"{text!r} is {share:.1%} of {captions.height} captions (at most {most:.0%})"
    return Judgement(share <= most, said, {"top_share": share, "bound": most})


def embeddings_sane(store: Store, shard: str) -> Judgement:
    """Text embeddings are one per caption, finite, differ between captions, and their token counts fit the padding."""
    joined = same_images(store, "text_embeddings", shard, store.scan("captions", [shard]))
    table = store.scan("text_embeddings", [shard])
    found, bounds = scale(table, "pooled"), store.profile.checks
    whole = scale(table, "embedding")
    tokens = table.select((~pl.col("tokens").is_between(1, store.profile.text.tokens)).sum()).collect().item() or 0
    differ = table.select(pl.col("caption").n_unique()).collect().item() > 1
    flat = differ and found.spread < bounds.min_embedding_std
    large = found.largest_norm > bounds.max_embedding_norm
    bad = found.not_finite + whole.not_finite
    said = (
        f"{joined.said}; {bad} rows not finite, largest norm {found.largest_norm:.3g}, "
        f"mean deviation {found.spread:.3g}, {tokens} token counts outside 1..{store.profile.text.tokens}"
    )
    figures: dict[str, float | int | str] = {
        "not_finite": bad,
        "largest_norm": found.largest_norm,
        "deviation": found.spread,
    }
    return Judgement(joined.passed and not (bad or flat or large or tokens), said, figures)


caption_ids_check = shard_check("captions")(ids_joined)
empty_captions_check = shard_check("captions")(captions_not_empty)
captions_differ_check = shard_check("captions")(captions_differ)
text_embeddings_check = shard_check("text_embeddings")(embeddings_sane)
