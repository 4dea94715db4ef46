"""Lists of uids as DataComp's tools read them, each with a JSON file that says what it is."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.drawn import control_purpose, random_rows
from paris_assets.pool.pool_table import uid_halves
from paris_assets.pool.schema import POOL_SCORES, SUBSET_FILES
from paris_assets.settings.pool import Pool
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

UIDS = np.dtype([("f0", "<u8"), ("f1", "<u8")])
"""The first and the last 64 bits of a uid."""


@dataclass(frozen=True)
class Pairs:
    """The rows of a pool by uid, (N,) each: halves of the uid, whether it was tried, whether an image was found."""

    high: np.ndarray
    low: np.ndarray
    tried: np.ndarray
    found: np.ndarray


def written(pool_scores: pl.LazyFrame, raw_images: Shards, pool: Pool, seed: int, record: dict[str, Any]) -> Output:
    """`subset_files`: `subsets/NAME.npy` and `.json` of the selection, each subset and their random controls.

    Args:
        record: facts of `pool_scores`: what each step came to.
    """
    output = Output(rows_of_models=False)
    output.rows = _written(pool_scores, raw_images, pool, seed, record, output)
    return output


def uid_list(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """(n,) of dtype ``UIDS``, sorted, each uid once: what DataComp's resharder looks samples up in.

    Args:
        high, low: (N,) uint64 halves of uids.
    """
    uids = np.empty(len(high), UIDS)
    uids["f0"], uids["f1"] = high, low
    uids = uids[np.lexsort((uids["f1"], uids["f0"]))]
    return uids[np.concatenate([[True], uids[1:] != uids[:-1]])[: len(uids)]]


def _written(
    scores: pl.LazyFrame, raw_images: Shards, pool: Pool, seed: int, record: dict[str, Any], output: Output
) -> Iterator[pl.DataFrame]:
    pairs, repeated = _pairs(scores, raw_images)
    output.rows_in, rows = len(pairs.high), []
    for name, flag, rule in _subsets(scores, pairs, repeated, pool, seed):
        facts = record.get("subsets", {}).get(name, {"rows": int(flag.sum())})
        rows.append(_one(name, flag, {"rule": rule, **facts}, pairs, output))
    output.facts = {"subsets": {row["subset"]: row["rows"] for row in rows}}
    yield SUBSET_FILES.frame(rows)


def _subsets(
    scores: pl.LazyFrame, pairs: Pairs, repeated: np.ndarray, pool: Pool, seed: int
) -> Iterator[tuple[str, np.ndarray, Any]]:
    """(name, (N,) bool, rule) of each list."""

    def column(name: str) -> np.ndarray:
        return scores.select(name).collect()[name].to_numpy()

    yield "selection", column("selected"), _said(pool.select)
    fixed = set(POOL_SCORES.fixed())
    for name in scores.collect_schema():
        if name not in fixed and name not in pool.subsets:
            yield name, column(name), {"random": "as many rows of the pool as the selection", "seed": seed}
    rows = np.flatnonzero(~repeated)
    for name, steps in pool.subsets.items():
        flag = column(name)
        yield name, flag, _said(steps)
        count, control = int(flag.sum()), np.zeros(len(flag), bool)
        control[random_rows(rows, pairs.high, pairs.low, count, seed, control_purpose(0, name))] = True
        yield f"{name}-random-0", control, {"random": f"as many rows of the pool as {name}", "seed": seed}


def _one(name: str, flag: np.ndarray, facts: dict[str, Any], pairs: Pairs, output: Output) -> dict[str, Any]:
    uids, buffer = uid_list(pairs.high[flag], pairs.low[flag]), io.BytesIO()
    np.save(buffer, uids, allow_pickle=False)
    data, path = buffer.getvalue(), f"subsets/{name}.npy"
    tried, found = int(pairs.tried[flag].sum()), int(pairs.found[flag].sum())
    sha256, whole = hashlib.sha256(data).hexdigest(), tried == len(uids)
    said = {
        "subset": name, "path": path, "sha256": sha256, "size_bytes": len(data), **facts, "rows": len(uids),
        "images": {"asked_for": tried, "found": found, "share_found": found / tried if tried else None},
    }  # fmt: skip
    output.add_file(path, data)
    output.add_file(f"subsets/{name}.json", json.dumps(said, indent=1, sort_keys=True).encode() + b"\n")
    row = {"subset": name, "path": path, "rows": len(uids), "found": found if whole else None}
    return {**row, "sha256": sha256, "size_bytes": len(data)}


def _pairs(scores: pl.LazyFrame, raw_images: Shards) -> tuple[Pairs, np.ndarray]:
    """The rows in the order of `scores`, and (N,) whether a row repeats an earlier one."""
    status = pl.col("status")
    ledger = raw_images.frame().select("source_row", tried=status != "skipped", found=status == "ok")
    rows = scores.select("source_row", "uid").collect()
    joined = rows.select("source_row").join(ledger.collect(), on="source_row", how="left", maintain_order="left")
    high, low = uid_halves(rows["uid"])
    order = np.lexsort((rows["source_row"].to_numpy(), low, high))
    repeated = np.zeros(len(order), bool)
    repeated[order[1:]] = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
    flags = joined.select(pl.col("tried", "found").fill_null(False))
    return Pairs(high, low, flags["tried"].to_numpy(), flags["found"].to_numpy()), repeated


def _said(steps: list[Any]) -> list[Any]:
    return [step.model_dump(exclude_none=True) for step in steps] or ["no_filter"]
