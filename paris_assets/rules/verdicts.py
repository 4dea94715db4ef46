"""Verdicts: which images pass the profile's rules, and what each rule saw."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paris_assets.config import Curation
from paris_assets.rules.columns import column_problem, measured_images, with_derived
from paris_assets.rules.rule import AnyRule, RuleError, apply_rule, load_rule

UNDECODABLE = "undecodable"


def judge(table: pl.DataFrame | pl.LazyFrame, rules: Sequence[AnyRule]) -> pl.DataFrame:
    """Apply rules to measured images.

    Args:
        table: one row per image: `image_id` and every column that a rule names. `short_side`, `long_side`, `aspect`
            (long over short side) and `pixels` are derived from `width` and `height`. Where `undecodable` is true,
            that is the first reason, and rules judge only what is known (its size).
        rules: in order of precedence.

    Returns:
        `image_id`, `kept`, `reason` (first failing rule, null when kept), `value` (what that rule saw, float64, null
        when unknown), `reasons` (every failing rule, in order), sorted by image_id.

    Raises:
        RuleError: a rule whose column does not exist or holds no numbers, or one of your own that fails; names it.
    """
    seen = with_derived(table.lazy())
    schema, loaded = seen.collect_schema(), [load_rule(settings) for settings in rules]
    for settings, rule in zip(rules, loaded, strict=True):
        problem = column_problem(settings, rule.columns, schema)
        if problem:
            raise RuleError(problem)
    read = {UNDECODABLE, *(column for rule in loaded for column in rule.columns)} & set(schema) - {"image_id"}
    images = seen.select("image_id", *sorted(read)).collect()
    undecodable = pl.col(UNDECODABLE).fill_null(False) if UNDECODABLE in schema else pl.lit(False)
    judged = images.select("image_id", failed_0=undecodable, value_0=pl.lit(None, pl.Float64))
    for number, (settings, rule) in enumerate(zip(rules, loaded, strict=True), 1):
        kept, value = apply_rule(settings, rule, images)
        # What cannot be told of an image that cannot be decoded is no further reason.
        unknown = ~pl.col("failed_0") if settings.null == "reject" else pl.lit(False)
        failed = pl.when(kept.is_null()).then(unknown).otherwise(~kept)
        judged = judged.with_columns(failed.alias(f"failed_{number}"), value.alias(f"value_{number}"))
    return _verdicts(judged, [UNDECODABLE, *(rule.name for rule in rules)])


def _verdicts(judged: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """From `failed_i` and `value_i` of every rule to one verdict per image."""
    failed = [pl.col(f"failed_{i}") for i in range(len(names))]
    return judged.select(
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
    ).sort("image_id")


def passing_signals(ledger: pl.LazyFrame, signals: pl.LazyFrame, settings: Curation) -> pl.Series:
    """image_ids that pass the rules on file and signals: those worth scoring by models."""
    verdict = judge(measured_images(ledger, signals), settings.signal_rules)
    return verdict.filter("kept")["image_id"]
