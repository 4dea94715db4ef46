"""What earlier runs of a root say: rows that survive, bytes of a row, and seconds of a row with their hardware."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.records import Record, table_path
from paris_assets.forecast.flow import ROWS, feeder
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.run_times import known_times, unit_of

MEASURED = "measured in this root"
START_S = 1.0
"""Of a partition that took less, most is reading, committing and imports, which more rows do not repeat."""
FAR = 100
"""So many times the rows that a step over all shards was measured on are too many to tell its hours by them."""
CAPTIONS_BY = "captions by "
"""Before the name of who wrote captions, in the facts of `captions`."""


@dataclass(frozen=True)
class Measured:
    """What is known of one asset.

    Attributes:
        share: rows out for each row of the asset that it is made from; None where that is unknown.
        size_bytes: under the root.
        rows: that came out, of a table over all shards those that went in.
        partitions: it was measured on.
        seconds: of one unit of what computed, as the driver calls it, or `cpu`, per row; none where no run noted times.
        day: when the last of them was made; empty where no run noted times.
        partition_s: by the clock, the median of its partitions, as the first of a process loads and compiles for all.
            So many rows take about as long as beginning, where it is below ``START_S``.
    """

    share: float | None
    size_bytes: int
    rows: int
    partitions: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    day: str = ""
    partition_s: float = math.inf

    def unit_s(self, named: str) -> float | None:
        """Seconds per row of one unit of hardware whose name has these words; None of other hardware."""
        words = re.compile(rf"(?<![a-z0-9]){re.escape(named)}(?![a-z0-9])", re.IGNORECASE)  # an A4000 is no A40
        return next((each for name, each in self.seconds.items() if words.search(name)), None)

    @property
    def source(self) -> str:
        """Where the figures are from, in words."""
        partitions = f"{self.partitions} partition{'s' if self.partitions > 1 else ''}"
        return f"{MEASURED}{f' on {self.day}' if self.day else ''}, {partitions}"


def measured(catalog: Catalog) -> dict[str, Measured]:
    """Asset -> what its partitions say, for those that have any and whose settings are still those of the root.

    Shares compare the same shards of two assets.
    """
    stored = stored_profile(catalog.location)
    if catalog.registry() is None or stored is None:
        return {}
    times = known_times(dagster_home(catalog.location.url, catalog.location.remote))
    records = {name: _records(catalog, name) for name in catalog.graph}
    found = {}
    for name, each in records.items():
        if not each or not as_before(catalog, name, stored):
            continue
        own = each if catalog.graph[name].partitioned else records.get(feeder(name, catalog.graph), {})
        rows = sum(map(rows_out, own.values()))
        size = sum(_bytes(catalog, record) for record in each.values())
        taken = times.filter(pl.col("asset") == name, pl.col("shard").is_in([*each]))
        found[name] = Measured(
            _share(catalog, name, records),
            size,
            rows,
            len(each),
            _seconds(taken, own, rows),
            day_of(taken),
            float(taken.select((pl.col("end") - pl.col("start")).median()).item() or 0.0),
        )
    return found


def as_before(catalog: Catalog, asset: str, stored: Profile) -> bool:
    """Whether an asset's settings are those of the root's own profile, whatever its networks run on."""
    spec = catalog.graph[asset]
    paths = [*spec.settings, *spec.row_settings]
    return all(_settings(catalog.profile, path) == _settings(stored, path) for path in paths)


def _settings(profile: Profile, path: str) -> Any:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(each) for name, each in value.items() if name not in ("device", "precision")}
        return [without(each) for each in value] if isinstance(value, list) else value

    return without(profile.results(path))


def rows_out(record: Record) -> int:
    """Rows or images that go on from a partition."""
    return int(record.facts.get("samples", record.facts.get("kept", record.rows)))


def fetched_image_bytes(catalog: Catalog) -> float | None:
    """Mean bytes of an image as it came, over all shards; None before any was fetched."""
    records = [record for record in _records(catalog, "raw_images").values() if "fetched_bytes" in record.facts]
    images = sum(map(rows_out, records))
    return sum(record.facts["fetched_bytes"] for record in records) / images if images else None


def holds_images(catalog: Catalog) -> bool:
    """Whether the root's source is known to hold its images."""
    return any(record.facts.get("images_in_source") for record in _records(catalog, "source_rows").values())


def captioned_share(catalog: Catalog) -> float | None:
    """Share of images whose caption is no text of the source; None before any has a caption by these settings."""
    stored = stored_profile(catalog.location)
    if stored is None or not as_before(catalog, "captions", stored):
        return None
    counts = Counter[str]()
    for record in _records(catalog, "captions").values():
        counts.update({name: count for name, count in record.facts.items() if name.startswith(CAPTIONS_BY)})
    total = counts.total()
    return 1 - counts[f"{CAPTIONS_BY}source_text"] / total if total else None


def _records(catalog: Catalog, asset: str) -> dict[str, Record]:
    if asset not in catalog.graph:
        return {}
    return {key: record for key in catalog.keys(asset) if (record := catalog.record(asset, key)) is not None}


def _share(catalog: Catalog, name: str, records: dict[str, dict[str, Record]]) -> float | None:
    before = feeder(name, catalog.graph)
    own = records[name]
    if not catalog.graph[name].partitioned or (before != ROWS and not catalog.graph[before].partitioned):
        return None
    if before == ROWS:
        entries = {key: catalog.shard_entry(key) for key in own}
        rows_in = sum(int(entry["rows"]) for entry in entries.values() if entry)
        return sum(map(rows_out, own.values())) / rows_in if rows_in else None
    both = own.keys() & records.get(before, {}).keys()
    rows_in = sum(rows_out(records[before][key]) for key in both)
    return sum(rows_out(own[key]) for key in both) / rows_in if rows_in else None


def _bytes(catalog: Catalog, record: Record) -> int:
    table = catalog.location.size(table_path(record.asset, record.shard)) or 0
    return table + sum(file.size_bytes for file in record.files)


def _seconds(taken: pl.DataFrame, records: dict[str, Record], rows: int) -> dict[str, float]:
    """Unit -> seconds of one per row, of the partitions that were made with it.

    Each partition counts the units of its own worker while that was at work on it, and no others of the machine.

    Args:
        taken: times of the asset's partitions.
        records: of the partitions whose rows count; ``rows`` are all of these.
    """
    spent, shards = Counter[str](), defaultdict[str, set[str]](set)
    for shard, start, end, computed_on in taken.select("shard", "start", "end", "computed_on").iter_rows():
        unit = unit_of(computed_on)
        spent[unit.name] += (end - start) * unit.count
        shards[unit.name].add(shard)
    made = {
        name: sum(rows_out(records[shard]) for shard in own) if own <= records.keys() else rows
        for name, own in shards.items()
    }
    return {name: spent[name] / made[name] for name in spent if spent[name] and made[name]}


def day_of(taken: pl.DataFrame) -> str:
    """When the last of these times was noted; empty where there are none."""
    if taken.is_empty():
        return ""
    return datetime.fromtimestamp(float(taken["end"].max()), UTC).date().isoformat()  # type: ignore[arg-type]
