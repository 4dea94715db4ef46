"""What an earlier ledger of a shard says for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from paris_assets.images.decode import Header
from paris_assets.images.reader import ShardImages
from paris_assets.ingest.fetched import ASKED_AGAIN
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.ingest.spool import Stored


@dataclass(frozen=True)
class Kept:
    """What an earlier ledger says for good: everything but the rows that are asked again for, or are refused since.

    Attributes:
        rows: its rows.
        bodies: what is stored of those that are ``ok``, sorted by image_id.
    """

    rows: pl.DataFrame = field(default_factory=RAW_IMAGES.frame)
    bodies: Iterable[tuple[str, bytes]] = ()

    @classmethod
    def of(cls, ledger: pl.LazyFrame, images: ShardImages, gone: pl.DataFrame) -> Kept:
        """Of a ledger and the tar beside it.

        Args:
            gone: its rows that are refused since; where there are any, nothing is asked again for.
        """
        again = (pl.col("status") == "failed") & pl.col("reason").str.contains(ASKED_AGAIN)
        rows = (
            ledger.collect().join(gone, on="source_row", how="anti") if gone.height else ledger.filter(~again).collect()
        )
        return cls(rows, images.read(rows["image_id"].drop_nulls().unique()))

    def stored(self) -> Iterator[tuple[str, Stored]]:
        """(image_id, what is stored of it)."""
        described = self.rows.drop_nulls("image_id").unique("image_id")
        columns = ("image_id", "stored_width", "stored_height", "stored_format", "stored_sha256", "faces_blurred")
        known = {image_id: rest for image_id, *rest in described.select(columns).iter_rows()}
        for image_id, body in self.bodies:
            width, height, format, sha256, faces = known[image_id]
            yield image_id, Stored(body, Header(width, height, format), sha256, faces)
