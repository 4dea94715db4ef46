"""`paris takedown`: take images out of everything that was made of them, and keep them out."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import descendants
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.dag.takedowns import TAKEDOWNS, Takedown, TakedownList
from paris_assets.definitions import ASSETS, open_catalog
from paris_assets.errors import UsageError
from paris_assets.planning.home import dagster_home
from paris_assets.planning.waves import some
from paris_assets.runs.command import alone, make_registered
from paris_assets.runs.progress import RunConsole, counted, open_console
from paris_assets.runs.run import Request, plan
from paris_assets.runs.taken_down import Found, files_of, find, hashes, holders, left_over, read_named, samples_in

LEDGER = "raw_images"
STANDING = ("when_grown", "when_taken_down")
"""What decides about the whole set, and is not decided anew for a takedown."""


@dataclass(frozen=True)
class TakedownRequest:
    """What the command line asks for."""

    named: Sequence[str]
    reason: str | None = None
    copies: bool = True
    workers: int = 1
    dry_run: bool = False
    record_only: bool = False


def takedown_request(options: Namespace) -> TakedownRequest:
    """What the command line asks for."""
    if options.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {options.workers}")
    return TakedownRequest(
        options.named, options.reason, options.copies == "remove", options.workers, options.dry_run, options.record_only
    )


def takedown_command(url: str, request: TakedownRequest) -> int:
    """Record the request, then make again what holds the images; 0 when they are gone, 1 when something is left.

    Raises:
        UsageError: there is no run, something is named that nobody knows, or images would be fetched again first.
    """
    console, start, catalog = open_console(), time.monotonic(), open_catalog(url)
    if not catalog.shards():
        where = catalog.location.url
        raise UsageError(f"there is no run under {where}: name another --root, or make one with `paris run`")
    named = read_named(request.named)
    found = find(Tables(catalog), named, request.copies)
    _say(found, request, catalog, console)
    if request.dry_run:
        return 0
    with alone(catalog, console):
        catalog.refresh()
        found = find(Tables(catalog), named, request.copies)
        if record(catalog, found, request):
            console.print(f"recorded in {catalog.location.uri(TAKEDOWNS)}", markup=False)
        else:
            console.print("all of this was taken down before", markup=False)
        if request.record_only:
            console.print(f"`paris run --root {catalog.location.url}` takes it out of what is there", markup=False)
            return 0
        make_registered(catalog, Request(workers=request.workers), console, start)
        return _say_left(catalog, found, console)


def record(catalog: Catalog, found: Found, request: TakedownRequest) -> bool:
    """Put the request into the root's list; False where all of it is there. For who holds the root.

    Raises:
        UsageError: images would have to be fetched again first.
    """
    known = catalog.takedowns()
    if not _adds(found, known):
        return False
    if not request.record_only:
        _refuse_to_fetch(catalog, found)
    entry = _entry(catalog, found, request)
    catalog.location.put_bytes(TakedownList((*known.entries, entry)).stored(), TAKEDOWNS)
    catalog.changed(TAKEDOWNS)
    catalog.refresh()
    return True


def _adds(found: Found, known: TakedownList) -> bool:
    """Whether the list does not hold all of this yet."""
    rows = any(set(rows) - set(known.rows(shard)) for shard, rows in found.source_rows().items())
    return rows or not set(found.image_ids) <= known.image_ids or not set(hashes(found.urls)) <= known.urls


def _entry(catalog: Catalog, found: Found, request: TakedownRequest) -> Takedown:
    partitions = [(LEDGER, shard) for shard in found.source_rows()]
    decided = {asset.name for asset in ASSETS if asset.keeps_rows in STANDING} & set(catalog.graph)
    partitions += [(asset, ALL) for asset in sorted(decided)]
    standing = {f"{asset}/{key}": catalog.standing(asset, key) for asset, key in partitions if catalog.done(asset, key)}
    return Takedown(
        asked=list(request.named),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=request.reason or "",
        copies="remove" if request.copies else "keep",
        image_ids=found.image_ids,
        urls=hashes(found.urls),
        source_rows=found.source_rows(),
        standing=standing,
        shards=catalog.shards(),
    )


def _refuse_to_fetch(catalog: Catalog, found: Found) -> None:
    """Code or settings that have changed would have whole shards fetched again, which nobody asked for here."""
    again = [
        shard
        for shard in found.source_rows()
        if catalog.record(LEDGER, shard)
        and not catalog.done(LEDGER, shard)
        and not catalog.stands_but_for(LEDGER, shard)
    ]
    if again:
        raise UsageError(
            f"nothing was done: {LEDGER} [{some(again)}] is out of date, as code, settings or the source changed: "
            f"its images would be fetched again first. `paris run --root {catalog.location.url}` does that; then ask "
            "again, or with --record-only before it, so that these images are not fetched"
        )


def _say(found: Found, request: TakedownRequest, catalog: Catalog, console: RunConsole) -> None:
    """Which images, and what of the root holds them."""
    rows, shards = found.rows.height, list(found.source_rows())
    would = "would take down" if request.dry_run else "taking down"
    where = f", shards {some(shards)}" if shards else ", which nothing here holds"
    images = counted(len(found.image_ids), "image")
    console.print(f"{would} {images}, {counted(rows, 'source row')}{where}", markup=False)
    for row in found.rows.head(20).iter_rows(named=True):
        copy = " (a copy)" if row["image_id"] in found.copies else ""
        place = f"source row {row['source_row']}, shard {row['shard']}"
        console.print(f"  {row['image_id'] or 'no image'}{copy}: {place} {row['url'] or ''}".rstrip(), markup=False)
    if rows > 20:
        console.print(f"  and {rows - 20} more rows", markup=False)
    if not request.dry_run:
        return
    held = holders(Tables(catalog), found.image_ids)
    for asset, keys in held.items():
        files = files_of(catalog, {asset: keys})
        console.print(f"  in {asset} [{some(keys)}]{': ' + some(files) if files else ''}", markup=False)
    for asset, shards_of in samples_in(Tables(catalog), found.image_ids).items():
        for key, files in shards_of.items():
            console.print(f"  in {asset} [{key}]: among {some(files)}", markup=False)
    decided = {asset.name for asset in ASSETS if asset.keeps_rows in STANDING}
    graph = catalog.graph
    decided |= {name for name, spec in graph.items() if spec.refit_on_settings_only or spec.partitioned}
    pages = sorted(descendants(graph, LEDGER) - decided)
    console.print(f"  made again, without them: {', '.join(pages)}", markup=False)
    if beside := [task for _, tasks in plan(catalog, Request()) for task in tasks]:
        assets = sorted({asset for task in beside for asset in task.assets})
        console.print(f"  made as well, as they are out of date already: {', '.join(assets)}", markup=False)


def _say_left(catalog: Catalog, found: Found, console: RunConsole) -> int:
    """Whether the images are gone, in words; 1 where they are not."""
    catalog.refresh()
    held = holders(Tables(catalog), found.image_ids)
    if held or plan(catalog, Request()):
        where = f"; they are still in {', '.join(held)}" if held else ""
        said = f"not finished: `paris run --root {catalog.location.url}` goes on with it{where}"
        console.print(said, style="red", markup=False)
        return 1
    if left := left_over(Tables(catalog), ASSETS, found.image_ids):
        said = f"delete {', '.join(left)} under {catalog.location.url}: the profile no longer has what made these files"
        console.print(f"not finished: {said}, and they may hold the images", style="red", markup=False)
        return 1
    home = dagster_home(catalog.location.url, catalog.location.remote)
    console.print(f"they are in no table and no published file under {catalog.location.url} any more", markup=False)
    said = f"small pictures of them may be left in Dagster's history ({home}), which can be deleted, and in exports"
    console.print(said, markup=False)
    return 0
