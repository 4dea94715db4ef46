"""What a look at a source tells: its rows, the bytes of its images, and how many of its texts are captions."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import polars as pl

from paris_assets.captions.validity import reasons
from paris_assets.config import Profile
from paris_assets.demo.server import serve
from paris_assets.errors import UsageError
from paris_assets.forecast.assumptions import Assumption
from paris_assets.ingest.files.listing import list_files
from paris_assets.ingest.files.names import TAR, kind_of
from paris_assets.ingest.files.places import locate
from paris_assets.ingest.files.signatures import PROBE_BYTES, is_image
from paris_assets.ingest.lists import parquet_tables
from paris_assets.ingest.lists.column_names import IMAGE
from paris_assets.ingest.sources import images_of, read_bodies, read_rows, register
from paris_assets.storage.location import Location
from paris_assets.texts.words import tidy

SAMPLE = 200
"""Embedded images, and texts, that are looked at; in parts spread over the shards."""
PARTS = 8


@dataclass(frozen=True)
class Sampled:
    """What was found.

    Attributes:
        rows: of the source.
        embedded: whether it holds its images.
        figures: name of an assumption -> what was measured in its place.
        shards: in which a run would work.
    """

    rows: int
    embedded: bool
    figures: dict[str, Assumption]
    shards: int


def sampled(profile: Profile, root: Location, known: pl.DataFrame | None, probe: int) -> Sampled:
    """A look at the source; nothing is written.

    Of a folder the sizes of all files count, of tars those of the tars; of embedded images a sample is read. Urls are
    asked for where that is wished, and then as a run asks for them.

    Args:
        root: where lists were converted, if there was a run.
        known: the registry of the root, where there is one.
        probe: urls that are fetched; 0: none.

    Raises:
        SourceError: the source cannot be read.
    """
    registry = register(profile.source, known, root, write=False)
    rows, shards, entry = int(registry["rows"].sum()), registry.height, registry.row(0, named=True)
    if entry["members"] is not None:
        listing = list_files(locate(profile.source.path))
        sizes = [info["size"] for info in listing.files.values() if info.get("size")]
        return Sampled(rows, True, _mean(sizes, f"of all {len(sizes):,} files of the folder"), shards)
    if kind_of(entry["file"]) == TAR:
        files = registry.unique("file")
        found = _figure(float(files["size_bytes"].sum()) / rows, f"of {files.height:,} tars, all members included")
        return Sampled(rows, True, {"image_bytes": found}, shards)
    if kind_of(entry["file"]) == "parquet":
        with locate(profile.source.path).open(entry["file"]) as handle:
            if IMAGE in parquet_tables.columns(handle, entry["file"], profile.source.columns):
                return Sampled(rows, True, _embedded(profile, registry), shards)
    return Sampled(rows, False, _listed(profile, registry, root, probe), shards)


def _parts(registry: pl.DataFrame, wanted: int) -> list[dict[str, Any]]:
    """First rows of shards that are spread over the registry, about so many in all."""
    spread = registry.gather_every(max(1, registry.height // PARTS)).head(PARTS)
    each = -(-wanted // spread.height)
    return [{**entry, "rows": min(entry["rows"], each)} for entry in spread.iter_rows(named=True)]


def _embedded(profile: Profile, registry: pl.DataFrame) -> dict[str, Assumption]:
    bodies = [
        fetched.body
        for entry in _parts(registry, SAMPLE)
        for fetched in read_bodies(profile.source, entry, profile.ingest)
    ]
    sizes = [len(body) for body in bodies if body]
    return _mean(sizes, f"of {len(sizes)} images of the source")


def _listed(profile: Profile, registry: pl.DataFrame, root: Location, probe: int) -> dict[str, Assumption]:
    if any(entry["list"] and root.size(entry["list"]) is None for entry in _parts(registry, SAMPLE)):
        if probe:
            raise UsageError("--probe: a text list is read when it is registered: give a Parquet list, or run first")
        return {}
    found = _captioned(profile, registry, root)
    if not probe:
        return found
    sizes, asked = [], 0
    with serve(profile.ingest.serve) if profile.ingest.serve else nullcontext() as server:
        for entry in _parts(registry, probe):
            rows = read_rows(profile.source, entry, root)
            asked += rows.height
            for fetched in images_of(profile.source, entry, rows, profile.ingest, server):
                # Of what is gone many hosts answer with a page: no error, and no image either.
                sizes += [len(fetched.body)] if fetched.body and is_image(fetched.body[:PROBE_BYTES]) else []
    said = f"of {asked} urls that a probe asked for"
    return {**found, "fetched": _figure(len(sizes) / max(asked, 1), said), **_mean(sizes, said)}


def _captioned(profile: Profile, registry: pl.DataFrame, root: Location) -> dict[str, Assumption]:
    texts = pl.concat([read_rows(profile.source, entry, root)["text"] for entry in _parts(registry, SAMPLE)])
    if texts.is_empty():
        return {}
    tidied = texts.to_frame().select(tidy(pl.col("text").fill_null("")))
    invalid = tidied.select(reasons(pl.col("text"), profile.captions).is_not_null().mean()).item()
    return {"captioned": _figure(float(invalid), f"of {texts.len()} texts of the source")}


def _mean(sizes: list[int], said: str) -> dict[str, Assumption]:
    return {"image_bytes": _figure(sum(sizes) / len(sizes), said)} if sizes else {}


def _figure(value: float, source: str) -> Assumption:
    return Assumption(value, "", source)
