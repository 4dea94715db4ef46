"""MetaCLIP's balancing (Xu et al., Demystifying CLIP data): large entries are thinned, small ones stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.drawn import chances, lots
from paris_assets.pool.outcome import Outcome, View
from paris_assets.settings.selectors import Balance


def balanced(step: Balance, view: View) -> Outcome:
    """Rows thinned by the chance of their entries; `value` is that of each row."""
    drawn = chances(lots(view.table.high[view.rows], view.table.low[view.rows], view.seed, f"balance {step.said}"))
    if step.words is None:
        concept = view.concepts()
        counts = np.bincount(concept[concept >= 0])
        chance = np.where(concept >= 0, np.minimum(1, step.per_entry / np.maximum(counts, 1))[concept], 0.0)
        facts = {"entries": int((counts > 0).sum()), "thinned": int((counts > step.per_entry).sum())}
        return Outcome(drawn < chance, concept < 0, chance, facts=facts)
    chance, facts = _by_words(step, view)
    return Outcome(drawn < chance, None, chance, facts=facts)


def _by_words(step: Balance, view: View) -> tuple[np.ndarray, dict[str, Any]]:
    """(M,) chance of each row: that of any of its entries, drawn on their own."""
    assert step.words is not None
    entries = pl.DataFrame({"word": step.words}).select(_plain("word").unique().sort()).to_series().to_list()
    counts, log_missed = np.zeros(len(entries), np.int64), np.zeros(len(view.table))
    found = [_entries_of(view, key, entries) for key in view.known.source_rows.keys]
    for _, entry in found:
        counts += np.bincount(entry, minlength=len(entries))
    with np.errstate(divide="ignore"):
        logs = np.log1p(-np.minimum(1, step.per_entry / np.maximum(counts, 1)))
    for rows, entry in found:
        np.add.at(log_missed, rows, logs[entry])
    facts = {"entries": int((counts > 0).sum()), "thinned": int((counts > step.per_entry).sum())}
    return 1 - np.exp(log_missed[view.rows]), facts


def _entries_of(view: View, shard: str, entries: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a shard's rows that are left, and entries that each has, once."""
    texts = view.known.source_rows[shard].select("source_row", "text").collect()
    left = np.isin(texts["source_row"].to_numpy(), view.table.source_row[view.rows])
    matched = texts.filter(left).select("source_row", entry=_plain("text").str.extract_many(entries, overlapping=True))
    pairs = matched.explode("entry").drop_nulls().unique()
    numbers = (
        np.searchsorted(np.array(entries), pairs["entry"].to_numpy().astype(str)) if pairs.height else np.zeros(0, int)
    )
    return view.table.positions(pairs["source_row"].to_numpy()), numbers


def _plain(column: str) -> pl.Expr:
    """Letters and digits in lower case with two blanks between words, so that neighbours share none, and one around."""
    words = pl.col(column).str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", "  ").str.strip_chars()
    return pl.concat_str(pl.lit(" "), words, pl.lit(" "))
