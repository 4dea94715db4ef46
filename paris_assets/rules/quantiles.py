"""Rules by rank: which values bound a share of all images, and how an image is judged by them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import polars as pl

from paris_assets.config import QuantileRule

LAST_ID = "g"
"""Behind every image_id, which is hexadecimal."""


class Ranked:
    """A quantile rule with the two images that bound its share, in the order of value (descending) and image_id.

    Args:
        settings: of the rule.
        first: value and image_id of the first image that is kept; None where none is.
        last: of the last one.
    """

    def __init__(self, settings: QuantileRule, first: tuple[float, str] | None, last: tuple[float, str] | None) -> None:
        self.name, self.null = settings.name, settings.null
        self.columns: Sequence[str] = [settings.column]
        self._first, self._last = first, last

    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Whether each image stands between the two that bound the share, and its value."""
        value = images[self.columns[0]].cast(pl.Float64).fill_nan(None)
        if self._first is None or self._last is None:
            return pl.select(pl.when(value.is_not_null()).then(False)).to_series(), value
        number, name = pl.col("value"), pl.col("image_id")
        not_above = (number < self._first[0]) | ((number == self._first[0]) & (name >= self._first[1]))
        not_below = (number > self._last[0]) | ((number == self._last[0]) & (name <= self._last[1]))
        kept = images.select("image_id", value=value).select(kept=not_above & not_below)["kept"]
        return kept, value


def resolve(images: pl.LazyFrame, rules: Sequence[QuantileRule]) -> list[dict[str, Any]]:
    """What bounds the share of each rule: rows of `score_quantiles`.

    Args:
        images: `image_id` and the columns of the rules, of all images that meet every other rule. An image that is
            there more than once counts once, by its largest value.
        rules: to resolve.

    Returns:
        For each rule `rule`, `column`, `ranked` (images with a value), `kept` (of these: from the floor of the share's
        one end times `ranked` to that of its other end), and value and image_id of the `first` and the `last` kept.
    """
    return [_resolved(images, rule) for rule in rules]


def _resolved(images: pl.LazyFrame, rule: QuantileRule) -> dict[str, Any]:
    value = pl.col(rule.column).cast(pl.Float64).fill_nan(None)
    known = images.select("image_id", value=value).filter(pl.col("value").is_not_null())
    order = known.sort("value", "image_id", descending=[True, False])
    ranking = order.unique("image_id", keep="first", maintain_order=True).collect()
    # As fractions: 0.29 * 100 is less than 29 in floating point.
    start, end = (int(Fraction(str(share)) * ranking.height) for share in rule.shares)
    bounds: dict[str, Any] = dict.fromkeys(("first", "first_id", "last", "last_id"))
    if end > start:
        (first, first_id), (last, last_id) = (ranking.select("value", "image_id").row(at) for at in (start, end - 1))
        bounds = {"first": first, "first_id": first_id, "last": last, "last_id": last_id}
    return {"rule": rule.name, "column": rule.column, "ranked": ranking.height, "kept": end - start, **bounds}


def ranked(rules: Sequence[QuantileRule], resolved: pl.DataFrame) -> list[Ranked]:
    """The rules with what bounds them.

    Args:
        resolved: `score_quantiles`, a row for each rule.
    """
    rows = {row["rule"]: row for row in resolved.iter_rows(named=True)}
    return [_ranked(rule, rows[rule.name]) for rule in rules]


def _ranked(rule: QuantileRule, row: dict[str, Any]) -> Ranked:
    if not row["kept"]:
        return Ranked(rule, None, None)
    # What comes later and exceeds all that was ranked belongs to a share that begins at the top.
    start, end = rule.shares
    first = (row["first"], row["first_id"]) if start > 0 else (float("inf"), "")
    last = (row["last"], row["last_id"]) if end < 1 else (float("-inf"), LAST_ID)
    return Ranked(rule, first, last)
