"""`paris plan`: what a run would take, before any work."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace

from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError
from paris_assets.forecast.assumptions import assumptions, with_measured
from paris_assets.forecast.disk import disk_warning
from paris_assets.forecast.forecast import Given, forecast
from paris_assets.forecast.given import given_of
from paris_assets.forecast.hardware import CPU, Hardware, chosen_hardware, shipped_hardware
from paris_assets.forecast.machines import Machines
from paris_assets.forecast.place import place_of
from paris_assets.forecast.said import as_json, print_forecast
from paris_assets.forecast.sampled import sampled
from paris_assets.planning.registration import check_binding
from paris_assets.process import cores
from paris_assets.profiles import with_full_paths

WIDTH = 120
"""Of tables where no terminal says how wide it is."""


@dataclass(frozen=True)
class PlanRequest:
    """What a forecast is asked for.

    Attributes:
        rows: of the source; None: as many as it has.
        hardware: a name of the table, or a file of one's own; None: this machine's cores.
        count: GPUs or cores; None: one GPU, or this machine's cores.
        price: dollars per hour of one; None: that of the table.
        assume: ``NAME=VALUE`` in place of shipped figures.
        probe: urls that are fetched now.
        workers: processes of the run.
        named: whether the command or the profile names a source.
        as_json: print values instead of tables.
    """

    rows: int | None = None
    hardware: str | None = None
    count: int | None = None
    price: float | None = None
    assume: tuple[str, ...] = ()
    probe: int = 0
    workers: int = 1
    named: bool = True
    as_json: bool = False


def plan_request(options: argparse.Namespace, profile: Profile) -> PlanRequest:
    """What the command line asks for.

    Args:
        profile: as it is resolved; its source counts unless the rows of another one are given.
    """
    named = "path" in profile.source.model_fields_set
    return PlanRequest(
        rows=options.rows,
        hardware=options.hardware,
        count=options.count,
        price=options.price,
        assume=tuple(options.assume),
        probe=options.probe,
        workers=options.workers,
        named=named and not (options.rows and options.source is None),
        as_json=options.json,
    )


def plan_command(profile: Profile, url: str, request: PlanRequest) -> int:
    """Print the forecast; nothing is written, and nothing is fetched but what `--probe` asks for. A disk that is too
    small is said, and is no error.

    Raises:
        UsageError: a number below 1, unknown hardware or figure, or neither rows nor a source.
    """
    for option in ("rows", "count", "workers"):
        value = getattr(request, option)
        if value is not None and value < 1:
            raise UsageError(f"--{option} must be at least 1, got {value}")
    if request.probe < 0:
        raise UsageError(f"--probe must be at least 0, got {request.probe}")
    if request.price is not None and not 0 <= request.price < 1e6:
        raise UsageError(f"--price takes dollars per hour of one GPU or core, got {request.price:g}")
    root, profile = open_location(url), with_full_paths(profile)
    machines, others = _machines(request)
    if request.named:
        check_binding(root, profile)
    catalog = open_catalog(root, profile)
    given = _given(catalog, request)
    place = place_of(catalog, url, request.named)
    found = forecast(given, machines, request.workers)
    compared = [forecast(given, other, request.workers) for other in others]
    warning = disk_warning(root, found)
    warnings = [warning] if warning else []
    if request.as_json:
        print(json.dumps({**place.as_json(), **as_json(given, found, compared, warnings)}, indent=1))
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(place.in_words(given.rows), markup=False, soft_wrap=True, highlight=False)
    print_forecast(console, given, found, compared)
    for line in warnings:
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    return 0


def _given(catalog: Catalog, request: PlanRequest) -> Given:
    """Rows and figures: of the source, of the root, and those that ship."""
    profile = catalog.profile
    figures = assumptions(request.assume, catalog.graph)
    registry = catalog.registry()
    rows, embedded, shards = request.rows, False, None
    if request.named:
        look = sampled(profile, catalog.location, registry, request.probe)
        figures, embedded = with_measured(figures, look.figures), look.embedded
        rows, shards = rows or look.rows, look.shards if rows in (None, look.rows) else None
    elif rows is None:
        raise UsageError("no source: give --source, or --rows for a source that is not there yet")
    elif request.probe:
        raise UsageError("--probe asks for urls of a source: give --source")
    return given_of(catalog, rows, embedded, figures, shards)


def _machines(request: PlanRequest) -> tuple[Machines, list[Machines]]:
    """The machines asked for, and others to compare with."""
    name, table = chosen_hardware(request.hardware or CPU)
    core = table.get(CPU, shipped_hardware()[CPU])
    count = request.count or (cores() if table[name].is_cpu else 1)
    chosen = _machine(name, table[name], core, count)
    if request.price is not None:
        chosen = replace(chosen, price=request.price)
    others = [_machine(other, each, core, 1) for other, each in table.items() if other != name and not each.is_cpu]
    return chosen, [] if request.hardware else others


def _machine(name: str, hardware: Hardware, core: Hardware, count: int) -> Machines:
    return Machines(name, hardware, core, count, hardware.dollars_per_hour)
