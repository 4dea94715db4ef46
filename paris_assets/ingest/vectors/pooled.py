"""The table `pool_vectors`: vectors of captions and images as they are stored, or computed from the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

import numpy as np
import polars as pl

from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.vectors.compared import require_agreement, score_column
from paris_assets.models.batches import BatchStats, float16, run_padded
from paris_assets.models.registry import Models
from paris_assets.models.threads import side_by_side
from paris_assets.settings.pool_rows import PoolVectors
from paris_assets.storage.output import Output

BLOCK_ROWS = 2048
Stored = Mapping[str, Iterator[np.ndarray]]


def vectors_of(
    source_rows: pl.LazyFrame, settings: PoolVectors, stored: Callable[[], Stored], models: Models, where: str
) -> Output:
    """Rows of `pool_vectors`, one per source row; a vector of zeros, and that of a blank text, is null and counted.

    Args:
        source_rows: of the shard; `text` is read where vectors are computed, else scores.
        stored: column -> vectors of the shard's rows in blocks, where they are stored.
        where: the files, for errors.
    """
    output = Output(rows_in=source_rows.select(pl.len()).collect().item())

    def rows() -> Iterator[pl.DataFrame]:
        missing: dict[str, int] = {}
        if settings.origin == "encoder":
            tables = _computed(source_rows, settings, models, output)
        else:
            score = score_column(settings)
            known = source_rows.select("source_row", *([score] if score else [])).collect()
            tables = _joined(known, _checked(stored(), known, score, where), where)
        for table in tables:
            for name in table.columns[1:]:
                missing[name] = missing.get(name, 0) + table[name].null_count()
            yield table
        output.facts |= {"vectors": settings.origin, "without_vector": missing}

    output.rows = rows()
    return output


def _checked(stored: Stored, known: pl.DataFrame, score: str | None, where: str) -> Stored:
    """The vectors, after the first of both kinds were compared with the list's scores."""
    if score is None:
        return stored
    blocks = {name: iter(each) for name, each in stored.items()}
    first = {name: next(each) for name, each in blocks.items()}
    rows = min(len(block) for block in first.values())
    require_agreement(known[score].head(rows), first["text"][:rows], first["image"][:rows], where)
    return {name: chain([first[name]], blocks[name]) for name in blocks}


def _joined(known: pl.DataFrame, stored: Stored, where: str) -> Iterator[pl.DataFrame]:
    """Blocks of all columns side by side with their source rows."""
    blocks = {name: _evenly(each) for name, each in stored.items()}
    for rows in known["source_row"].to_frame().iter_slices(BLOCK_ROWS):
        columns = {name: _column(next(each), rows["source_row"], f"{name} of {where}") for name, each in blocks.items()}
        yield rows.with_columns(**columns)


def _evenly(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same rows, ``BLOCK_ROWS`` at a time."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        while sum(map(len, held)) >= BLOCK_ROWS:
            whole = np.concatenate(held)
            yield whole[:BLOCK_ROWS]
            held = [whole[BLOCK_ROWS:]]
    if rest := [block for block in held if len(block)]:
        yield np.concatenate(rest)


def _column(values: np.ndarray, source_rows: pl.Series, where: str) -> pl.Series:
    """Array(Float16, dim), null for zeros.

    Raises:
        SourceError: NaN, infinities, or values that float16 cannot hold; names the first source row.
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float16, copy=False)
    finite = np.isfinite(narrow).all(1)
    if not finite.all():
        first = source_rows[int(np.argmin(finite))]
        raise SourceError(
            f"{where}: source row {first} has values that are NaN, infinite or beyond float16 ({(~finite).sum()} such "
            "rows among these): get the file anew"
        )
    there = pl.Series(values=np.asarray(narrow.any(1)))
    return pl.select(pl.when(there).then(pl.Series(narrow))).to_series()


def _computed(rows: pl.LazyFrame, settings: PoolVectors, models: Models, output: Output) -> Iterator[pl.DataFrame]:
    """Pooled vectors of the texts that are not blank."""
    assert settings.encoder is not None
    encoder, stats = models.load(settings.encoder), BatchStats()
    texts = rows.select("source_row", pl.col("text").fill_null("").str.strip_chars()).sort("source_row").collect()

    def run(part: pl.DataFrame) -> pl.DataFrame:
        found = part.filter(pl.col("text") != "")
        encode = partial(encoder.encode, tokens=settings.tokens)
        if encoder.pooled_dim is None:
            raise SourceError(f"pool.vectors.encoder: {encoder.name} gives no vector per text: name another encoder")
        _, pooled, _ = run_padded(encoder.name, encode, encoder.batch_size, stats, found["text"].to_list() or [""])
        ids = [f"source row {row}" for row in found["source_row"]]
        vectors = pl.Series(float16(pooled, ids or ["none"], encoder.name))
        return part.select("source_row").join(
            found.select("source_row", text=vectors.head(found.height)), "source_row", "left", maintain_order="left"
        )

    yield from side_by_side([encoder], run, texts.iter_slices(encoder.batch_size))
    output.facts["models"] = {"pool.vectors.encoder": encoder.identity()}
    output.note_halved(stats.halved)
