"""Whether random rows of the same size stand beside every subset that was trained on."""

from __future__ import annotations

import polars as pl

from paris_assets.pool.comparisons import subsets_of
from paris_assets.pool.trials import ALL


def uncontrolled(table: pl.DataFrame, most: float) -> list[str]:
    """A problem, in words, for each subset whose comparison with random rows does not hold.

    Args:
        table: `selection_probe`.
        most: largest relative difference of the rows of controls from those of the subset.
    """
    plain = table.filter(pl.col("fraction").is_null())
    whole = plain.filter(subset=ALL).select("seed", whole="rows")
    found = []
    for subset in subsets_of(table):
        own = plain.filter(pl.col("subset") == subset, pl.col("control_of").is_null())
        if own.join(whole, on="seed", how="left").select((pl.col("rows") == pl.col("whole")).all()).item():
            continue  # all rows are their own control
        found += _problems(subset, own, plain.filter(pl.col("control_of") == subset), most)
    return found


def _problems(subset: str, own: pl.DataFrame, controls: pl.DataFrame, most: float) -> list[str]:
    if not controls.height:
        return [f"{subset} has no random control"]
    runs, found = set(own["seed"]), []
    for (name,), part in controls.group_by("subset", maintain_order=True):
        if set(part["seed"]) != runs:
            found.append(f"{name} of {subset} is there in {part['seed'].n_unique()} of {len(runs)} runs")
    rows, beside = own["rows"].to_numpy().mean(), controls["rows"].to_numpy().mean()
    if abs(beside - rows) > most * rows:
        found.append(f"controls of {subset} have {beside:,.0f} rows where it has {rows:,.0f}")
    return found
