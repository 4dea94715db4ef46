"""`paris export --format energon`: the experts' tars as data sets of Megatron-Energon, prepared."""

from __future__ import annotations

import hashlib
import json
import mmap
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.export import folder
from paris_assets.export.checksums import Checksums
from paris_assets.export.energon_index import EnergonIndex
from paris_assets.export.placing import brought
from paris_assets.export.published import read_published
from paris_assets.export.tar_samples import TarSample, by_side, mapped, tar_samples
from paris_assets.planning.waves import some
from paris_assets.storage.location import Location
from paris_assets.storage.tar_members import BLOCK

META = ".nv-meta"
RELEASE = "7.4.1"
"""Of Megatron-Energon, whose files these are like."""
SIDES = ("train", "val")
"""Name of each value of ``split``."""
ALL = "all.yaml"
CRUDE = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
META_SET = {"__module__": "megatron.energon", "__class__": "MetadatasetV2"}


class Tar(NamedTuple):
    """A tar of a data set: its name there, its samples and its sha256."""

    name: str
    samples: int
    sha256: str


def energon_command(catalog: Catalog, out: Location) -> int:
    """Write a data set `cluster_K` for each expert, and `all.yaml` of all of them; 0.

    Raises:
        MissingInput: nothing is published, or a change is not finished.
        UsageError: there are no tars, or the folder cannot be used.
    """
    published, root = read_published(catalog, "energon"), catalog.location
    folder.begin(out, {"format": "energon", "root": folder.address(root)}, root)
    sums, sets = Checksums(out), dict[int, list[Tar]]()
    try:
        for expert in published.experts:
            rows = published.tars.filter(cluster=expert)
            sets[expert] = _data_set(root, out, expert, rows, sums)
        sums.text(ALL, _yaml(together(sets)))
        for pattern in ("cluster_*/*/*", f"cluster_*/{META}/*"):
            folder.remove_others(out, pattern, sums.files)
        sums.finish()
    finally:
        folder.tidy(out)
    tars = [tar for found in sets.values() for tar in found]
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{sum(tar.samples for tar in tars):,} samples in {len(tars):,} tars, {len(sets)} data sets: {out.uri(ALL)}"
    )
    if published.unfinished:
        console.print(f"not in it: {some(published.unfinished)}, not finished")
    console.print(f'megatron.energon.get_train_dataset("{out.uri(ALL)}", ...)')
    return 0


def _data_set(root: Location, out: Location, expert: int, rows: pl.DataFrame, sums: Checksums) -> list[Tar]:
    """The tars of an expert, and what Energon reads of them."""
    place, tars = f"cluster_{expert}", list[Tar]()
    with out.scratch() as scratch:
        with EnergonIndex(scratch / "index.sqlite") as index:
            for row in rows.iter_rows(named=True):
                tars += _tars(root, out, place, row, index, sums)
        sums.file(f"{place}/{META}/index.sqlite", scratch / "index.sqlite")
    parts = {name: [tar.name for tar in tars if tar.name.startswith(f"{name}/")] for name in SIDES}
    told = hashlib.sha256("".join(tar.sha256 for tar in tars).encode()).hexdigest()
    info = {"energon_version": RELEASE, "shard_counts": {tar.name: tar.samples for tar in tars}}
    sums.text(f"{place}/{META}/.info.json", json.dumps(info, indent=2) + "\n")
    sums.text(f"{place}/{META}/split.yaml", _yaml({"split_parts": parts, "exclude": []}))
    sums.text(f"{place}/{META}/dataset.yaml", _yaml({**CRUDE, "subflavors": {"expert": expert}}))
    sums.text(f"{place}/{META}/index.uuid", str(uuid.UUID(told[:32])))
    return tars


def _tars(
    root: Location, out: Location, place: str, row: dict[str, Any], index: EnergonIndex, sums: Checksums
) -> Iterator[Tar]:
    """A tar that holds one side of the split, as it is; else one for each side that it has samples of."""
    file = row["path"].rpartition("/")[2]
    with out.scratch() as scratch:
        mixed = row["split"] is None
        tar = brought(root, row["path"], row["sha256"], scratch, None if mixed else row["size_bytes"])
        with mapped(tar) as view:
            for side, samples in by_side(view, root.uri(row["path"])).items():
                path, local, sha256 = f"{SIDES[side]}/{file}", tar, row["sha256"]
                if mixed:
                    local, sha256 = scratch / f"{SIDES[side]}.tar", None
                    samples = one_side(view, samples, local)
                sums.bytes(f"{place}/{path}.idx", index.add(samples))
                yield Tar(path, len(samples), sums.file(f"{place}/{path}", local, sha256))


def one_side(tar: mmap.mmap, samples: Sequence[TarSample], path: Path) -> list[TarSample]:
    """Write some samples of a tar, byte by byte, as a tar of their own; where they are in it."""
    with open(path, "wb") as new:
        for sample in samples:
            new.write(tar[sample.start : sample.stop])
        end = 2 * BLOCK
        new.write(bytes(end + -(new.tell() + end) % tarfile.RECORDSIZE))
    with mapped(path) as view:
        return list(tar_samples(view))


def together(sets: Mapping[int, Sequence[Tar]]) -> dict[str, Any]:
    """A meta data set of all experts, each sample once in an epoch, for each side that has any."""
    sides = {}
    for name in SIDES:
        having = [expert for expert, tars in sets.items() if any(tar.name.startswith(f"{name}/") for tar in tars)]
        if having:
            sides[name] = {"blend_epochized": [{"repetitions": 1, "path": f"./cluster_{expert}"} for expert in having]}
    return {**META_SET, "splits": sides}


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False)
