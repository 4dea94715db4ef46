"""The tables of this stage."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.dag.store import Store
from paris_assets.errors import MissingInput
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.sources import entry_of, images_of, read_rows
from paris_assets.storage.output import Output


def source_rows(store: Store, shard: str) -> Output:
    """The shard's rows of the source, normalised."""
    registry = store.registry()
    if registry is None:
        raise MissingInput(f"no shards are registered under {store.root.url}: `paris run` registers the source")
    rows = read_rows(store.profile.source, entry_of(registry, shard), store.root)
    embedded = rows["locator"].null_count() < rows.height
    return Output(rows=[rows], rows_in=rows.height, facts={"images_in_source": embedded})


def raw_images(store: Store, shard: str, rows: pl.LazyFrame, server: str | None) -> Output:
    """The shard's images in one tar, and its ledger."""
    profile, registry = store.profile, store.registry()
    assert registry is not None
    entry, sources = entry_of(registry, shard), rows.collect()
    output = Output(rows_in=sources.height, volatile=("attempts",))

    def fetch() -> Iterator[pl.DataFrame]:
        local = output.scratch / "images.tar"
        bodies = images_of(profile.source, entry, sources, profile.ingest, server)
        ledger = fetch_shard(sources, bodies, profile.ingest, local)
        failed = ledger.filter(pl.col("status") == "failed")
        output.rejects |= dict(failed.group_by("reason").len().iter_rows())
        output.facts["fetched_bytes"] = int(ledger["size_bytes"].sum())
        output.facts["kept"] = ledger.height - failed.height
        output.files[f"raw_images/{shard}.tar"] = local
        yield ledger

    output.rows = fetch()
    return output
