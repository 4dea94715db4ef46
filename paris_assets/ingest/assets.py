"""Source rows and the images fetched for them."""

from __future__ import annotations

import dagster as dg
import polars as pl

from paris_assets.dag.assets import shard_asset
from paris_assets.dag.store import Store
from paris_assets.demo.resource import LoopbackServer
from paris_assets.storage.output import Output

SOURCE_ROWS = {
    "source_row": ("Int64", "number of the row in the whole source, fixed at registration"),
    "uid": ("String", "the source's own id; null where it has none"),
    "source_hash": ("Int64", "the source's own hash (LAION: of url and text)"),
    "url": ("String", "address of the image; null when the source holds the bytes"),
    "locator": ("String", "place of the bytes within the source; null for urls"),
    "text": ("String", "text of the source"),
    "source_width": ("Int64", "width that the source claims"),
    "source_height": ("Int64", "height that the source claims"),
    "aesthetic": ("Float64", "aesthetic score of the source; null when unknown"),
    "similarity": ("Float64", "image-text similarity of the source"),
    "punsafe": ("Float64", "unsafe probability of the source"),
    "pwatermark": ("Float64", "watermark probability of the source"),
}
PLACE = ("source_rows.url", "source_rows.locator")  # what lies there decides
RAW_IMAGES = {
    "source_row": ("Int64", "source row", "source_rows.source_row"),
    "image_id": ("String", "first 128 bits of the sha256 of the bytes as fetched, hex; null when failed", *PLACE),
    "url": ("String", "address asked for", "source_rows.url"),
    "text": ("String", "text of the source", "source_rows.text"),
    "status": ("String", "ok or failed", *PLACE),
    "reason": ("String", "why it failed; null when ok", *PLACE),
    "http_status": ("Int32", "final HTTP status; null where there was no answer", *PLACE),
    "attempts": ("Int32", "requests made", *PLACE),
    "size_bytes": ("Int64", "bytes as fetched", *PLACE),
    "width": ("Int32", "pixels after EXIF orientation", *PLACE),
    "height": ("Int32", "pixels after EXIF orientation", *PLACE),
    "format": ("String", "format that the header shows", *PLACE),
    "sha256": ("String", "hash of the bytes as fetched", *PLACE),
    "offset": ("Int64", "byte position in the tar", *PLACE),
}


@shard_asset(
    group="ingest", kinds={"parquet"}, settings=["source.columns"], columns=SOURCE_ROWS, unit="rows", pool="io"
)
def source_rows(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> Output:
    """The shard's rows of the source list, whatever its format, under one set of column names.

    Rows are fixed to a shard when it is registered and never renumbered, so a growing list only adds shards.
    """
    from paris_assets.ingest.tables import source_rows as row_table

    return row_table(store, context.partition_key)


@shard_asset(
    group="ingest",
    kinds={"aiohttp"},
    settings=["ingest"],
    columns=RAW_IMAGES,
    unit="rows",
    data_files=["raw_images/{shard}.tar"],
    pool="io",
)
def raw_images(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    loopback_server: dg.ResourceParam[LoopbackServer],
    source_rows: pl.LazyFrame,
) -> Output:
    """A tar of image bytes as fetched, and a ledger row for every source row that says what became of it.

    Redirects, sizes and formats are bounded before anything is decoded, and a failed row keeps its reason.
    """
    from paris_assets.ingest.tables import raw_images as image_table

    return image_table(store, context.partition_key, source_rows, loopback_server.address)
