"""Source rows and the images fetched for them."""

from collections.abc import Iterator

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import shard_asset
from paris_assets.dag.takedowns import Takedowns
from paris_assets.demo.resource import LoopbackServer
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.refused import Refused
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.ingest.schema import POOL_VECTORS, RAW_IMAGES, SOURCE_ROWS
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output


@shard_asset(
    SOURCE_ROWS,
    group="ingest",
    kinds={"parquet"},
    settings=["source.columns", "source.encoding", "pool.used"],
    unit="rows",
    pool="io",
)
def source_rows(shard: str, profile: Profile, source: RegisteredSource) -> Output:
    """The shard's rows of the source list, whatever its format, under one set of column names.

    Rows are fixed to a shard when it is registered and never renumbered, so a growing list only adds shards. What lies
    among them and is no row (`left_out`), and captions that cannot be read (`unread`), are counted by kind.
    """
    unread = LeftOut()
    rows = source.pool_rows(shard, unread) if profile.pool.used else source.rows(shard, unread)
    in_source = rows["locator"].null_count() < rows.height
    found = {"left_out": source.left_out(shard).as_dict(), "unread": unread.as_dict()}
    said = {**source.reading(shard), **{name: kinds for name, kinds in found.items() if kinds}}
    facts = {"source_kind": source.kind(shard), "images_in_source": in_source, **said}
    return Output(rows=[rows], rows_in=rows.height, facts=facts)


@shard_asset(
    POOL_VECTORS,
    group="pool",
    kinds={"numpy"},
    settings=["pool.vectors"],
    used_if=lambda profile: profile.pool.used and profile.pool.vectors.origin != "none",
    unit="rows",
    pool="io",
)
def pool_vectors(
    shard: str, source: RegisteredSource, models: Models, profile: Profile, source_rows: pl.LazyFrame
) -> Output:
    """Vectors of the captions and images of a pool, from files beside the list, its columns or the text encoder.

    They stay the float16 that they were. A row without a vector (zeros, a blank text) is null and counted.
    """
    from paris_assets.ingest.vectors.pooled import vectors_of

    settings = profile.pool.vectors
    return vectors_of(source_rows, settings, lambda: source.vectors(shard, settings), models, source.file(shard))


@shard_asset(
    RAW_IMAGES,
    group="ingest",
    kinds={"curl"},
    settings=["ingest"],
    unit="rows",
    data_files=["raw_images/{shard}.tar"],
    volatile=["attempts"],
    keeps_rows="when_retried",
    pool="io",
)
def raw_images(
    shard: str,
    images: ImageTars,
    source: RegisteredSource,
    loopback_server: LoopbackServer,
    profile: Profile,
    takedowns: Takedowns,
    source_rows: pl.LazyFrame,
    pool_selection: pl.LazyFrame | None,
) -> Output:
    """A tar of images, as fetched or as `ingest.encode` makes them, and what became of every source row.

    Redirects, sizes and formats are bounded before anything is decoded, and a failed row keeps its reason; of a pool
    only what it selects is fetched, and the rest is `skipped`. `paris run --retry transient` asks again for rows that
    failed for a reason that passes, and leaves all others as they are; what `paris takedown` names is not kept.
    """
    from paris_assets.ingest.ledger import fetched_images

    found = takedowns.read()
    refused = Refused(found.image_ids, found.urls, frozenset(found.rows(shard)))

    def fetch(rows: pl.DataFrame) -> Iterator[Fetched]:
        return source.images(shard, rows, profile.ingest, loopback_server.address)

    return fetched_images(shard, source_rows.collect(), images, fetch, profile.ingest, pool_selection, refused)
