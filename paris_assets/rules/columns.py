"""The columns that rules see, and the images of a shard with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from paris_assets.config import OwnRule, QuantileRule
from paris_assets.errors import did_you_mean
from paris_assets.rules.rule import AnyRule, RuleError, apply_rule, is_number, load_rule

_SIDES = pl.min_horizontal("width", "height"), pl.max_horizontal("width", "height")
DERIVED = {
    "short_side": _SIDES[0],
    "long_side": _SIDES[1],
    "aspect": _SIDES[1] / _SIDES[0],
    "pixels": pl.col("width").cast(pl.Int64) * pl.col("height"),
}
FILE_COLUMNS = {
    "source_row": pl.Int64,
    "url": pl.String,
    "text": pl.String,
    "size_bytes": pl.Int64,
    "width": pl.Int32,
    "height": pl.Int32,
    "format": pl.String,
}
VERDICTS = ("kept", "reason", "value", "reasons", "tier", "stopped_by", "prune_reason")
"""Columns of `filtered_images`, which stand beside those that rules see."""
SOURCE_SCORES = ("aesthetic", "similarity", "punsafe", "pwatermark")


def rule_columns(
    signals: Mapping[str, pl.DataType | type[pl.DataType]], scores: Iterable[str]
) -> tuple[pl.Schema, pl.Schema]:
    """Columns and types that signal rules see, and those that score rules see.

    Args:
        signals: columns of `image_signals`.
        scores: columns of `content_scores` beside `image_id`.
    """
    first = pl.Schema({**FILE_COLUMNS, **dict.fromkeys(DERIVED, pl.Float64), **signals})
    return first, pl.Schema({**first, **dict.fromkeys(SOURCE_SCORES, pl.Float64), **dict.fromkeys(scores, pl.Float32)})


def distinct_images(ledger: pl.LazyFrame) -> pl.LazyFrame:
    """Fetched images of a shard with what is known of the file: one row per distinct image, of several source rows with
    the same bytes the first."""
    files = ledger.filter(pl.col("status") == "ok").select("image_id", *FILE_COLUMNS)
    return files.sort("source_row").unique("image_id", keep="first", maintain_order=True)


def measured_images(ledger: pl.LazyFrame, signals: pl.LazyFrame) -> pl.LazyFrame:
    """``distinct_images`` with their signals, sorted by image_id."""
    return distinct_images(ledger).join(signals, on="image_id").sort("image_id")


def with_derived(images: pl.LazyFrame) -> pl.LazyFrame:
    """Images with `short_side`, `long_side`, `aspect` (long over short) and `pixels`, where their size is known."""
    known = images.collect_schema()
    sized = "width" in known and "height" in known
    return images.with_columns(**{name: how for name, how in DERIVED.items() if name not in known}) if sized else images


def column_problem(settings: AnyRule | QuantileRule, columns: Iterable[str], schema: pl.Schema) -> str | None:
    """Why a rule that reads these columns cannot judge a table of this schema, or None."""
    bounds = not isinstance(settings, OwnRule)
    for column in columns:
        if column not in schema:
            usable = sorted(name for name, dtype in schema.items() if is_number(dtype) or not bounds)
            wanted = f"{column!r}, which does not exist here{did_you_mean(column, usable)}"
            return f"rule {settings.name!r} is on column {wanted}; there are {usable}"
        if bounds and not is_number(schema[column]):
            return f"rule {settings.name!r} is on column {column!r}, which holds {schema[column]}, not numbers"
    return None


def rule_problem(settings: AnyRule | QuantileRule, schema: pl.Schema) -> str | None:
    """Why a rule cannot judge a table of this schema, or None. A rule of your own is tried on a table without rows."""
    if isinstance(settings, QuantileRule):
        return column_problem(settings, [settings.column], schema)
    try:
        rule = load_rule(settings)
        problem = column_problem(settings, rule.columns, schema)
        if problem is None and isinstance(settings, OwnRule):
            known = {"image_id": pl.String(), **{name: schema[name] for name in rule.columns}}
            apply_rule(settings, rule, pl.DataFrame(schema=known))
    except RuleError as error:
        return str(error)
    return problem
