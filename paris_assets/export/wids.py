"""`paris export --format wids`: indices by which the package wids reads a sample of the experts' tars by its number."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.experts.summary import SIDES
from paris_assets.export import folder
from paris_assets.export.published import read_published
from paris_assets.planning.waves import some
from paris_assets.storage.location import Location

KIND, VERSION = "wids-shard-index-v1", 1
"""As `wids-index create` (0.1.11) writes them."""
ALL = "all.json"


def wids_command(catalog: Catalog, out: Location, base: str | None) -> int:
    """Write an index for each expert, one of all, and of tars that hold one side of the split one for each side; 0.

    Args:
        base: what addresses of tars begin with; None: the root's own address.

    Raises:
        MissingInput: nothing is published, or a change is not finished.
        UsageError: there are no tars, or the folder cannot be used.
    """
    published, root = read_published(catalog, "wids"), folder.address(catalog.location)
    begins = (base or root).rstrip("/")
    folder.begin(out, {"format": "wids", "root": root, "base": begins}, catalog.location)
    indices = wids_indices(published.tars, begins)
    for name, index in indices.items():
        folder.put_changed(out, json.dumps(index, indent=1).encode() + b"\n", name)
    folder.remove_others(out, "*.json", [*indices, folder.STATEMENT])
    folder.tidy(out)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    samples, tars = published.tars["samples"].sum(), published.tars.height
    console.print(f"{samples:,} samples in {tars:,} tars, {len(indices)} indices: {out.uri(ALL)}")
    if published.unfinished:
        console.print(f"not in it: {some(published.unfinished)}, not finished")
    first = out.uri(f"cluster_{published.experts[0]}.json")
    in_place = "" if "://" in begins else ", localname=lambda url: url"
    console.print(f'wids.ShardListDataset("{first}"{in_place})')
    return 0


def wids_indices(tars: pl.DataFrame, base: str) -> dict[str, dict[str, Any]]:
    """File name -> index.

    Args:
        tars: rows of `expert_shards`, sorted.
        base: address of the root, without a slash at its end.
    """
    indices = {ALL: _index("all experts", tars, base)}
    for (cluster,), rows in tars.group_by("cluster", maintain_order=True):
        indices[f"cluster_{cluster}.json"] = _index(f"cluster_{cluster}", rows, base)
        for side, name in enumerate(SIDES):
            of_side = rows.filter(split=side)
            if of_side.height:
                indices[f"cluster_{cluster}.{name}.json"] = _index(f"cluster_{cluster} {name}", of_side, base)
    return indices


def _index(name: str, tars: pl.DataFrame, base: str) -> dict[str, Any]:
    shards = [
        {"url": f"{base}/{row['path']}", "nsamples": row["samples"], "filesize": row["size_bytes"]}
        | {"sha256": row["sha256"], "dataset": f"cluster_{row['cluster']}"}
        for row in tars.iter_rows(named=True)
    ]
    return {"__kind__": KIND, "wids_version": VERSION, "name": name, "shardlist": shards}
