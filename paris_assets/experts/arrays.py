"""The arrays of training samples: what tars, MDS files and router arrays hold beside metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.experts.samples import LostRows
from paris_assets.storage.ragged import array_columns, arrays_of
from paris_assets.vectors.true_tokens import unpacked

BATCH_ROWS = 256


class Sample(NamedTuple):
    """One training sample, in whatever format it is written.

    Attributes:
        metadata: what `metadata.json` holds, sorted by name.
        latents: resolution -> (channels, h, w), scaled; only those that the image has, the smallest always. At sizes in
            buckets shapes differ between images.
        text: (positions, dim), as `text_embeddings` holds it: all positions, or the true tokens alone.
    """

    metadata: dict[str, Any]
    latents: dict[int, np.ndarray]
    text: np.ndarray


def samples_of(
    samples: pl.DataFrame, latents: pl.LazyFrame, texts: pl.LazyFrame, resolutions: Sequence[int]
) -> Iterator[Sample]:
    """Samples of an image shard, in the order of ``samples``, so many in memory at a time.

    Args:
        samples: rows of ``sample_table``, sorted by image_id.
        latents: table with image_id and latent_<resolution> (see ``storage.ragged``), null where the image has none.
        texts: table with image_id, embedding, tokens and truncated.

    Raises:
        LostRows: an id without a row.
    """
    ids, sizes = samples["image_id"], sorted(resolutions)
    columns = [optional_rows(latents, f"latent_{size}", ids, BATCH_ROWS) for size in sizes]
    found_texts = _found(texts, ("embedding", "tokens", "truncated"), ids, BATCH_ROWS)
    for start, (text, *stored) in enumerate(zip(found_texts, *columns, strict=True)):
        states, lengths = text_states(text), text.select("tokens", "truncated").to_dicts()
        rows = samples.slice(start * BATCH_ROWS, BATCH_ROWS).to_dicts()
        for at, row in enumerate(rows):
            captions = dict(zip(row.pop("kinds"), row["captions"], strict=True))
            metadata = {**row, "captions": captions, **lengths[at]}
            found = {size: column[at] for size, column in zip(sizes, stored, strict=True)}
            yield Sample(
                {name: metadata[name] for name in sorted(metadata)},
                {size: np.ascontiguousarray(latent) for size, latent in found.items() if latent is not None},
                np.ascontiguousarray(states[at]),
            )


def text_states(texts: pl.DataFrame) -> list[np.ndarray]:
    """Of each row of `text_embeddings` its (positions, dim) float16 states, whichever way they are stored.

    Raises:
        ValueError: bytes that are not as many true tokens as the row says.
    """
    states = texts["embedding"]
    return unpacked(states, texts["tokens"]) if states.dtype == pl.Binary else list(states.to_numpy())


def text_rows(texts: pl.LazyFrame, image_ids: pl.Series, rows: int) -> Iterator[list[np.ndarray]]:
    """``text_states`` of images in their order, at most ``rows`` at a time.

    Raises:
        LostRows: an id without a row.
    """
    columns = [name for name in ("embedding", "tokens") if name in texts.collect_schema()]  # padded ones need no count
    yield from map(text_states, _found(texts, columns, image_ids, rows))


def array_rows(table: pl.LazyFrame, column: str, image_ids: pl.Series, rows: int) -> Iterator[np.ndarray]:
    """Arrays of one column for ``image_ids`` in their order, at most ``rows`` at a time, so memory stays bounded.

    Raises:
        LostRows: an id without a row.
    """
    yield from (found[column].to_numpy() for found in _found(table, (column,), image_ids, rows))


def optional_rows(
    table: pl.LazyFrame, column: str, image_ids: pl.Series, rows: int
) -> Iterator[list[np.ndarray | None]]:
    """As ``array_rows``, of a column that holds nulls or arrays of several shapes: a list of arrays, and of None where
    there is none."""
    columns = array_columns(column, table.collect_schema())
    for found in _found(table, columns, image_ids, rows):
        yield arrays_of(found, column)


def _found(table: pl.LazyFrame, columns: Sequence[str], image_ids: pl.Series, rows: int) -> Iterator[pl.DataFrame]:
    if not len(image_ids):
        yield table.select(columns).head(0).collect()
    for start in range(0, len(image_ids), rows):
        wanted = image_ids.slice(start, rows)
        low, high = wanted[0], wanted[-1]
        found = (
            table.filter(pl.col("image_id").is_between(pl.lit(low), pl.lit(high)))
            .select("image_id", *columns)
            .collect()
            .join(pl.DataFrame({"image_id": wanted}), on="image_id", how="semi")
            .sort("image_id")
        )
        if found.height != len(wanted):
            raise LostRows(f"{len(wanted) - found.height} of {len(wanted)} images have no {columns[0]}, first id {low}")
        yield found
