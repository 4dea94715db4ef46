"""Verdicts: which images pass the profile's rules, and what each rule saw.

Beside the stages, because two of them judge: `content_scores` to spare models, `filtered_images` to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from paris_assets.config import Curation, Rule

UNDECODABLE = "undecodable"

_SIDES = pl.min_horizontal("width", "height"), pl.max_horizontal("width", "height")
DERIVED = {"short_side": _SIDES[0], "aspect": _SIDES[1] / _SIDES[0]}


def judge(table: pl.DataFrame | pl.LazyFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Apply rules to measured images.

    Args:
        table: one row per image: `image_id` and every column that a rule names. `short_side` and `aspect` (long over
            short side) are derived from `width` and `height`. Where `undecodable` is true, that is the first reason,
            and rules judge only what is known (its size).
        rules: in order of precedence.

    Returns:
        `image_id`, `kept`, `reason` (first failing rule, null when kept), `value` (what that rule saw, float64, null
        when unknown), `reasons` (every failing rule, in order), sorted by image_id.

    Raises:
        ValueError: a rule whose column does not exist or holds no numbers; names both.
    """
    images = table.lazy()
    schema = images.collect_schema()
    if "width" in schema and "height" in schema:
        images = images.with_columns(**{name: how for name, how in DERIVED.items() if name not in schema})
        schema = images.collect_schema()
    values = [_value(rule, schema) for rule in rules]
    undecodable = pl.col(UNDECODABLE).fill_null(False) if UNDECODABLE in schema else pl.lit(False)
    failures = [undecodable, *(_fails(rule, value, undecodable) for rule, value in zip(rules, values, strict=True))]
    names = [UNDECODABLE, *(rule.name for rule in rules)]
    verdict = images.select(
        "image_id",
        *(failed.alias(f"failed_{i}") for i, failed in enumerate(failures)),
        *(value.alias(f"value_{i + 1}") for i, value in enumerate(values)),
        pl.lit(None, pl.Float64).alias("value_0"),
    )
    failed = [pl.col(f"failed_{i}") for i in range(len(names))]
    return (
        verdict.select(
            "image_id",
            kept=~pl.any_horizontal(failed),
            reason=pl.coalesce(pl.when(flag).then(pl.lit(name)) for flag, name in zip(failed, names, strict=True)),
            # A list, as the first failing rule's value may itself be null.
            value=pl.concat_list(
                pl.when(flag).then(pl.concat_list(f"value_{i}")).otherwise(pl.lit([], pl.List(pl.Float64)))
                for i, flag in enumerate(failed)
            ).list.first(),
            reasons=pl.concat_list(
                pl.when(flag).then(pl.lit(name)) for flag, name in zip(failed, names, strict=True)
            ).list.drop_nulls(),
        )
        .sort("image_id")
        .collect()
    )


def rule_problem(rule: Rule, schema: pl.Schema) -> str | None:
    """Why a rule cannot judge a table with these columns, or None."""
    if rule.column not in schema:
        usable = sorted(name for name, dtype in schema.items() if _judgeable(dtype))
        return f"rule {rule.name!r} is on column {rule.column!r}, which does not exist here; there are {usable}"
    if not _judgeable(schema[rule.column]):
        return f"rule {rule.name!r} is on column {rule.column!r}, which holds {schema[rule.column]}, not numbers"
    return None


def _judgeable(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


def _value(rule: Rule, schema: pl.Schema) -> pl.Expr:
    """What the rule sees, as float64; NaN is unknown."""
    problem = rule_problem(rule, schema)
    if problem:
        raise ValueError(problem)
    return pl.col(rule.column).cast(pl.Float64).fill_nan(None)


def _fails(rule: Rule, value: pl.Expr, undecodable: pl.Expr) -> pl.Expr:
    outside = pl.lit(False)
    if rule.min is not None:
        outside = outside | (value < rule.min)
    if rule.max is not None:
        outside = outside | (value > rule.max)
    unknown = ~undecodable if rule.null == "reject" else pl.lit(False)
    return pl.when(value.is_null()).then(unknown).otherwise(outside)


FILE_COLUMNS = {"source_row": pl.Int64, "size_bytes": pl.Int64, "width": pl.Int32, "height": pl.Int32}
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


def measured_images(ledger: pl.LazyFrame, signals: pl.LazyFrame) -> pl.LazyFrame:
    """Fetched images of a shard with file size and signals, one row per distinct image, sorted by image_id."""
    files = ledger.filter(pl.col("status") == "ok").select("image_id", *FILE_COLUMNS)
    first = files.sort("source_row").unique("image_id", keep="first", maintain_order=True)
    return first.join(signals, on="image_id").sort("image_id")


def passing_signals(ledger: pl.LazyFrame, signals: pl.LazyFrame, settings: Curation) -> pl.Series:
    """image_ids that pass the rules on file and signals: those worth scoring by models."""
    verdict = judge(measured_images(ledger, signals), settings.signal_rules)
    return verdict.filter("kept")["image_id"]
