"""The named selectors, each a function of its settings and of what is known of the rows that are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.balancing import balanced
from paris_assets.pool.drawn import random_rows, share_of
from paris_assets.pool.near_copies import deduplicated
from paris_assets.pool.outcome import Outcome, View
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.pool.pruning import pruned
from paris_assets.pool.reference_vectors import like_references
from paris_assets.settings.selectors import (
    Balance,
    Basic,
    Bounds,
    ClipScore,
    Deduplicate,
    ImageBased,
    Judged,
    Laion2b,
    NoFilter,
    Prune,
    Random,
    Steps,
    TextBased,
)


def judge(step: Steps, view: View) -> Outcome:
    """What a step says of the rows that are left.

    Raises:
        UnusablePool: a bound that no score can meet, or a column or vector that is not there.
    """
    return _JUDGES[type(step)](step, view)


def columns_needed(step: Steps) -> list[str]:
    """Columns without which a step can say nothing."""
    if isinstance(step, ClipScore | Bounds):
        return [step.column]
    named: dict[type, list[str]] = {
        Basic: ["language", "words", "characters", "source_width", "source_height"],
        Laion2b: ["language", "clip_b32"],
        TextBased: ["language", "wordnet"],
        Judged: ["concept"],
        Prune: ["concept", "distance"],
    }
    if isinstance(step, Balance) and step.words is None:
        return ["concept"]
    if isinstance(step, Deduplicate) and step.by_concept:
        return ["concept", "distance"]
    if isinstance(step, ImageBased):
        return [*(["language"] if step.language else []), "words", "characters"]
    return named.get(type(step), [])


def _no_filter(_: NoFilter, view: View) -> Outcome:
    return Outcome(np.ones(len(view.rows), bool))


def _basic(step: Basic, view: View) -> Outcome:
    width, height = view.numbers("source_width"), view.numbers("source_height")
    short, long = np.minimum(width, height), np.maximum(width, height)
    speaks, spoken = _speaks(view, step.language)
    words, characters = view.numbers("words"), view.numbers("characters")
    missing = ~spoken | np.isnan(short) | np.isnan(words) | np.isnan(characters)
    large = (short >= step.min_side) & (long <= step.max_aspect * short)
    kept = speaks & (words >= step.min_words) & (characters >= step.min_characters) & large
    return Outcome(kept & ~missing, missing)


def _clip_score(step: ClipScore, view: View) -> Outcome:
    if step.min is not None:
        return _at_least(view, step.column, step.min)
    whole, score = np.arange(len(view.table)), view.all_numbers(step.column)
    scope = whole if step.of == "pool" else view.rows
    ranked = view.table.order(scope[~np.isnan(score[scope])], -score)
    count = len(view.rows) if step.of == "remaining" else len(whole)
    start, end = (min(share_of(count, share), len(ranked)) for share in step.shares)
    places = np.full(len(whole), -1)
    places[ranked] = np.arange(len(ranked))
    rank, value = places[view.rows], score[view.rows]
    facts: dict[str, Any] = {"column": step.column, "of": step.of, "counted": count, "first": start, "end": end}
    if end > start:
        facts |= {"largest": float(score[ranked[start]]), "threshold": float(score[ranked[end - 1]])}
    return Outcome((rank >= start) & (rank < end), np.isnan(value), value, rank, facts)


def _laion2b(step: Laion2b, view: View) -> Outcome:
    speaks, spoken = _speaks(view, step.language)
    scored = _at_least(view, "clip_b32", step.min)
    assert scored.missing is not None
    return Outcome(scored.kept & speaks, scored.missing | ~spoken, scored.value, facts=scored.facts)


def _text_based(step: TextBased, view: View) -> Outcome:
    speaks, spoken = _speaks(view, step.language)
    known = view.numbers("wordnet")
    return Outcome(speaks & (known == 1), ~spoken | np.isnan(known))


def _image_based(step: ImageBased, view: View) -> Outcome:
    speaks = spoken = np.ones(len(view.rows), bool)
    if step.language:
        speaks, spoken = _speaks(view, step.language)
    words, characters = view.numbers("words"), view.numbers("characters")
    kept = speaks & (words >= step.min_words) & (characters >= step.min_characters)
    near, found, facts = like_references(step, view)
    missing = ~spoken | np.isnan(words) | np.isnan(characters) | ~found
    return Outcome(kept & near & ~missing, missing, facts=facts)


def _bounds(step: Bounds, view: View) -> Outcome:
    if step.values is not None:
        values = view.table.aligned(view.known.table(step.column), step.column)[view.rows].cast(pl.String)
        wanted = [str(value).lower() if isinstance(value, bool) else value for value in step.values]
        return Outcome(values.is_in(wanted).fill_null(False).to_numpy(), values.is_null().to_numpy())
    _require_number(view, step.column)
    value = view.numbers(step.column)
    low, high = step.min if step.min is not None else -np.inf, step.max if step.max is not None else np.inf
    _require_reachable(value, step.column, low, high)
    facts = {"column": step.column, "min": step.min, "max": step.max}
    return Outcome(_within(value, low, high), np.isnan(value), value, facts=facts)


def _judged(_: Judged, view: View) -> Outcome:
    assert view.known.concept_verdicts is not None
    verdicts = view.known.concept_verdicts.select("concept", "verdict").collect()
    kept = verdicts.filter(pl.col("verdict") == "keep")["concept"].to_numpy()
    concept = view.concepts()
    missing = ~np.isin(concept, verdicts["concept"].to_numpy())
    facts = {"concepts_kept": len(kept), "concepts_dropped": verdicts.height - len(kept)}
    return Outcome(np.isin(concept, kept), missing, facts=facts)


def _random(step: Random, view: View) -> Outcome:
    table, count = view.table, share_of(len(view.rows), step.fraction)
    drawn = random_rows(view.rows, table.high, table.low, count, view.seed, f"random {step.said}")
    return Outcome(np.isin(view.rows, drawn), facts={"counted": len(view.rows), "kept": count})


def _at_least(view: View, column: str, least: float) -> Outcome:
    value = view.numbers(column)
    _require_reachable(value, column, least, np.inf)
    facts = {"column": column, "threshold": least}
    return Outcome(_within(value, least, np.inf), np.isnan(value), value, facts=facts)


def _speaks(view: View, language: str) -> tuple[np.ndarray, np.ndarray]:
    """(M,) whether the caption's most probable language is this one, and whether any is known."""
    found = view.table.aligned(view.known.table("language"), "language")[view.rows]
    return (found == language).fill_null(False).to_numpy(), found.is_not_null().to_numpy()


def _within(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """(M,) whether values are within bounds, in the single precision of lists: there 0.281 is not below itself."""
    single = value.astype(np.float32)
    return (single >= np.float32(low)) & (single <= np.float32(high))


def _require_number(view: View, column: str) -> None:
    kind = view.known.table(column).collect_schema()[column]
    if not (kind.is_numeric() or kind == pl.Boolean):
        raise UnusablePool(f"{column} holds {kind}, which min and max do not bound: give values")


def _require_reachable(value: np.ndarray, column: str, low: float, high: float) -> None:
    """Some score meets the bound: a threshold on another scale would drop all of them without a word."""
    known = value[~np.isnan(value)].astype(np.float32)
    low, high = float(np.float32(low)), float(np.float32(high))
    if len(known) and (known.max() < low or known.min() > high):
        bound = f"at least {low:g}" if known.max() < low else f"at most {high:g}"
        raise UnusablePool(
            f"no row can meet {column} of {bound}: those of the {len(known)} rows that come here lie between "
            f"{known.min():g} and {known.max():g}. Give a threshold within them"
        )


_JUDGES: dict[type, Callable[[Any, View], Outcome]] = {
    NoFilter: _no_filter, Basic: _basic, ClipScore: _clip_score, Laion2b: _laion2b, TextBased: _text_based,
    ImageBased: _image_based, Bounds: _bounds, Judged: _judged, Deduplicate: deduplicated, Prune: pruned,
    Balance: balanced, Random: _random,
}  # fmt: skip
