"""How long a request of earlier runs took: what fetching waits for grows with no machine, but with requests at once."""

from __future__ import annotations

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.forecast.assumptions import Assumption
from paris_assets.forecast.measured import MEASURED, as_before, day_of
from paris_assets.ingest.fetched import NOT_SELECTED
from paris_assets.ingest.web.opt_out import OPTED_OUT
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.run_times import known_times

UNASKED = (NOT_SELECTED, OPTED_OUT)
"""Reasons of rows for which nothing is asked."""
ASKED = pl.col("records") - pl.col("left_out")


def request_seconds(catalog: Catalog) -> Assumption | None:
    """Seconds of a request, with what goes with it (names, waiting for a host, writing); None before any was timed.

    A worker has `ingest.concurrency` requests under way, of a shard of fewer urls no more than these: a few urls tell
    how long one takes, and nothing of how many are fetched in a second. Rows that are left out without a request, as
    most of a pool are, count nowhere.
    """
    stored = stored_profile(catalog.location)
    if stored is None or not as_before(catalog, "raw_images", stored):
        return None
    times = known_times(dagster_home(catalog.location.url, catalog.location.remote))
    found = {key: catalog.record("raw_images", key) for key in catalog.keys("raw_images")}
    left_out = {key: sum(record.rejects.get(name, 0) for name in UNASKED) for key, record in found.items() if record}
    of_shards = pl.DataFrame([*left_out.items()], schema={"shard": pl.String, "left_out": pl.Int64}, orient="row")
    taken = times.filter(asset="raw_images").join(of_shards, on="shard").with_columns(asked=ASKED).filter(ASKED > 0)
    under_way = pl.min_horizontal("asked", pl.lit(stored.ingest.concurrency))
    waited = float(taken.select(((pl.col("end") - pl.col("start")) * under_way).sum()).item())
    if waited <= 0:
        return None
    partitions = f"{taken.height} partition{'s' if taken.height > 1 else ''}"
    source = f"{MEASURED} on {day_of(taken)}, {partitions} of {int(taken['asked'].sum()):,} urls"
    return Assumption(waited / float(taken["asked"].sum()), "", source)
