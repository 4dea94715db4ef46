"""Every bound of the rules of a profile: what it asks, and which images lie on either side of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from paris_assets.config import Curation, Rule


@dataclass(frozen=True)
class Bound:
    """One end of a rule.

    Attributes:
        rule: name of the rule.
        column: what it looks at.
        side: ``min`` (smaller values fail) or ``max``.
        value: of the bound; for a share of the whole set, what it came to.
        tier: the tier that asks for it; empty for what every image has to meet.
    """

    rule: str
    column: str
    side: str
    value: float
    tier: str = ""

    def fails(self) -> pl.Expr:
        """Whether a value lies outside."""
        value = pl.col(self.column).cast(pl.Float64).fill_nan(None)
        return value < self.value if self.side == "min" else value > self.value

    def nearest(self) -> pl.Expr:
        """How far a value is from the bound."""
        return (pl.col(self.column).cast(pl.Float64).fill_nan(None) - self.value).abs()


def bounds_of(settings: Curation, quantiles: pl.DataFrame | None = None) -> list[Bound]:
    """Every bound of a profile: of its rules, of the shares as they were resolved, then of its tiers.

    Args:
        quantiles: `score_quantiles`, or None under a profile without quantile rules.
    """
    found = [bound for rule in settings.rejecting if isinstance(rule, Rule) for bound in _of(rule)]
    for row in quantiles.iter_rows(named=True) if quantiles is not None else ():
        start, end = next(rule.shares for rule in settings.quantile_rules if rule.name == row["rule"])
        found += [Bound(row["rule"], row["column"], "min", row["last"])] if end < 1 and row["kept"] else []
        found += [Bound(row["rule"], row["column"], "max", row["first"])] if start > 0 and row["kept"] else []
    for tier in settings.tiers[1:]:
        found += [bound for rule in tier.rules for bound in _of(rule, tier.name)]
    return found


def _of(rule: Rule, tier: str = "") -> Iterator[Bound]:
    for side, value in (("min", rule.min), ("max", rule.max)):
        if value is not None:
            yield Bound(rule.name, rule.column, side, value, tier)


def sides(images: pl.DataFrame, bound: Bound, count: int) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Images that fail a bound and images that meet it, the nearest to it first: (image_id, value), up to ``count``.

    Args:
        images: `image_id`, the bound's column and `undecodable`; those that cannot be shown are left out.
    """
    value = pl.col(bound.column).cast(pl.Float64).fill_nan(None)
    shown = images.filter(~pl.col("undecodable").fill_null(False) & value.is_not_null())
    near = shown.select("image_id", value=value, outside=bound.fails(), distance=bound.nearest())
    near = near.sort("distance", "image_id").unique("image_id", keep="first", maintain_order=True)
    failing, meeting = (
        near.filter(outside=outside).head(count).select("image_id", "value").rows() for outside in (True, False)
    )
    return failing, meeting
