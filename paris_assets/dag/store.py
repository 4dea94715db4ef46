"""One run's storage: the root, the profile, the asset graph and the registered shards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Model, Profile
from paris_assets.dag import fingerprint as fingerprints
from paris_assets.dag.records import ALL, Record, table_path
from paris_assets.dag.snapshot import Snapshot
from paris_assets.errors import MissingInput
from paris_assets.images.tars import read_images, whole_image
from paris_assets.models.registry import build
from paris_assets.models.weights import local_model_sha256
from paris_assets.profiles import load_profile, parse_profile
from paris_assets.storage.checksum import Seals
from paris_assets.storage.location import Location

PROFILE_FILE = "profile.yaml"

# A scan of many shards has more opens to make than polars has threads for them; they are made in turn.
warnings.filterwarnings("ignore", message="POLARS_MAX_BLOCKING_THREAD_COUNT")


class Store:
    """Reads the partitions of the asset tables under one root, and knows which are done."""

    def __init__(self, root: Location, profile: Profile, graph: fingerprints.Graph | None = None) -> None:
        self.root, self.profile = root, profile
        self.graph = graph or {}
        self.resuming = False
        self.forced: frozenset[str] = frozenset()
        self.listener: Callable[[str, str, str], None] = lambda asset, shard, event: None
        self._models: dict[str, Any] = {}
        self._copies: dict[str, Path] = {}
        self._seals = Seals(root)
        self._known = Snapshot(root)
        self._open = ExitStack()

    @property
    def graph(self) -> fingerprints.Graph:
        """Assets by name, with the inputs that they read under this profile."""
        return self._graph

    @graph.setter
    def graph(self, graph: fingerprints.Graph) -> None:
        self._declared, self._graph = graph, {name: node.under(self.profile) for name, node in graph.items()}

    def under(self, profile: Profile) -> Store:
        """A store of the same root and assets under other settings; records that were read are not read again."""
        other = Store(self.root, profile, self._declared)
        other._known = self._known.again()
        return other

    def registry(self) -> pl.DataFrame | None:
        """The registered shards (columns: `ingest.sources`), or None before."""
        return self._known.registry()[0]

    def shards(self) -> list[str]:
        """Keys of the registered shards, in order."""
        return list(self._known.registry()[1])

    def record(self, asset: str, shard: str = ALL) -> Record | None:
        """The commit record of a partition, or None."""
        return self._known.record(asset, shard)

    def refresh(self) -> None:
        """Look again at what is taken as unchanged while one wave is planned or one task runs: local weights and, on a
        remote root, the tables."""
        self._known.refresh()

    def changed(self, path: str) -> None:
        """Forget what is known of a file of the root that is written or removed."""
        self._copies.pop(path, None)
        self._known.changed(path)

    def own_fingerprint(self, asset: str) -> str:
        """Hash of the asset's code version, settings and local weights."""
        return self._known.once(("own", asset), lambda: fingerprints.own_fingerprint(self.graph[asset], self.profile))

    def wanted(self, asset: str, shard: str = ALL) -> str | None:
        """The fingerprint that the partition should have, or None while an input is missing."""
        node = self.graph[asset]
        shards = [] if node.partitioned else self.shards()
        extra = self._extra(node, shard)
        return fingerprints.fingerprint(
            node,
            self.graph,
            self.own_fingerprint,
            shard,
            shards,
            self.record,
            extra,
            self.profile.allow_missing_shards,
        )

    def done(self, asset: str, shard: str = ALL) -> bool:
        """Whether the partition is finished under the wanted fingerprint, with all its files."""
        record = self.record(asset, shard)
        if record is None or record.fingerprint != self.wanted(asset, shard):
            return False
        return all(self._known.size(file.path) == file.size_bytes for file in record.files)

    def present(self, *assets: str) -> list[str]:
        """Shards that a global asset reads: all registered ones, or, where the profile allows missing ones, those that
        have a partition of each of ``assets``."""
        shards = self.shards()
        if not self.profile.allow_missing_shards:
            return shards
        return [shard for shard in shards if all(self.record(asset, shard) for asset in assets)]

    def scan(self, asset: str, shards: Sequence[str]) -> pl.LazyFrame:
        """One lazy frame over partitions in the given order.

        Raises:
            MissingInput: partitions without a record; the message names them.
        """
        missing = [shard for shard in shards if self.record(asset, shard) is None]
        if missing and self.profile.allow_missing_shards and len(missing) < len(shards):
            shards = [shard for shard in shards if shard not in set(missing)]
        elif missing or not shards:
            names = ", ".join(f"{asset}/{shard}" for shard in missing[:8]) or asset
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            raise MissingInput(
                f"{names}{more} has not been made under {self.root.url}: materialise it first, or let `paris run` do it"
            )
        for shard in shards:
            self._seals.check(table_path(asset, shard))
        uris = [self.root.uri(table_path(asset, shard)) for shard in shards]
        return pl.scan_parquet(uris, storage_options=self.root.storage_options or None, glob=False)

    def read(self, asset: str, shard: str = ALL) -> pl.DataFrame:
        """A whole partition in memory."""
        return self.scan(asset, [shard]).collect()

    def previous_rows(self, asset: str, shard: str) -> pl.LazyFrame | None:
        """Rows of the partition as it stands, when a run of ours goes on with it and the same code, settings and
        weights made them. A materialisation that is forced or asked for by hand computes every row."""
        record = self.record(asset, shard)
        own = self.own_fingerprint(asset)
        if not self.resuming or asset in self.forced or record is None or record.rows_fingerprint != own:
            return None
        return self.scan(asset, [shard])

    def model(self, settings: Model) -> Any:
        """The network that the settings describe, built once per process."""
        key = f"{settings.model_dump_json()} {local_model_sha256(settings)}"
        if key not in self._models:
            self._models[key] = build(settings)
        return self._models[key]

    def images(self, shard: str, image_ids: pl.Series | pl.DataFrame) -> Iterator[tuple[str, bytes]]:
        """(image_id, bytes as fetched) of images of one shard, sorted by image_id."""
        ids = image_ids if isinstance(image_ids, pl.DataFrame) else pl.DataFrame({"image_id": image_ids})
        ledger = self.scan("raw_images", [shard]).filter(pl.col("status") == "ok")
        places = ledger.select("image_id", "offset", "size_bytes").unique("image_id").collect()
        wanted = ids.select("image_id").join(places, on="image_id", how="inner").sort("image_id")
        if wanted.height != ids.height:
            raise MissingInput(f"shard {shard}: {ids.height - wanted.height} images are not in raw_images/{shard}.tar")
        yield from read_images(self.local(f"raw_images/{shard}.tar"), wanted)

    def image_reader(self, shards: Sequence[str]) -> Callable[[str], bytes]:
        """A function from image_id to bytes as fetched, for a few images anywhere in these shards."""
        place = pl.struct("offset", "size_bytes")
        places = pl.concat(
            self.scan("raw_images", [shard])
            .filter(pl.col("status") == "ok")
            .select("image_id", place.alias("place"), pl.lit(shard).alias("shard"))
            for shard in shards
        )
        known = places.unique("image_id", keep="first", maintain_order=True).sort("image_id").collect()

        def read(image_id: str) -> bytes:
            row = known.row(int(known["image_id"].search_sorted(image_id)), named=True)
            if row["image_id"] != image_id:
                raise MissingInput(f"image {image_id} is in none of the tars of raw_images")
            with self.root.open(f"raw_images/{row['shard']}.tar") as tar:
                tar.seek(row["place"]["offset"])
                return whole_image(image_id, tar.read(row["place"]["size_bytes"]), f"raw_images/{row['shard']}.tar")

        return read

    def local(self, path: str) -> Path:
        """A local copy of a file, kept until `close`; the file itself when the root is local."""
        if path not in self._copies:
            folder = self._open.enter_context(self.root.scratch()) if self.root.remote else Path()
            self._copies[path] = self.root.fetch(path, folder)
        return self._copies[path]

    def _extra(self, node: fingerprints.Node, shard: str) -> Any:
        """What else enters the fingerprint: settings that choose rows, and, for an asset without inputs, its shard's
        rows of the source and the file that they are in."""
        if node.chooses:
            return fingerprints.choice(node, self.profile)
        if node.inputs and not self._embeds_images(node, shard):
            return None
        row = self._known.registry()[1].get(shard)
        if row is None:
            return []
        if row.get("list") is not None:  # its name is a hash of its content
            return [{name: value for name, value in row.items() if name not in ("identity", "size_bytes")}]
        return [row]

    def _embeds_images(self, node: fingerprints.Node, shard: str) -> bool:
        """Whether this asset reads image bytes from the source itself: a replaced image then has to be read again."""
        record = self.record("source_rows", shard) if node.inputs == ("source_rows",) else None
        return record is not None and bool(record.facts.get("images_in_source"))

    def close(self) -> None:
        """Remove local copies of remote files; one that is asked for later is fetched again."""
        self._copies.clear()
        self._open.close()


def open_store(root_url: str, graph: fingerprints.Graph | None = None, profile: Profile | None = None) -> Store:
    """The store at a root, with the profile that the root records unless one is given."""
    root = Location(root_url)
    return Store(root, profile or stored_profile(root) or load_profile(), graph)


def stored_profile(root: Location) -> Profile | None:
    """The resolved profile written at the root by its first run, or None."""
    if root.size(PROFILE_FILE) is None:
        return None
    return parse_profile(root.read(PROFILE_FILE), root.uri(PROFILE_FILE))
