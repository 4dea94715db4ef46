"""How long stages, assets and operators took, by the clock on the wall: for the summary of a run, and for a page.

Times differ from run to run, so they are none of a root's results: they lie in its Dagster home, beside the history of
runs. Each run adds what it made; of a partition the last time counts in which all of its rows were made.
"""

from __future__ import annotations

import io
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import order
from paris_assets.definitions import ASSETS
from paris_assets.errors import explained
from paris_assets.planning.home import TIMES, dagster_home
from paris_assets.planning.run_times import SCHEMA, TABLE, Span, covered, known_times
from paris_assets.runs.task_report import TaskReport


@dataclass(frozen=True)
class Taken:
    """What an operator, an asset or a stage took.

    Attributes:
        records: rows or images that came in; of a stage those of its asset that took in most.
        wall_s: while at least one process was at work on it.
        seconds: of all processes together; of an operator, of all threads.
        parts: what it is made of.
    """

    name: str
    records: int
    wall_s: float
    seconds: float
    partitions: int = 0
    parts: Sequence[Taken] = field(default_factory=list)

    @property
    def rate(self) -> float | None:
        """Records per second by the clock on the wall."""
        return self.records / self.wall_s if self.wall_s > 0 else None


def noted(catalog: Catalog, tasks: Iterable[TaskReport]) -> pl.DataFrame:
    """A row per partition that tasks made, with what the worker that made it computed with."""
    rows = []
    for task in tasks:
        for asset, (start, end) in task.spans.items():
            record = catalog.record(asset, task.task.shard)
            records = record.counts.get("rows_in", record.rows) if record else 0
            operators = json.dumps(task.operators.get(asset, {}))
            rows.append((asset, task.task.shard, records, start, end, operators, task.computed_on[asset]))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def stages(times: pl.DataFrame, names: Sequence[str]) -> list[Taken]:
    """Every stage with its assets, and every asset with its operators, in the order of the graph.

    Args:
        times: rows of ``noted``, one per partition.
        names: assets, in order.
    """
    groups = {asset.name: asset.group for asset in ASSETS}
    assets, spans = defaultdict[str, list[Taken]](list), defaultdict[str, list[Span]](list)
    for name in names:
        rows = times.filter(asset=name)
        if rows.height:
            assets[groups[name]].append(_asset(name, rows))
            spans[groups[name]] += rows.select("start", "end").rows()
    return [
        Taken(
            group,
            max(part.records for part in parts),
            covered(spans[group]),
            sum(part.seconds for part in parts),
            parts=parts,
        )
        for group, parts in assets.items()
    ]


def _asset(name: str, rows: pl.DataFrame) -> Taken:
    wall, seconds = covered(rows.select("start", "end").rows()), float((rows["end"] - rows["start"]).sum())
    operators = defaultdict[str, list[Mapping[str, float]]](list)
    for text in rows["operators"]:
        for operator, spent in json.loads(text).items():
            operators[operator].append(spent)
    # Of what several processes did side by side an operator has the share that it has of their seconds.
    scale = wall / seconds if seconds else 0.0
    parts = [_operator(operator, spent, scale) for operator, spent in operators.items()]
    return Taken(name, int(rows["records"].sum()), wall, seconds, rows.height, parts)


def _operator(name: str, spent: Sequence[Mapping[str, float]], scale: float) -> Taken:
    total = {key: sum(one[key] for one in spent) for key in ("records", "seconds", "wall_s")}
    return Taken(name, int(total["records"]), total["wall_s"] * scale, total["seconds"], len(spent))


def keep_times(catalog: Catalog, tasks: Sequence[TaskReport]) -> Path | None:
    """Add what tasks took to what is known of the root, and write the page; its path, None where no partition was made
    as a whole.

    Raises:
        FileError: it cannot be written.
    """
    stood = [(name, task.task.shard) for task in tasks for name in task.stood]
    known = pl.DataFrame(stood, schema=["asset", "shard"], schema_overrides=SCHEMA, orient="row")
    new = noted(catalog, tasks).join(known, on=["asset", "shard"], how="anti")
    if new.is_empty():
        return None
    home = dagster_home(catalog.location.url, catalog.location.remote)
    before = known_times(home)
    together = pl.concat([before.join(new, on=["asset", "shard"], how="anti"), new]).sort("asset", "shard")
    table = io.BytesIO()
    together.write_parquet(table)
    _replace(home / TABLE, table.getvalue())
    shown = stages(together, order(catalog.graph))
    text = page(shown, {name: len(catalog.keys(name)) for name in catalog.graph}, catalog.location.url)
    _replace(home / TIMES, text.encode())
    return home / TIMES


def times_page(catalog: Catalog) -> Path | None:
    """The page of a root, where there is one on this machine."""
    path = dagster_home(catalog.location.url, catalog.location.remote) / TIMES
    return path if path.is_file() else None


def page(shown: Sequence[Taken], partitions: Mapping[str, int], root: str) -> str:
    """The times as a page of one file.

    Args:
        partitions: asset -> how many it has.
    """
    from paris_assets.pages.environment import pages

    template = pages(Path(__file__).parent).get_template("run_times.html.jinja")
    return template.render(stages=shown, partitions=partitions, root=root)


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with explained(path, "written"):
            draft.write_bytes(data)
            os.replace(draft, path)
    finally:
        with suppress(OSError):  # moved, or never made
            draft.unlink()
