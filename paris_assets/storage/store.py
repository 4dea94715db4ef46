"""One run's storage: the root, the profile, the asset graph and the registered shards."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Model, Profile
from paris_assets.profiles import load_profile, parse_profile
from paris_assets.storage import fingerprint as fingerprints
from paris_assets.storage.output import Output
from paris_assets.storage.records import ALL, DataFile, Record, files_present, read_record, table_path
from paris_assets.storage.root import Root, sha256_file
from paris_assets.storage.source_file import source_identity
from paris_assets.storage.tables import TableWriter

PROFILE_FILE = "profile.yaml"
REGISTRY = "shards.parquet"


class MissingInput(RuntimeError):
    """A partition that is read has not been made; the message names it."""


class Store:
    """Reads and commits partitions of the asset tables under one root."""

    def __init__(self, root: Root, profile: Profile, graph: fingerprints.Graph | None = None) -> None:
        self.root, self.profile = root, profile
        self.graph: fingerprints.Graph = graph or {}
        self.resuming = False
        self.forced: frozenset[str] = frozenset()
        self.listener: Callable[[str, str, str], None] = lambda asset, shard, event: None
        self._models: dict[str, Any] = {}
        self._copies: dict[str, Path] = {}
        self._open = ExitStack()

    def registry(self) -> pl.DataFrame | None:
        """The registered shards (`shard`, `file`, `first_row`, `rows`, `source_row`, `identity`), or None before."""
        if self.root.size(REGISTRY) is None:
            return None
        return pl.read_parquet(io.BytesIO(self.root.read(REGISTRY)))

    def shards(self) -> list[str]:
        """Keys of the registered shards, in order."""
        registry = self.registry()
        return [] if registry is None else registry["shard"].to_list()

    def record(self, asset: str, shard: str = ALL) -> Record | None:
        """The commit record of a partition, or None."""
        return read_record(self.root, asset, shard)

    def wanted(self, asset: str, shard: str = ALL) -> str | None:
        """The fingerprint that the partition should have, or None while an input is missing."""
        node = self.graph[asset]
        shards = [] if node.partitioned else self.shards()
        return fingerprints.fingerprint(
            node, self.graph, self.profile, shard, shards, self.record, self._extra(node, shard)
        )

    def done(self, asset: str, shard: str = ALL) -> bool:
        """Whether the partition is finished under the wanted fingerprint, with all its files."""
        record = self.record(asset, shard)
        return (
            record is not None and record.fingerprint == self.wanted(asset, shard) and files_present(self.root, record)
        )

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
        uris = [self.root.uri(table_path(asset, shard)) for shard in shards]
        return pl.scan_parquet(uris, storage_options=self.root.storage_options or None, glob=False)

    def read(self, asset: str, shard: str = ALL) -> pl.DataFrame:
        """A whole partition in memory."""
        return self.scan(asset, [shard]).collect()

    def previous_rows(self, asset: str, shard: str) -> pl.LazyFrame | None:
        """Rows of the partition as it stands, when a run of ours goes on with it and the same code, settings and
        weights made them. A materialisation that is forced or asked for by hand computes every row."""
        record = self.record(asset, shard)
        own = fingerprints.own_fingerprint(self.graph[asset], self.profile)
        if not self.resuming or asset in self.forced or record is None or record.rows_fingerprint != own:
            return None
        return self.scan(asset, [shard])

    def model(self, settings: Model) -> Any:
        """The network that the settings describe, built once per process."""
        from paris_assets.models.registry import build

        key = settings.model_dump_json()
        if key not in self._models:
            self._models[key] = build(settings)
        return self._models[key]

    def images(self, shard: str, image_ids: pl.Series | pl.DataFrame) -> Iterator[tuple[str, bytes]]:
        """(image_id, bytes as fetched) of images of one shard, sorted by image_id."""
        from paris_assets.storage.image_tars import read_images

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
                return tar.read(row["place"]["size_bytes"])

        return read

    def local(self, path: str) -> Path:
        """A local copy of a file, kept while the process runs; the file itself when the root is local."""
        if path not in self._copies:
            folder = self._open.enter_context(self.root.scratch()) if self.root.remote else Path()
            self._copies[path] = self.root.fetch(path, folder)
        return self._copies[path]

    def commit(self, asset: str, shard: str, output: Output) -> Record:
        """Make the rows, write the partition and return its record.

        Data files go first and the record last; an older record is removed before a file that it names changes, and
        files of this partition that the new record does not name are deleted afterwards.
        """
        node = self.graph[asset]
        wanted = self.wanted(asset, shard)
        if wanted is None:
            raise MissingInput(f"{asset}/{shard}: an input has not been made; `paris run` makes it first")
        own = fingerprints.own_fingerprint(node, self.profile)
        with self.root.scratch() as folder:
            local = folder / "table.parquet"
            writer = TableWriter(local, output.volatile, output.slice_by)
            output.scratch = folder
            try:
                for chunk in output.rows:
                    writer.write(chunk)
                self._carry_over(asset, shard, own, output)
                files = [
                    DataFile(path=path, size_bytes=file.stat().st_size, sha256=sha256_file(file))
                    for path, file in sorted(output.files.items())
                ]
                counts = {} if output.rows_in is None else {"rows_in": output.rows_in}
                record = writer.finish(
                    Record(
                        asset=asset,
                        shard=shard,
                        fingerprint=wanted,
                        rows_fingerprint=own,
                        content="",
                        rows=0,
                        counts=counts,
                        rejects={reason: count for reason, count in sorted(output.rejects.items()) if count},
                        facts=output.facts,
                        files=files,
                    )
                )
            finally:
                writer.abort()
            self._place(record, local, output)
        return record

    def _carry_over(self, asset: str, shard: str, own: str, output: Output) -> None:
        """Facts about the models hold on when every row was kept from before and no model ran."""
        old = self.record(asset, shard)
        if old is None or old.rows_fingerprint != own or not self.resuming or asset in self.forced:
            return
        for fact in ("models", "scaling_factor", "halved_batches"):
            if fact in old.facts:
                output.facts.setdefault(fact, old.facts[fact])
        for setting, identity in old.facts.get("models", {}).items():
            now = output.facts["models"].setdefault(setting, identity)
            if now != identity:
                output.facts["models"][setting] = [*_as_list(identity), *_as_list(now)]

    def _place(self, record: Record, table: Path, output: Output) -> None:
        old = self.record(record.asset, record.shard)
        path = table_path(record.asset, record.shard)
        if output.files and old is not None and old.files != record.files:
            self.root.delete(path)
        for name, file in sorted(output.files.items()):
            self._copies.pop(name, None)
            self.root.put(file, name)
        self.root.put(table, path)
        named = {file.path for file in record.files}
        leftovers = {file.path for file in old.files} if old else set()
        for pattern in self._leftover_patterns(record):
            leftovers.update(self.root.glob(pattern))
        for name in sorted(leftovers - named):
            self.root.delete(name)

    def _leftover_patterns(self, record: Record) -> list[str]:
        node = self.graph[record.asset]
        return [pattern.format(shard=record.shard) for pattern in node.data_files]

    def _extra(self, node: fingerprints.Node, shard: str) -> Any:
        """What an asset without inputs depends on: its shard's rows of the source, and the file that they are in."""
        if node.inputs and not self._embeds_images(node, shard):
            return None
        registry = self.registry()
        rows = [] if registry is None else registry.filter(pl.col("shard") == shard).to_dicts()
        path = self.profile.source.path
        return [{**row, "identity": source_identity(path, row["file"], row.get("members"))} for row in rows]

    def _embeds_images(self, node: fingerprints.Node, shard: str) -> bool:
        """Whether this asset reads image bytes from the source itself: a replaced image then has to be read again."""
        record = self.record("source_rows", shard) if node.inputs == ("source_rows",) else None
        return record is not None and bool(record.facts.get("images_in_source"))

    def close(self) -> None:
        """Remove local copies of remote files."""
        self._open.close()


def _as_list(identity: Any) -> list[Any]:
    return identity if isinstance(identity, list) else [identity]


def open_store(root_url: str, graph: fingerprints.Graph | None = None, profile: Profile | None = None) -> Store:
    """The store at a root, with the profile that the root records unless one is given."""
    root = Root(root_url)
    return Store(root, profile or stored_profile(root) or load_profile(), graph)


def stored_profile(root: Root) -> Profile | None:
    """The resolved profile written at the root by its first run, or None."""
    if root.size(PROFILE_FILE) is None:
        return None
    return parse_profile(root.read(PROFILE_FILE).decode(), root.uri(PROFILE_FILE))
