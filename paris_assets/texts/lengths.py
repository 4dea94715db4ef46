"""How long captions are in tokens, and what share of them text encoders cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

CUTS = (64, 77, 128, 256)
"""Lengths at which text encoders of image generators are used, tokens."""


def length_facts(tokens: pl.Series, truncated: pl.Series) -> dict[str, Any]:
    """Facts of a shard of `text_embeddings`.

    Args:
        tokens: of each caption those that are stored.
        truncated: those that were cut from it; null where the encoder cannot tell.

    Returns:
        ``true_tokens`` in all; ``captions_counted``; of these ``captions_truncated``, and ``captions_longer_than`` each
        of ``CUTS``.
    """
    whole = (tokens + truncated).drop_nulls()
    return {
        "true_tokens": int(tokens.sum()),
        "captions_counted": len(whole),
        "captions_truncated": int(truncated.gt(0).sum()),
        "captions_longer_than": {str(cut): int((whole > cut).sum()) for cut in CUTS},
    }


def lengths_of(facts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of several shards together, with shares of the captions that were counted in place of
    ``captions_longer_than``; empty where none was counted."""
    found = [each for each in facts if each.get("captions_counted")]
    if not found:
        return {}
    sums = {
        name: sum(each[name] for each in found) for name in ("captions_counted", "captions_truncated", "true_tokens")
    }
    longer = {str(cut): sum(each["captions_longer_than"][str(cut)] for each in found) for cut in CUTS}
    shares = {cut: round(count / sums["captions_counted"], 6) for cut, count in longer.items()}
    return {**sums, "share_longer_than": shares}
