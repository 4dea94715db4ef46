"""What a root has published, for exports of training samples: its manifest, and the tars of its experts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.tables import Tables
from paris_assets.errors import MissingInput, UsageError
from paris_assets.experts.manifest import MANIFEST
from paris_assets.planning.waves import some


@dataclass(frozen=True)
class Published:
    """A root's manifest, and rows of `expert_shards`, sorted by expert and path."""

    manifest: dict[str, Any]
    tars: pl.DataFrame
    unfinished: list[str]
    """Registered shards of which the manifest does not speak."""

    @property
    def experts(self) -> list[int]:
        """Numbers of the experts that have samples."""
        return self.tars["cluster"].unique().sort().to_list()


def read_published(catalog: Catalog, format: str) -> Published:
    """What is published under a root.

    Args:
        format: that is asked for, to be named.

    Raises:
        MissingInput: nothing is published, or a run that changes it is not finished.
        UsageError: there is no run, or its samples are in no tars, or there are none.
    """
    where, shards = catalog.location.url, catalog.shards()
    if not shards:
        raise UsageError(f"there is no run under {where}: name another --root, or make one first")
    if "expert_shards" not in catalog.graph:
        raise UsageError(
            f"--format {format} is made of the experts' tars, which the profile of {where} does not write: "
            f"`paris run --root {where} --set 'experts.formats=[webdataset,mds]'` adds them"
        )
    manifest = _manifest(catalog)
    if catalog.takedowns().published() != manifest.get("takedowns", {}):
        raise MissingInput(f"images of {where} were taken down since it was published: `paris run` finishes that")
    tars = Tables(catalog).scan("expert_shards", manifest["shards"]).collect().sort("cluster", "path")
    listed = {file["path"]: file["sha256"] for file in manifest["files"] if file["path"].endswith(".tar")}
    there = dict(tars.select("path", "sha256").iter_rows())
    if other := sorted({path for path, _ in there.items() ^ listed.items()}):
        raise MissingInput(f"{MANIFEST} of {where} speaks of other files than there are ({some(other)}): `paris run`")
    if tars.is_empty():
        raise UsageError(f"{where} has published no sample: there is nothing to export")
    known = {*manifest["shards"], *manifest["shards_missing"]}
    return Published(manifest, tars, [shard for shard in shards if shard not in known])


def _manifest(catalog: Catalog) -> dict[str, Any]:
    location = catalog.location
    try:
        manifest = json.loads(location.read(MANIFEST))
        {key: manifest[key] for key in ("files", "shards", "shards_missing", "format")}
    except FileNotFoundError:
        raise MissingInput(
            f"nothing is published under {location.url} yet: `paris run --root {location.url}` finishes it"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        remedy = "paris run --force --select pipeline_manifest"
        raise UsageError(f"{location.uri(MANIFEST)} is no manifest: make it again, `{remedy}`") from error
    return manifest
