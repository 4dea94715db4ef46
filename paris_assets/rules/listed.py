"""Images that a list names, whatever is known of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


class Listed:
    """Rejects the images of a list.

    Args:
        name: the reason recorded.
        image_ids: of the list.
    """

    null = "keep"
    columns: Sequence[str] = ()

    def __init__(self, name: str, image_ids: pl.Series) -> None:
        self.name, self._image_ids = name, image_ids

    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Whether each image is not listed; no number says so."""
        kept = images.select(~pl.col("image_id").is_in(self._image_ids.implode())).to_series()
        return kept, pl.Series([None] * images.height, dtype=pl.Float64)
