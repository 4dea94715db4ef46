"""What a request to take images down means on a root: which images, which rows of the source, and where they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paris_assets.dag.assets import TableAsset
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import order
from paris_assets.dag.records import ALL, table_path
from paris_assets.dag.tables import Tables
from paris_assets.dag.takedowns import ID_DIGITS, hash_of_url
from paris_assets.errors import UsageError, explained
from paris_assets.images.decode import NotAnImage, read_header
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.runs.inspect import ROW, find_occurrences, rows_meant
from paris_assets.settings.local_path import local_path

ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
DUPLICATES = "duplicate_groups"
ROUTER_ARRAYS = "router_arrays"
SAMPLES = ("expert_shards", "expert_mds")
_OF_LEDGER = ("source_row", "image_id", "uid", "url")
ROWS = pl.Schema({"shard": pl.String} | {name: RAW_IMAGES.polars()[name] for name in _OF_LEDGER})


@dataclass
class Named:
    """What was named, by kind: image ids (or uids, which look the same), addresses, and what only the source knows: a
    uid, a file of a folder or tar, ``row:N``."""

    ids: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What is to be taken down.

    Attributes:
        image_ids: sorted; copies among them where they go as well.
        copies: those of them that were not named, but are copies.
        urls: addresses that were named, sorted.
        rows: `shard`, `source_row`, `image_id`, `url` of every row that holds such an image, or is of such an address.
    """

    image_ids: list[str]
    copies: list[str]
    urls: list[str]
    rows: pl.DataFrame

    def source_rows(self) -> dict[str, list[int]]:
        """Shard -> its rows."""
        found: dict[str, list[int]] = {}
        for shard, row in self.rows.select("shard", "source_row").sort("source_row").iter_rows():
            found.setdefault(shard, []).append(row)
        return found


def read_named(given: Iterable[str]) -> Named:
    """What the arguments name: addresses, ids, image files (whose bytes count), and lists of these, one a line.

    Raises:
        UsageError: a file that is neither an image nor such a list.
        FileError: one that cannot be read.
    """
    named = Named()
    for text in given:
        path = local_path(text)
        if path is not None and Path(path).is_file():
            _read_file(path, named)
        else:
            _add(text, named)
    return named


def _read_file(path: str, named: Named) -> None:
    with explained(path):
        data = Path(path).read_bytes()
    try:
        read_header(data)
    except NotAnImage:
        for line in _lines(data, path):
            _add(line, named)
    else:
        named.ids.append(hashlib.sha256(data).hexdigest()[:ID_DIGITS])


def _lines(data: bytes, path: str) -> Iterator[str]:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        said = "give an image, or a text file with an address, image_id or uid on each line"
        raise UsageError(f"{path} is neither an image nor UTF-8 text: {said}") from error
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def _add(text: str, named: Named) -> None:
    if "://" in text:
        named.urls.append(text)
    elif ID.fullmatch(text.lower()):
        named.ids.append(text.lower())
    else:
        named.others.append(text)


def find(tables: Tables, named: Named, with_copies: bool) -> Found:
    """Every row and image that is meant. An address or id that the root does not know is kept out all the same.

    Args:
        with_copies: whether images of the same group of copies are meant, too.

    Raises:
        UsageError: something is named that only the source could know, and does not.
    """
    rows = [_rows(tables, pl.col("url").is_in(named.urls) | pl.col("uid").is_in(named.ids))]
    for other in named.others:
        known = find_occurrences(tables, other)
        if known.is_empty():
            what = "a row" if ROW.fullmatch(other) else "an address, image_id, uid, image file or list of these"
            raise UsageError(f"nothing known of {other!r} under {tables.catalog.location.url}: name {what}")
        rows.append(known.select(*(pl.col(name).cast(kind) for name, kind in ROWS.items())))
    meant = pl.concat(rows)
    uids = set(meant["uid"].drop_nulls())
    ids = set(meant["image_id"].drop_nulls()) | {name for name in named.ids if name not in uids}
    copies = _copies(tables, ids) - ids if with_copies else set[str]()
    everywhere = _rows(tables, pl.col("image_id").is_in(sorted(ids | copies)))
    found = pl.concat([meant, everywhere]).unique("source_row").sort("source_row")
    return Found(sorted(ids | copies), sorted(copies), sorted(set(named.urls)), found)


def _rows(tables: Tables, meant: pl.Expr) -> pl.DataFrame:
    found = rows_meant(tables, tables.catalog.shards(), meant)
    return found.select(*(pl.col(name).cast(kind) for name, kind in ROWS.items())) if found.height else ROWS.to_frame()


def _copies(tables: Tables, ids: Iterable[str]) -> set[str]:
    """Images of the groups that these are in."""
    if tables.catalog.record(DUPLICATES, ALL) is None:
        return set()
    groups = tables.scan(DUPLICATES, [ALL]).select("image_id", "group_id")
    meant = groups.filter(pl.col("image_id").is_in(sorted(ids))).select("group_id").unique()
    return set(groups.join(meant, on="group_id", how="semi").collect()["image_id"])


def holders(tables: Tables, image_ids: Sequence[str]) -> dict[str, list[str]]:
    """Asset -> its partitions whose table names one of the images: those of the shards, and of all."""
    found: dict[str, list[str]] = {}
    for asset in order(tables.catalog.graph):
        keys = [key for key in tables.catalog.keys(asset) if tables.catalog.record(asset, key)]
        for key in keys if image_ids else []:
            table = tables.scan(asset, [key])
            if "image_id" not in table.collect_schema():
                break
            named = table.select(pl.col("image_id").is_in(list(image_ids)).any()).collect().item()
            if named:
                found.setdefault(asset, []).append(key)
    return found


def left_over(tables: Tables, assets: Iterable[TableAsset], image_ids: Sequence[str]) -> list[str]:
    """Patterns of files that nothing makes again: of those of these assets that the profile no longer has, and of which
    a table names one of the images, or names no images at all."""
    catalog, found = tables.catalog, list[str]()
    for asset in assets:
        pattern = table_path(asset.name, "*")
        passed = asset.name in catalog.graph or not image_ids
        keys = [] if passed else [Path(path).stem for path in catalog.location.glob(pattern)]
        scans = [tables.scan(asset.name, [key]) for key in keys if catalog.record(asset.name, key)]
        if any(_may_name(table, image_ids) for table in scans):
            found += [pattern, *(each.format(shard="*") for each in asset.data_files)]
    return found


def _may_name(table: pl.LazyFrame, image_ids: Sequence[str]) -> bool:
    if "image_id" not in table.collect_schema():
        return True
    return bool(table.select(pl.col("image_id").is_in(list(image_ids)).any()).collect().item())


def files_of(catalog: Catalog, partitions: dict[str, list[str]]) -> list[str]:
    """Files beside the tables of partitions, sorted."""
    records = (catalog.record(asset, key) for asset, keys in partitions.items() for key in keys)
    return sorted(file.path for record in records if record for file in record.files)


def samples_in(tables: Tables, image_ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Asset of training samples -> shard -> the files among which those of the images are: its experts' there.

    Tables of samples name files, experts and sides, and no images.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for key in holders(tables, image_ids).get(ROUTER_ARRAYS, []):
        rows = tables.scan(ROUTER_ARRAYS, [key]).filter(pl.col("image_id").is_in(list(image_ids)))
        experts = rows.select("cluster").unique()
        for asset in SAMPLES:
            if asset in tables.catalog.graph and tables.catalog.record(asset, key):
                files = tables.scan(asset, [key]).join(experts, "cluster", "semi").select("path").collect()
                found.setdefault(asset, {})[key] = sorted(files["path"])
    return found


def hashes(urls: Iterable[str]) -> list[str]:
    """What the list keeps of addresses."""
    return sorted(map(hash_of_url, urls))
