"""The report of the pool: what was chosen and why, and whether it is worth more than random rows of its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.pages.environment import pages
from paris_assets.pool import concept_map
from paris_assets.pool.comparisons import RANDOM, Comparison, compared_with_others, curve_of
from paris_assets.pool.drawing import drawn
from paris_assets.pool.schema import POOL_REPORT
from paris_assets.pool.trials import ALL, SELECTION, controls_among
from paris_assets.settings.probe import Probe
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

PAGE, TEMPLATE = "analysis/pool_report.html", "pool_report.html.jinja"
LISTED = 40  # concepts below the map, largest first


@dataclass(frozen=True)
class Found:
    """What is known of a pool; tables named as the assets are, None where the profile has no such asset."""

    source_rows: Shards
    pool_scores: pl.LazyFrame
    subset_files: pl.LazyFrame
    concept_model: pl.LazyFrame | None = None
    concept_evidence: pl.LazyFrame | None = None
    concept_verdicts: pl.LazyFrame | None = None
    selection_probe: pl.LazyFrame | None = None


def reported(found: Found, settings: Probe | None, seed: int) -> Output:
    """Rows of `pool_report`, one per subset and random control, and the page.

    Args:
        settings: of the probe, or None where there is none.
    """
    output = Output(rows_in=_count(found.pool_scores), rows_of_models=False)

    def write() -> Iterator[pl.DataFrame]:
        table = found.selection_probe.collect() if found.selection_probe is not None else None
        confidence = settings.confidence if settings else Probe().confidence
        comparisons = compared_with_others(table, confidence) if table is not None else []
        rows = subset_rows(found, table, comparisons)
        curve = curve_of(table, confidence) if table is not None else []
        values = {
            "rows": rows.to_dicts(),
            "funnel": funnel(found.pool_scores),
            "points": _points(found, seed),
            "comparisons": comparisons,
            "main": next((one for one in comparisons if (one.subset, one.others) == (SELECTION, RANDOM)), None),
            "curve": drawn(curve) if curve else None,
            "confidence": confidence,
            "runs": int(table["seed"].n_unique()) if table is not None else 0,
            "map": concept_map,
            "listed": LISTED,
        }
        output.add_file(PAGE, pages(Path(__file__).parent).get_template(TEMPLATE).render(**values).encode())
        output.links["report"] = PAGE
        yield rows

    output.rows = write()
    return output


def funnel(pool_scores: pl.LazyFrame) -> dict[str, Any]:
    """Rows of the pool, those that are selected, and the others by the step that dropped them, most first."""
    counts = pool_scores.group_by("selected", "reason").len().collect(engine="streaming")
    dropped = counts.filter(~pl.col("selected")).sort("len", "reason", descending=[True, False])
    total, selected = int(counts["len"].sum()), int(counts.filter("selected")["len"].sum())
    reasons = [{"reason": reason or "no reason given", "rows": rows} for _, reason, rows in dropped.iter_rows()]
    return {"total": total, "selected": selected, "reasons": reasons}


def subset_rows(found: Found, table: pl.DataFrame | None, comparisons: list[Comparison]) -> pl.DataFrame:
    """Rows of `pool_report`: all rows, the selection and its controls, then further subsets."""
    scores = found.source_rows.frame().select("source_row", pl.col("similarity").cast(pl.Float64))
    kinds = found.pool_scores.collect_schema()
    flags = [name for name, kind in kinds.items() if kind == pl.Boolean and name != "selected"]
    controls = controls_among(flags)
    names = [*controls, *(name for name in flags if name not in controls)]
    holds = {ALL: pl.lit(True), SELECTION: pl.col("selected"), **{name: pl.col(name) for name in names}}
    joined = found.pool_scores.select("source_row", "selected", *names).join(scores, on="source_row", how="left")
    wide = joined.select(
        *(held.cast(pl.Int64).sum().alias(f"{name} rows") if name != ALL else pl.len().alias(f"{name} rows")
          for name, held in holds.items()),
        *(pl.col("similarity").filter(held).mean().alias(f"{name} similarity") for name, held in holds.items()),
    ).collect(engine="streaming").row(0, named=True)  # fmt: skip
    total, shares = wide[f"{ALL} rows"], _found(found.subset_files)
    gains = {one.subset: one.gain for one in comparisons if one.others == RANDOM}
    probed = _probed(table)
    rows = []
    for name in holds:
        count, gain = wide[f"{name} rows"], gains.get(name)
        known = {"subset": name, "rows": count, "share": count / total if total else 0.0, "found": shares.get(name)}
        known |= {"similarity": wide[f"{name} similarity"], "value": probed.get(name)}
        rows.append(known | ({"difference": gain.difference, "low": gain.low, "high": gain.high} if gain else {}))
    return POOL_REPORT.frame(rows)


def _found(subset_files: pl.LazyFrame) -> dict[str, float]:
    """Subset -> share of its rows whose image was fetched, where it is known."""
    files = subset_files.select("subset", "rows", "found").collect().filter(pl.col("found").is_not_null())
    return {name: found / rows for name, rows, found in files.iter_rows() if rows}


def _probed(table: pl.DataFrame | None) -> dict[str, float]:
    """Subset, or control of the selection -> mean value."""
    if table is None:
        return {}
    own = table.filter(pl.col("fraction").is_null(), pl.col("control_of").fill_null(SELECTION) == SELECTION)
    return dict(own.group_by("subset", maintain_order=True).agg(pl.col("value").mean()).iter_rows())


def _points(found: Found, seed: int) -> list[dict[str, Any]]:
    if found.concept_model is None or found.concept_evidence is None:
        return []
    verdicts = found.concept_verdicts.collect() if found.concept_verdicts is not None else None
    return concept_map.points(found.concept_model.collect(), found.concept_evidence.collect(), verdicts, seed)


def _count(rows: pl.LazyFrame) -> int:
    return rows.select(pl.len()).collect().item()
