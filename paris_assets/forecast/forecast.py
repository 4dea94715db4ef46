"""A forecast: every asset's rows, bytes and hours, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from paris_assets.config import Profile
from paris_assets.dag.graph import Graph
from paris_assets.forecast.assumptions import GIVEN, RATE, Assumption
from paris_assets.forecast.flow import CONSTANT, FITTED, figure_of, rows_of, shares
from paris_assets.forecast.hardware import CPU
from paris_assets.forecast.machines import AtWork, Machines
from paris_assets.forecast.measured import FAR, START_S, Measured
from paris_assets.forecast.sizes import LEDGER, bytes_per_row
from paris_assets.forecast.work import core_ms, cost_of, looks_at_pixels, networks_of

HOUR = 3600.0
LAYOUT = "by the layout of its files"


@dataclass(frozen=True)
class Given:
    """What a forecast is made from.

    Attributes:
        rows: of the source.
        embedded: whether the source holds its images.
        figures: name -> assumption.
        measured: asset -> what earlier runs of the root say.
        registered: shards of the source, where it was looked at.
    """

    profile: Profile
    graph: Graph
    rows: float
    embedded: bool
    figures: Mapping[str, Assumption]
    measured: Mapping[str, Measured] = field(default_factory=dict)
    registered: int | None = None

    @property
    def shards(self) -> int:
        """Shards of the source; of one that is not there yet as many as its rows fill."""
        return self.registered or max(1, math.ceil(self.rows / self.profile.source.rows_per_shard))

    @property
    def figure(self) -> dict[str, float]:
        """Name of an assumption -> value."""
        return {name: each.value for name, each in self.figures.items()}


@dataclass(frozen=True)
class Stage:
    """One asset. Hours are of one GPU, and of one core; ``wall_h`` is by the clock on the wall of all machines."""

    asset: str
    rows_in: float
    rows_out: float
    size_bytes: float
    requests: float
    fetched_bytes: float
    gpu_h: float
    core_h: float
    wall_h: float
    sources: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """All assets of a profile, in the order of the graph."""

    stages: tuple[Stage, ...]
    at_work: AtWork
    peak_bytes: float

    @property
    def machines(self) -> Machines:
        """What it is reckoned on."""
        return self.at_work.machines

    def total(self, name: str) -> float:
        """The sum of a field of the stages."""
        return sum(getattr(stage, name) for stage in self.stages)

    @property
    def dollars(self) -> float:
        """For all machines while the run lasts, those that idle among them: they are rented; fetching, too."""
        return self.total("wall_h") * self.machines.count * self.machines.price


def disk_bytes(given: Given) -> dict[str, float]:
    """Asset -> bytes under the root: the same for `paris plan`, `paris doctor` and the look before a run."""
    rows = _rows(given)
    fetched = given.figures["image_bytes"].value
    each = bytes_per_row(given.profile, fetched)
    return {name: _bytes(name, given, each.get(name, 0.0), *rows[name]) for name in rows}


def _bytes(name: str, given: Given, layout: float, rows_in: float, rows_out: float) -> float:
    """Bytes of one asset: measured ones per row, where there are any.

    Of a table over all shards the layout says what a row adds; what was measured beyond that stays as it is.
    """
    known, partitioned = given.measured.get(name), given.graph[name].partitioned
    if name == "raw_images" and given.figures["image_bytes"].source == GIVEN:
        known = None
    if name in CONSTANT:
        return known.size_bytes if known else layout
    if known is None:
        return layout * (rows_out if partitioned else rows_in) + (rows_in * LEDGER if name == "raw_images" else 0.0)
    if partitioned:
        return known.size_bytes / known.rows * rows_out if known.rows else 0.0
    return max(0.0, known.size_bytes - layout * known.rows) + layout * rows_in


def forecast(given: Given, machines: Machines, workers: int = 1) -> Forecast:
    """What a run of the profile on a source takes.

    Args:
        workers: processes that take shards; each that has one has a partition in the making beside what is finished.
    """
    rows, sizes = _rows(given), disk_bytes(given)
    at_work = AtWork(machines, workers, given.shards)
    stages = [_stage(name, given, at_work, rows[name], sizes[name]) for name in rows]
    per_shard = min(1.0, given.profile.source.rows_per_shard / max(given.rows, 1.0))
    partitioned = [size for name, size in sizes.items() if given.graph[name].partitioned]
    whole = [size for name, size in sizes.items() if not given.graph[name].partitioned]
    at_once = min(1.0, at_work.processes(True) * per_shard)
    making = max(at_once * max(partitioned, default=0.0), max(whole, default=0.0))
    return Forecast(tuple(stages), at_work, sum(sizes.values()) + making)


def _rows(given: Given) -> dict[str, tuple[float, float]]:
    share = shares(given.profile, given.figure, given.embedded)
    return rows_of(given.graph, given.rows, share | measured_shares(given))


def measured_shares(given: Given) -> dict[str, float]:
    """Asset -> measured share of rows, but for those that a user gives."""
    figure = figure_of(given.profile, given.embedded)
    by_user = {asset for asset, name in figure.items() if given.figures[name].source == GIVEN}
    known = {asset: each.share for asset, each in given.measured.items() if asset not in by_user}
    return {asset: share for asset, share in known.items() if share is not None}


def _stage(name: str, given: Given, at_work: AtWork, rows: tuple[float, float], size: float) -> Stage:
    figure, known, partitioned = given.figure, given.measured.get(name), given.graph[name].partitioned
    rows_in, rows_out = rows
    taken = _taken(name, given, at_work.machines, rows_out if partitioned else rows_in, size)
    fetches = rows_in if _fetches(name, given) else 0.0
    waits = fetches * figure["request_s"] / (given.profile.ingest.concurrency * at_work.processes(partitioned))
    cores = at_work.cores(partitioned, on_gpu=taken.gpu_s > 0)
    wall_s = max(taken.gpu_s / at_work.gpus(partitioned), taken.core_s / cores, waits)
    sources = {"bytes": known.source if known else LAYOUT}
    sources |= {"rows": known.source} if known and name in measured_shares(given) else {}
    return Stage(
        asset=name,
        rows_in=rows_in,
        rows_out=rows_out,
        size_bytes=size,
        requests=fetches * figure["tries"] + _asked(name, given, rows_in),
        fetched_bytes=rows_out * figure["image_bytes"] if fetches else 0.0,
        gpu_h=taken.gpu_s / HOUR,
        core_h=taken.core_s / HOUR,
        wall_h=wall_s / HOUR,
        sources=sources | ({"hours": taken.source} if taken.source else {}),
        unknown=taken.unknown,
        lacks=taken.lacks,
    )


def _fetches(name: str, given: Given) -> bool:
    return name == "raw_images" and not given.embedded


class _Taken(NamedTuple):
    """Seconds of one GPU and of one core, where they are from, and what is not in them."""

    gpu_s: float
    core_s: float
    source: str
    unknown: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def _taken(name: str, given: Given, machines: Machines, rows: float, size: float) -> _Taken:
    """What an asset of so many rows and bytes takes: as given, else as measured, else by its networks."""
    figure, known = given.figure, given.measured.get(name)
    used = networks_of(name, given.profile, figure)
    core_s = core_ms(name, looks_at_pixels(name, used), size / max(rows, 1.0), figure) / 1000 * rows
    costs = [cost_of(each, given.profile, machines.hardware, machines.core, figure) for each in used]
    on_gpu = any(not cost.on_cpu for cost in costs)

    def of_units(seconds: float, source: str) -> _Taken:
        return _Taken(seconds, core_s, source) if on_gpu else _Taken(0.0, seconds, source)

    rate = given.figures.get(f"{RATE}{name}")
    if rate is not None:
        seen = rows * (min(1.0, sum(each.share for each in used)) if used else 1.0)  # several networks see one image
        return of_units(seen / rate.value, f"{rate.value:g} {rate.said}, {rate.source}")
    # A network says nothing of other hardware; what runs on cores alone was measured on cores wherever it ran.
    # Fetching waits, which no core shortens: what it took is in `request_s`.
    fixed = name in CONSTANT and name not in FITTED
    far = known is not None and not given.graph[name].partitioned and rows > FAR * known.rows
    untold = known is not None and (known.partition_s < START_S or far) and not used and not fixed
    timed = None if _fetches(name, given) or untold else known
    unit_s = timed.unit_s(machines.hardware.named if on_gpu else CPU) if timed else None
    if known is not None and unit_s is not None:
        # Pages are of samples: what they took is what they take, beside reading the rows.
        return of_units(unit_s * known.rows + core_s if fixed else unit_s * rows, known.source)
    on_cores = sum(cost.seconds or 0.0 for cost in costs if cost.on_cpu)
    return _Taken(
        sum(cost.seconds or 0.0 for cost in costs if not cost.on_cpu) * rows,
        core_s + on_cores * rows,
        "; ".join(cost.said for cost in costs if cost.seconds is not None),
        tuple(cost.said for cost in costs if cost.seconds is None),
        tuple(cost.lacks for cost in costs if cost.lacks),
    )


def _asked(name: str, given: Given, rows_in: float) -> float:
    """Requests to captioners and judges behind an address."""
    profile = given.profile
    if name in ("captions", "caption_kinds"):
        kinds = profile.captions.kinds.values() if name == "caption_kinds" else ()
        captioned = given.figure["captioned"]
        return sum(rows_in * (captioned if kind.unless else 1.0) for kind in kinds if kind.endpoint is not None)
    judge, concepts = profile.pool.judge, profile.pool.concepts
    if name == "concept_verdicts" and judge is not None and judge.endpoint is not None and concepts is not None:
        k = min(2000, max(64, int(given.rows / 10_000))) if concepts.k == "auto" else concepts.k
        return float(k * judge.votes)
    return 0.0
