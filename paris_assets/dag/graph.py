"""The asset graph as planning sees it: what each table depends on, without Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class TableSpec:
    """One asset's table under one profile.

    Attributes:
        code_version: hash of the code that makes it, and of its columns.
        settings: dotted paths on which the value of a row depends.
        row_settings: dotted paths that decide which rows there are, but not what is in them.
        inputs: assets that it is made from, or that have to be made first, sorted.
        refit_on_settings_only: it is made again when settings change, not when its inputs grow.
        data_files: patterns of files beside the table (``{shard}`` is filled in), for removing leftovers.
        volatile: columns that may differ between equal runs and enter no hash.
        slice_by: column by whose values readers depend on parts of a global table (shard).
        reads_takedowns: what was taken down enters it.
    """

    name: str
    partitioned: bool
    code_version: str
    settings: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    row_settings: tuple[str, ...] = ()
    refit_on_settings_only: bool = False
    data_files: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    slice_by: str | None = None
    reads_takedowns: bool = False


Graph = Mapping[str, TableSpec]


def order(graph: Graph) -> list[str]:
    """Asset names, inputs before what reads them."""
    return list(TopologicalSorter({name: spec.inputs for name, spec in sorted(graph.items())}).static_order())


def descendants(graph: Graph, asset: str) -> set[str]:
    """The asset and everything that is made from it."""
    found = {asset}
    for name in order(graph):
        if found & set(graph[name].inputs):
            found.add(name)
    return found


def ancestors(graph: Graph, asset: str) -> set[str]:
    """Everything that the asset is made from."""
    found: set[str] = set()
    waiting = list(graph[asset].inputs)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name].inputs)
    return found
