"""A root's partitions: which are registered, what their commit records say, and which are done."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag import fingerprint as fingerprints
from paris_assets.dag.graph import Graph, TableSpec, ancestors
from paris_assets.dag.kept_records import KeptRecords
from paris_assets.dag.records import ALL, Record, table_path
from paris_assets.dag.takedowns import TAKEDOWNS, Takedown, TakedownList, pinned
from paris_assets.errors import MissingInput
from paris_assets.storage.checksum import DamagedFile, intact
from paris_assets.storage.location import Location
from paris_assets.storage.output import MADE_AS

REGISTRY = "shards.parquet"


class Catalog:
    """The records of one root under one profile. Files are read once, and again when they have changed; on a remote
    root they are looked at again only after ``refresh``.

    Args:
        location: the root.
        profile: the settings that decide what is wanted.
        graphs: profile -> its assets.
    """

    def __init__(self, location: Location, profile: Profile, graphs: Callable[[Profile], Graph]) -> None:
        self.location, self.profile, self.graph = location, profile, graphs(profile)
        self._graphs = graphs
        self._records = KeptRecords(location)
        self._registry: tuple[Any, pl.DataFrame | None, dict[str, dict[str, Any]]] = (None, None, {})
        self._takedowns: tuple[Any, TakedownList] = (None, TakedownList())
        self._stamps: dict[str, Any] = {}
        self._hashes: dict[tuple[str, ...], str] = {}

    def under(self, profile: Profile) -> Catalog:
        """The same root under other settings; records that were read are not read again."""
        other = Catalog(self.location, profile, self._graphs)
        other._records = self._records
        return other

    def registry(self) -> pl.DataFrame | None:
        """The registered shards (`shard`, `file`, `first_row`, `rows`, `source_row`, ...), or None before."""
        return self._read_registry()[0]

    def shards(self) -> list[str]:
        """Keys of the registered shards, in the order of their registration."""
        return list(self._read_registry()[1])

    def shard_entry(self, shard: str) -> dict[str, Any] | None:
        """A shard's row of the registry, or None."""
        return self._read_registry()[1].get(shard)

    def keys(self, asset: str) -> list[str]:
        """All partitions that an asset should have."""
        return self.shards() if self.graph[asset].partitioned else [ALL]

    def takedowns(self) -> TakedownList:
        """What was taken down, and is refused.

        Raises:
            TakedownError: the list cannot be read.
        """
        stamp = self._stamp(TAKEDOWNS)
        if stamp != self._takedowns[0]:
            data = None if stamp is None else self.location.read(TAKEDOWNS)
            self._takedowns = (stamp, TakedownList.parse(data, self.location.uri(TAKEDOWNS)))
        return self._takedowns[1]

    def record(self, asset: str, shard: str = ALL) -> Record | None:
        """The commit record of a partition, or None."""
        return self._records.at(asset, shard, self._stamp(table_path(asset, shard)))

    def forget(self, shard: str) -> None:
        """Keep the records of a shard no longer: a worker that has done its part of it will hardly meet it again."""
        self._records.forget(self.graph, shard)

    def own_fingerprint(self, asset: str) -> str:
        """Hash of the asset's code, settings and local weights."""
        return self._once(("own", asset), lambda: fingerprints.own_fingerprint(self.graph[asset], self.profile))

    def rows_fingerprint(self, asset: str, shard: str = ALL) -> str:
        """The fingerprint under which rows that were made for the same keys may be kept: the asset's own, and how what
        it reads was made where keys do not tell (`MADE_AS`)."""
        own, spec = self.own_fingerprint(asset), self.graph[asset]
        read = [name for name in spec.inputs if spec.partitioned and self.graph[name].partitioned]
        records = [record for name in read if (record := self.record(name, shard)) and MADE_AS in record.facts]
        made_as = [(record.rows_fingerprint, record.facts[MADE_AS]) for record in records]
        return fingerprints.rows_fingerprint(own, made_as)

    def wanted(self, asset: str, shard: str = ALL) -> str | None:
        """The fingerprint that the partition should have, or None while an input is missing."""
        spec = self.graph[asset]
        shards = [] if spec.partitioned else self.shards()
        return self._fingerprint(spec, shard, shards, self.profile.allow_missing_shards)

    def done(self, asset: str, shard: str = ALL) -> bool:
        """Whether the partition is finished under the wanted fingerprint, with all its files."""
        record = self.record(asset, shard)
        if record is None or record.fingerprint != self.wanted(asset, shard):
            return False
        return all(self._size(file.path) == file.size_bytes for file in record.files)

    def stands_but_for(self, asset: str, shard: str = ALL) -> Takedown | None:
        """The request to take something down without which a partition, as it stands, would be up to date; None where
        there is none, or where code, settings or the source have changed as well."""
        found = self.takedowns()
        if not found.entries:
            return None
        entry = pinned(found.entries, f"{asset}/{shard}", self.standing(asset, shard))
        record = self.record(asset, shard)
        if entry is None or record is None or not self.graph[asset].reads_takedowns:
            return entry
        spec, shards = self.graph[asset], self.shards()
        before = self._fingerprint(spec, shard, shards, some_missing=False, refused=found.until(entry))
        return entry if before == record.fingerprint else None

    def standing(self, asset: str, shard: str = ALL) -> str:
        """What tells a partition as it stands: its fingerprint, and code and settings of all that it is made from; ''
        where it has not been made."""
        record = self.record(asset, shard)
        names = sorted({asset, *ancestors(self.graph, asset)})
        return "" if record is None else record.fingerprint + fingerprints.joined(map(self.own_fingerprint, names))

    def made_from(self, asset: str, shards: Sequence[str]) -> str | None:
        """What a global table made from these shards depends on: the same while nothing changes for them, whatever
        comes since. Other shards may be begun, and then enter ``wanted`` where the profile allows missing ones."""
        return self._fingerprint(self.graph[asset], ALL, shards, some_missing=False)

    def present(self, assets: Sequence[str]) -> list[str]:
        """Shards that a global asset reads: all registered ones, or, where the profile allows missing ones, those that
        have a partition of each of ``assets``."""
        shards = self.shards()
        if not self.profile.allow_missing_shards:
            return shards
        return [shard for shard in shards if all(self.record(asset, shard) for asset in assets)]

    def inputs_not_made(self, asset: str, shard: str) -> list[str]:
        """``asset/shard`` of every partition that has to be there before this one is made, and is not."""
        spec, missing = self.graph[asset], list[str]()
        for name in spec.inputs:
            keys = [shard] if spec.partitioned and self.graph[name].partitioned else self.keys(name)
            lacking = [f"{name}/{key}" for key in keys if self.record(name, key) is None] if keys else [name]
            missing += lacking if not self.profile.allow_missing_shards or len(lacking) == len(keys) else []
        return missing

    def not_made(self, partitions: Sequence[str]) -> MissingInput:
        """The error that names partitions which are to be read and have not been made."""
        names = ", ".join(partitions[:8])
        more = f" and {len(partitions) - 8} more" if len(partitions) > 8 else ""
        return MissingInput(
            f"{names}{more} has not been made under {self.location.url}: materialise it first, or let `paris run` do it"
        )

    def refresh(self) -> None:
        """Look again at what is taken as unchanged while one wave is planned or one task runs: local weights and, on a
        remote root, the tables."""
        self._hashes.clear()
        self._stamps.clear()

    def changed(self, path: str) -> None:
        """Forget what is known of a file of the root that is written or removed."""
        self._stamps.pop(path, None)

    def _fingerprint(
        self,
        spec: TableSpec,
        shard: str,
        shards: Sequence[str],
        some_missing: bool,
        refused: TakedownList | None = None,
    ) -> str | None:
        own, settings, extra = self.own_fingerprint, self.settings_fingerprint, self._extra(spec, shard)
        if spec.reads_takedowns:
            found = self.takedowns() if refused is None else refused
            taken_down = found.rows(shard) if spec.partitioned else found.published()
            extra = {"extra": extra, "taken_down": taken_down} if taken_down else extra
        return fingerprints.fingerprint(
            spec, self.graph, own, settings, shard, shards, self.record, extra, some_missing
        )

    def settings_fingerprint(self, asset: str) -> str:
        """Hash of the asset's settings, local weights and the user's own code."""
        return self._once(
            ("settings", asset), lambda: fingerprints.settings_fingerprint(self.graph[asset], self.profile)
        )

    def _extra(self, spec: TableSpec, shard: str) -> Any:
        """What else enters the fingerprint: settings that choose rows, and, for an asset without inputs, its shard's
        rows of the source and the file that they are in."""
        if spec.row_settings:
            return fingerprints.row_choice(spec, self.profile)
        if spec.inputs and not self._embeds_images(spec, shard):
            return None
        entry = self.shard_entry(shard)
        if entry is None:
            return []
        unread = ("left_out", "beside") if spec.inputs else ()  # by whoever reads the images
        # The name of a list is a hash of its content.
        known = ("identity", "size_bytes", "converted_by") if entry.get("list") is not None else ()
        return [{name: value for name, value in entry.items() if name not in (*unread, *known)}]

    def _embeds_images(self, spec: TableSpec, shard: str) -> bool:
        """Whether this asset reads image bytes from the source itself: a replaced image then has to be read again."""
        record = self.record("source_rows", shard) if spec.inputs == ("source_rows",) else None
        return record is not None and bool(record.facts.get("images_in_source"))

    def _read_registry(self) -> tuple[pl.DataFrame | None, dict[str, dict[str, Any]]]:
        stamp = self._stamp(REGISTRY)
        if stamp != self._registry[0]:
            data = None if stamp is None else self.location.read(REGISTRY)
            if data is not None and not intact(io.BytesIO(data)):
                raise DamagedFile(self.location.uri(REGISTRY))
            table = None if data is None else pl.read_parquet(io.BytesIO(data))
            rows = {} if table is None else {row["shard"]: row for row in table.iter_rows(named=True)}
            self._registry = (stamp, table, rows)
        return self._registry[1], self._registry[2]

    def _once(self, key: tuple[str, ...], find: Callable[[], str]) -> str:
        """What ``find`` gives, asked once until ``refresh``."""
        if key not in self._hashes:
            self._hashes[key] = find()
        return self._hashes[key]

    def _size(self, path: str) -> int | None:
        stamp = self._stamp(path)
        return None if stamp is None else int(stamp[1])

    def _stamp(self, path: str) -> Any:
        if not self.location.remote:
            return self.location.stamp(path)
        if path not in self._stamps:
            self._stamps[path] = self.location.stamp(path)
        return self._stamps[path]
