"""What the sensors cost on a large root: one look at a finished one, and at one that has grown by a shard.

Run: `python -m paris_assets_tests.benchmarks.bench_automation [shards ...]`

The root holds records without rows, so that nothing but planning takes time. The first look of a process reads every
record, later ones only ask whether files have changed; while no run ends, no plan is made.
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from paris_assets import sensors
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import order
from paris_assets.dag.records import FOOTER_KEY, Record, table_path
from paris_assets.definitions import open_catalog
from paris_assets.ingest.sources import register
from paris_assets.partitions import image_shards
from paris_assets.planning.registration import bind
from paris_assets.runs.execution import open_instance
from paris_assets.storage.checksum import seal
from paris_assets_tests.fixtures import small_world

ROWS = 1
EMPTY = pa.table({"image_id": pa.array([], pa.string())})


def grow(source: Path, shards: int, name: str) -> None:
    """A file of so many shards."""
    source.mkdir(exist_ok=True)
    image = small_world.picture(0)
    rows = pl.DataFrame({"image": pl.Series([image] * shards * ROWS, dtype=pl.Binary), "text": ["a"] * shards * ROWS})
    rows.write_parquet(source / f"{name}.parquet", row_group_size=1000)


def finish(catalog: Catalog) -> None:
    """Write the wanted record of every partition."""
    for asset in order(catalog.graph):
        for shard in catalog.keys(asset):
            wanted = catalog.wanted(asset, shard)
            assert wanted
            record = Record(
                asset=asset, shard=shard, fingerprint=wanted, rows_fingerprint="", content=f"{asset}/{shard}", rows=0
            )
            file = io.BytesIO()
            pq.write_table(EMPTY.replace_schema_metadata({FOOTER_KEY: record.model_dump_json()}), file)
            seal(file)
            path = Path(catalog.location.uri(table_path(asset, shard)))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.getvalue())


def measure(shards: int, folder: Path) -> None:
    """Seconds of each sensor's look."""
    source, root = folder / "source", folder / "root"
    grow(source, shards, "a")
    catalog = open_catalog(str(root), small_world.profile(source, source__rows_per_shard=ROWS))
    start = time.monotonic()
    bind(catalog, register(catalog.profile.source, catalog.registry(), catalog.location), Console(quiet=True))
    finish(catalog)
    print(f"{shards} shards: {time.monotonic() - start:.0f} s to write {len(catalog.graph)} assets")
    loaded, cursor = open_catalog(str(root)), None
    with open_instance(catalog.location) as instance:

        def look(sensor: dg.SensorDefinition, what: str) -> str | None:
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"catalog": loaded})
            wall, own = time.monotonic(), time.process_time()
            with context:
                found = sensor(context)
            assert isinstance(found, dg.SensorResult)
            wall, own = time.monotonic() - wall, time.process_time() - own
            said = found.skip_reason.skip_message if found.skip_reason else f"{len(found.run_requests or [])} runs"
            print(f"  {what}: {wall:.2f} s, {own:.2f} s of processor ({said})")
            for request in found.dynamic_partitions_requests or []:
                instance.add_dynamic_partitions(str(image_shards.name), request.partition_keys)
            return found.cursor

        look(sensors.new_image_shards, "source, first look")
        look(sensors.new_image_shards, "source, nothing new")
        first = look(sensors.out_of_date_partitions, "plan, first look of a process")
        look(sensors.out_of_date_partitions, "plan, again")
        cursor = first
        look(sensors.out_of_date_partitions, "plan, nothing has changed")
        grow(source, 1, "b")
        cursor = None
        look(sensors.new_image_shards, "source, one new shard")
        look(sensors.out_of_date_partitions, "plan, one new shard")
    print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


def main() -> None:
    """Measure each number of shards in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=int, nargs="*", default=[1000, 10_000])
    for shards in parser.parse_args().shards:
        with tempfile.TemporaryDirectory() as folder:
            measure(shards, Path(folder))


if __name__ == "__main__":
    main()
