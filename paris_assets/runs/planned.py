"""`paris run --dry-run`: what a run would make, in words."""

from __future__ import annotations

import polars as pl
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.dag.graph import descendants, order
from paris_assets.ingest.beside import bare_of, left_out_of
from paris_assets.ingest.first_look import first_look, require_face_boxes
from paris_assets.ingest.known_files import convert
from paris_assets.ingest.sources import register
from paris_assets.models.gpus import visible_gpus
from paris_assets.planning.waves import Task, Wave
from paris_assets.runs.host import runs_on_cuda
from paris_assets.runs.progress import counted
from paris_assets.runs.run import Request, plan, require_enough_rows, selected_shards


def print_plan(catalog: Catalog, request: Request, console: Console) -> None:
    """Say what would be registered and made, by wave; nothing is written."""
    before, known = catalog.registry(), catalog.shards()
    converts = code_version(convert)
    registry = register(catalog.profile.source, before, catalog.location, write=False, converts=converts)
    selected_shards(registry, request)
    require_enough_rows(catalog, request, registry)
    if catalog.profile.ingest.blurs_faces:
        require_face_boxes(catalog.profile.source, registry, catalog.location)
    new = registry["shard"].to_list()[len(known) :]
    if new:
        rows = int(registry["rows"].tail(len(new)).sum())
        named = f"{', '.join(new[:12])}{' ...' if len(new) > 12 else ''}"
        console.print(f"would register {counted(len(new), 'shard')} with {counted(rows, 'row')}: {named}")
        found = first_look(catalog.profile.source, registry, len(known))
        console.print(found, markup=False, soft_wrap=True, highlight=False)
    say_left_out(registry, console)
    if before is not None and not _content(registry).head(before.height).equals(_content(before)):
        console.print("files of the source were written anew, or read otherwise: their shards would be read again")
    todo = plan(catalog, request) if known else []
    if todo or new:
        say_bare(registry, console)
        say_idle_gpus(catalog, request, todo, console)
    if not todo and not new:
        console.print("nothing to do: every selected partition is up to date")
    for at, (wave, tasks) in enumerate(todo):
        if at == 0 or wave.partitioned != todo[at - 1][0].partitioned:
            console.print("for each shard:" if wave.partitioned else "over all shards:")
        for asset in wave.assets:
            shards = [task.shard for task in tasks if asset in task.assets]
            if shards:
                console.print(f"  {asset}: {', '.join(shards[:12])}{' ...' if len(shards) > 12 else ''}")
    named = {asset for _, tasks in todo for task in tasks for asset in task.assets}
    after = set().union(*(descendants(catalog.graph, asset) for asset in named)) - named
    if after:
        console.print(f"then, where these change: {', '.join(name for name in order(catalog.graph) if name in after)}")


def _content(registry: pl.DataFrame) -> pl.DataFrame:
    """What shards are read by."""
    return registry.drop("beside", "converted_by")


def say_bare(registry: pl.DataFrame, console: Console) -> None:
    """Say how many images of a folder have no text, where others have one."""
    bare = bare_of(registry)
    if bare:
        said = f"{bare.in_words()}, of {registry['rows'].sum()} images: their captions are the captioner's"
        console.print(said, markup=False, soft_wrap=True, highlight=False)


def say_idle_gpus(catalog: Catalog, request: Request, todo: list[tuple[Wave, list[Task]]], console: Console) -> None:
    """Say how many workers it takes to use all GPUs of this machine, where a run leaves some idle."""
    cuda = {name for name, spec in catalog.graph.items() if runs_on_cuda(catalog.profile, spec)}
    shards = {task.shard for wave, tasks in todo if wave.partitioned for task in tasks if cuda & set(task.assets)}
    gpus = len(visible_gpus())
    wanted = min(gpus, len(shards))
    if request.ray is None and wanted > request.workers:
        said = f"this machine has {gpus} GPUs, and this run uses {request.workers}: `--workers {wanted}` uses {wanted}"
        console.print(said, markup=False, soft_wrap=True, highlight=False)


def say_left_out(registry: pl.DataFrame, console: Console) -> None:
    """Say what of the source becomes no row, by name and kind."""
    left_out = left_out_of(registry)
    if left_out:
        console.print(f"no rows of the source: {left_out.in_words()}", markup=False, soft_wrap=True, highlight=False)
