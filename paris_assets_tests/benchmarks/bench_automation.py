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
from paris_assets.dag.store import Store, open_store

from paris_assets import sensors
from paris_assets.dag.records import ALL, FOOTER_KEY, Record, table_path
from paris_assets.definitions import asset_graph
from paris_assets.ingest.sources import register
from paris_assets.partitions import image_shards
from paris_assets.planning.registration import bind
from paris_assets.planning.waves import order
from paris_assets.profiles import dump_profile
from paris_assets.runs.execution import open_instance
from paris_assets.storage.checksum import seal
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct, small_world

ROWS = 1
EMPTY = pa.table({"image_id": pa.array([], pa.string())})


def grow(source: Path, shards: int, name: str) -> None:
    """A file of so many shards."""
    source.mkdir(exist_ok=True)
    image = small_world.picture(0)
    rows = pl.DataFrame({"image": pl.Series([image] * shards * ROWS, dtype=pl.Binary), "text": ["a"] * shards * ROWS})
    rows.write_parquet(source / f"{name}.parquet", row_group_size=1000)


def finish(store: Store) -> None:
    """Write the wanted record of every partition."""
    for asset in order(store.graph):
        for shard in store.shards() if store.graph[asset].partitioned else [ALL]:
            wanted = store.wanted(asset, shard)
            assert wanted
            record = Record(
                asset=asset, shard=shard, fingerprint=wanted, rows_fingerprint="", content=f"{asset}/{shard}", rows=0
            )
            file = io.BytesIO()
            pq.write_table(EMPTY.replace_schema_metadata({FOOTER_KEY: record.model_dump_json()}), file)
            seal(file)
            path = Path(store.root.uri(table_path(asset, shard)))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.getvalue())


def measure(shards: int, folder: Path) -> None:
    """Seconds of each sensor's look."""
    source, root = folder / "source", folder / "root"
    grow(source, shards, "a")
    store = Store(Location(root), small_world.profile(source, source__rows_per_shard=ROWS), asset_graph())
    store.root.put_bytes(dump_profile(store.profile).encode(), "profile.yaml")
    start = time.monotonic()
    bind(store, register(store.profile.source, store.registry(), store.root), direct.Console(quiet=True))
    finish(store)
    print(f"{shards} shards: {time.monotonic() - start:.0f} s to write {len(store.graph)} assets")
    loaded, cursor = open_store(str(root), asset_graph()), None
    with open_instance(store) as instance:

        def look(sensor: dg.SensorDefinition, what: str) -> str | None:
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": loaded})
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
