"""A forecast in words and tables, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from paris_assets.forecast.assumptions import ASSUMED, RATE, Assumption
from paris_assets.forecast.flow import figure_of
from paris_assets.forecast.forecast import Forecast, Given, Stage, measured_shares
from paris_assets.forecast.machines import Machines
from paris_assets.forecast.measured import MEASURED
from paris_assets.forecast.work import GFLOP

MANY = 6


def in_bytes(size: float) -> str:
    """Bytes in a unit of three digits or fewer, powers of 1000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:,.0f} {unit}" if unit in ("B", "kB") or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def in_count(count: float) -> str:
    """A number of rows or requests in six characters: thousands as k, millions as M, billions as G."""
    if count < 99_999.5:
        return f"{count:,.0f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if count < 999.5 * size or unit == "G":
            return f"{count / size:,.0f}{unit}" if count >= 100 * size else f"{count / size:.3g}{unit}"
    raise AssertionError


def in_hours(hours: float) -> str:
    """Hours, as minutes or seconds where these are more telling."""
    if hours < 1 / 60:
        return f"{hours * 3600:.2g} s"
    if hours < 1:
        return f"{hours * 60:.2g} min"
    return f"{hours:,.1f} h" if hours < 100 else f"{hours:,.0f} h"


def stage_table(stages: Iterable[Stage]) -> Table:
    """A row per asset."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("asset", "rows in", "rows out", "on disk", "GPU", "cores", "wall", "requests", "fetched"):
        table.add_column(column, justify="left" if column == "asset" else "right", no_wrap=True)
    for stage in stages:
        table.add_row(
            stage.asset,
            in_count(stage.rows_in),
            in_count(stage.rows_out),
            in_bytes(stage.size_bytes),
            in_hours(stage.gpu_h) if stage.gpu_h else "-",
            in_hours(stage.core_h),
            in_hours(stage.wall_h),
            in_count(stage.requests) if stage.requests else "-",
            in_bytes(stage.fetched_bytes) if stage.fetched_bytes else "-",
        )
    return table


def print_forecast(console: Console, given: Given, found: Forecast, others: Iterable[Forecast]) -> None:
    """The table, the totals, other hardware, and where the figures are from."""
    machines = found.machines
    console.print(stage_table(found.stages))
    _say(console, f"on disk: {in_bytes(found.total('size_bytes'))}, at most {in_bytes(found.peak_bytes)} on the way")
    _say(console, in_words(found))
    for line in found.at_work.idle():
        _say(console, f"  {line}")
    for other in others:
        _say(console, f"  on other hardware: {in_words(other)}")
    for line in _sources(given, found):
        _say(console, line)
    for stage in found.stages:
        for lack in stage.lacks:
            console.print(f"{machines.name}: {lack}", style="yellow", markup=False, soft_wrap=True)
    for said in sorted({said for stage in found.stages for said in stage.unknown}):
        console.print(f"not counted: {said}", style="yellow", markup=False, soft_wrap=True)


def in_words(found: Forecast) -> str:
    """Hours and dollars of a forecast on its machines."""
    machines, gpu = found.machines, found.total("gpu_h")
    of = "cores" if machines.hardware.is_cpu else "GPUs"
    hours = f"{in_hours(gpu)} of a GPU, " if gpu else ""
    source = price_source(machines)
    each = f"${machines.price:g} an hour each{f': {source}' if source else ''}"
    return (
        f"{machines.count} x {machines.name}: {hours}{in_hours(found.total('core_h'))} of a core, "
        f"{in_hours(found.total('wall_h'))} by the clock, ${found.dollars:,.2f} ({of} at {each})"
    )


def price_source(machines: Machines) -> str:
    """Where the price is from; empty where a file of hardware does not say."""
    return machines.hardware.price_source if machines.price == machines.hardware.dollars_per_hour else "given"


def _sources(given: Given, found: Forecast) -> list[str]:
    """Where the figures are from."""
    lines = ["figures and where they are from:"]
    lines += [f"  {name} = {each.value:g}: {each.said} ({each.source})" for name, each in used(given, found).items()]
    by_source: dict[tuple[str, str], list[str]] = {}
    for stage in found.stages:
        for what, source in stage.sources.items():
            by_source.setdefault((what, source), []).append(stage.asset)
    for (what, source), assets in by_source.items():
        named = ", ".join(assets) if len(assets) <= MANY else f"{len(assets)} assets"
        lines.append(f"  {what} of {named}: {source}")
    return lines


def used(given: Given, found: Forecast) -> Mapping[str, Assumption]:
    """The assumptions on which a forecast rests: those that nothing measured has replaced."""
    measured, figures = measured_shares(given), figure_of(given.profile, given.embedded)
    names = {name for asset, name in figures.items() if asset in given.graph and asset not in measured}
    reckoned = [stage for stage in found.stages if not stage.sources.get("hours", "").startswith(MEASURED)]
    names |= {"image_bytes", "captioned"} | (set() if given.embedded else {"request_s", "tries"})
    names |= {"utilisation", "bandwidth"} if any(GFLOP in each.sources.get("hours", "") for each in reckoned) else set()
    names |= {"fetch_ms", "decode_ms", "signals_ms", "row_ms", "write_mb_s"} if reckoned else set()
    return {name: each for name, each in given.figures.items() if name in names or name.startswith(RATE)}


def as_json(given: Given, found: Forecast, others: Iterable[Forecast], warnings: Iterable[str]) -> dict[str, Any]:
    """The same as values; bytes, hours and dollars, all numbers unrounded."""
    return {
        "profile": given.profile.name,
        "rows": given.rows,
        "embedded": given.embedded,
        "assets": [
            {
                "asset": stage.asset,
                "rows_in": stage.rows_in,
                "rows_out": stage.rows_out,
                "bytes": stage.size_bytes,
                "requests": stage.requests,
                "fetched_bytes": stage.fetched_bytes,
                "gpu_hours": stage.gpu_h,
                "core_hours": stage.core_h,
                "wall_hours": stage.wall_h,
                "sources": dict(stage.sources),
                "not_counted": [*stage.unknown],
                "lacks": [*stage.lacks],
            }
            for stage in found.stages
        ],
        "bytes": found.total("size_bytes"),
        "peak_bytes": found.peak_bytes,
        "requests": found.total("requests"),
        "fetched_bytes": found.total("fetched_bytes"),
        "hardware": [_totals(each) for each in (found, *others)],
        "figures": {
            name: {"value": each.value, "said": each.said, "source": each.source, "assumed": ASSUMED in each.source}
            for name, each in used(given, found).items()
        },
        "warnings": [*warnings],
    }


def _totals(found: Forecast) -> dict[str, Any]:
    machines = found.machines
    return {
        "name": machines.name,
        "count": machines.count,
        "workers": found.at_work.workers,
        "shards": found.at_work.shards,
        "idle": found.at_work.idle(),
        "dollars_per_hour": machines.price,
        "price_source": price_source(machines),
        "gpu_hours": found.total("gpu_h"),
        "core_hours": found.total("core_h"),
        "wall_hours": found.total("wall_h"),
        "dollars": found.dollars,
    }


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True, highlight=False)
