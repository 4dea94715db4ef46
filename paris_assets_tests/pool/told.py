"""Tables of a made-up pool, as its report reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from paris_assets.pool.report import PAGE, Found, reported
from paris_assets.pool.schema import CONCEPT_EVIDENCE, CONCEPT_MODEL, CONCEPT_VERDICTS, SELECTION_PROBE, SUBSET_FILES
from paris_assets.settings.probe import Probe
from paris_assets.storage.shards import Shards

ROWS, SEEDS = 1000, 4
EVIL = '</title></script><script>alert("x")</script> {{ 7*7 }} & <b>'


def scores(rows: int = ROWS) -> pl.DataFrame:
    """A fifth is selected; the others fell to two steps."""
    drawn, order = np.random.default_rng(1), np.arange(rows)
    step = np.array([None, "caption_rules", "concepts", "clip_score", "clip_score"], object)[order % 5]
    flags = {f"random-{number}": drawn.permutation(rows) < rows // 5 for number in range(3)}
    return pl.DataFrame(
        {
            "shard": "00000",
            "source_row": order,
            "uid": [f"{row:032x}" for row in order],
            "selected": order % 5 == 0,
            "reason": pl.Series(list(step), dtype=pl.String),
            "value": order / rows,
            "rank": order,
            **flags,
            "basic": order % 2 == 0,
        }
    )


def probed(gain: float = 0.1) -> pl.DataFrame:
    """The selection is better than its controls by so much, `basic` by nothing."""
    drawn, rows = np.random.default_rng(2), []
    level = {"all rows": 0.3, "selection": 0.2 + gain, "basic": 0.2}
    names = [(name, None, None) for name in level]
    names += [(f"random-{number}", of, None) for of in ("selection", "basic") for number in range(3)]
    names += [(name, of, share) for share in (0.2, 0.6, 1.0) for name, of in (("ranked", None), ("random-0", "ranked"))]
    for name, of, share in names:
        for seed in range(SEEDS):
            value = level.get(name, 0.2 + (share or 0) / 10) + 0.004 * drawn.standard_normal()
            known = {"subset": name, "control_of": of, "fraction": share, "seed": seed}
            rows.append(known | {"rows": 180, "metric": "recall_at_1", "value": value})
    return SELECTION_PROBE.frame(rows)


def concepts(count: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`concept_model`, `concept_evidence` and `concept_verdicts`; the last concept has no verdict."""
    drawn = np.random.default_rng(3)
    topics = np.eye(12, 24)[np.arange(count) % 12] * 3
    sizes = np.sort((2000 * drawn.pareto(1.2, count) + 20).astype(int))[::-1]
    centroids = pl.Series("centroid", (topics + drawn.standard_normal((count, 24))).astype(np.float32))
    numbers = pl.Series("concept", np.arange(count), pl.Int32)
    model = pl.DataFrame([numbers, pl.Series("rows", sizes), centroids]).with_columns(
        statistics=pl.lit(None, pl.String)
    )
    CONCEPT_MODEL.require(model.schema, "concept_model")
    evidence = CONCEPT_EVIDENCE.frame(
        [
            {
                "concept": number,
                "rows": int(sizes[number]),
                "nearest": [
                    f"caption {rank} of concept {number} {'with many words ' * 8}" for rank in range(7 if number else 0)
                ]
                or [EVIL],
            }
            for number in range(count)
        ]
    )
    verdicts = CONCEPT_VERDICTS.frame(
        [
            {"concept": number, "verdict": "drop" if number % 4 == 1 else "keep", "reason": f"because {number}"}
            for number in range(count - 1)
        ]
    )
    return model, evidence, verdicts


def found(count: int = 8, gain: float = 0.1) -> Found:
    """Everything that a report may read."""
    pool = scores()
    sources = pl.DataFrame({"source_row": range(ROWS), "similarity": [row % 5 == 0 for row in range(ROWS)]})
    names = ["selection", "random-0", "basic"]
    files = SUBSET_FILES.frame(
        [{"subset": name, "path": "p", "rows": 200, "found": None if name == "basic" else 150} for name in names]
    )
    model, evidence, verdicts = (table.lazy() for table in concepts(count))
    shards = Shards.of({"00000": sources[:600], "00001": sources[600:]})
    return Found(shards, pool.lazy(), files.lazy(), model, evidence, verdicts, probed(gain).lazy())


def page_of(pool: Found, folder: Path, settings: Probe | None = Probe()) -> tuple[pl.DataFrame, str]:
    """Rows of `pool_report`, and the page."""
    output = reported(pool, settings, 0)
    output.scratch = folder
    (rows,) = list(output.rows)  # type: ignore[arg-type]
    assert output.links == {"report": PAGE}
    return rows, output.files[PAGE].read_text()
