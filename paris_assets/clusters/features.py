"""Cluster features: image and text vectors joined into one float32 matrix, rows in image_id order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import Clusters
from paris_assets.errors import BrokenInvariant, UserError
from paris_assets.storage.shards import Shards
from paris_assets.vectors.names import positions

BATCH_ROWS = 65_536
IN_MEMORY = 2 << 30
READERS = 8  # of tables on other machines: rows of twice as many shards are in memory
Chunk = tuple[Sequence[str], np.ndarray, np.ndarray | None]
"""image_ids (n), image vectors (n, D), text vectors (n, Dt) or None where the settings do not ask for text."""


class NoVectors(UserError, ValueError):
    """Captions have no vector to cluster on."""


def vectors(images: Shards, texts: Shards | None) -> Iterator[Chunk]:
    """Image and, where there are any, text vectors, shard by shard in bounded chunks.

    Args:
        images: `image_embeddings`.
        texts: `text_embeddings` of the same shards, or None where the settings do not ask for text.

    Raises:
        NoVectors: these have no pooled vectors.
    """
    for table in _tables(images, texts):
        for batch in table.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            if batch.height:
                yield _chunk(batch)


def chosen_vectors(images: Shards, texts: Shards | None, image_ids: Sequence[str], compute: Compute) -> Iterator[Chunk]:
    """As ``vectors``, of some images alone, the shards being parts of the work.

    Args:
        image_ids: sorted.
        compute: who reads tables.
    """
    wanted = pl.Series(image_ids, dtype=pl.String)
    for rows in compute.map(_chosen, _tables(images, texts), wanted, threads=1, places=READERS):
        yield from map(_chunk, rows.iter_slices(BATCH_ROWS))


def _tables(images: Shards, texts: Shards | None) -> Iterator[pl.LazyFrame]:
    """`image_id`, `embedding` and, of texts, `pooled` of each shard."""
    for shard in images.keys:
        table = images[shard].select("image_id", "embedding")
        if texts is not None:
            if "pooled" not in texts[shard].collect_schema():
                raise NoVectors(
                    "clusters.features names text, but the text encoder gives no vector per caption: "
                    "--set text.pooled=masked_mean"
                )
            pooled = texts[shard].select("image_id", "pooled")
            table = table.join(pooled, on="image_id", how="left", maintain_order="left")
        yield table


def _chunk(rows: pl.DataFrame) -> Chunk:
    text = rows["pooled"].to_numpy() if "pooled" in rows.columns else None
    return rows["image_id"].to_list(), rows["embedding"].to_numpy(), text


def _chosen(wanted: pl.Series, table: pl.LazyFrame) -> pl.DataFrame:
    """Rows of a shard whose image_id is among the sorted ones that are wanted."""
    batches = table.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    kept = [batch.filter(positions(wanted, batch["image_id"])[1]) for batch in batches]
    return pl.concat(kept) if kept else table.clear().collect()


def stored_vectors(images: Shards, image_ids: Sequence[str]) -> np.ndarray:
    """(n, D) image vectors of some images as they are stored, in the order of ``image_ids``, which are distinct and all
    in ``images``, the table `image_embeddings`."""
    wanted = pl.LazyFrame({"image_id": list(image_ids)}, schema={"image_id": pl.String})
    held = images.frame().join(wanted, on="image_id", how="semi").select("image_id", "embedding").collect()
    ordered = wanted.collect().join(held, on="image_id", how="left", maintain_order="left")
    return ordered["embedding"].to_numpy()


def choose(image_ids: Iterable[str] | pl.Series, size: int, seed: int) -> list[str]:
    """At most ``size`` of the ids, sorted: those whose hash with ``seed`` is smallest.

    A uniform sample that depends on nothing but the set of ids; a smaller ``size`` gives a subset.
    """
    names = image_ids if isinstance(image_ids, pl.Series) else pl.Series(list(image_ids), dtype=pl.String)
    if len(names) <= size:
        return names.sort().to_list()
    salt, keys = seed.to_bytes(8, "little"), np.empty(len(names), np.uint64)
    for start in range(0, len(names), BATCH_ROWS):
        some = names[start : start + BATCH_ROWS].to_list()
        digests = b"".join(blake2b(name.encode(), digest_size=8, salt=salt).digest() for name in some)
        keys[start : start + BATCH_ROWS] = np.frombuffer(digests, ">u8")
    keyed = pl.DataFrame({"key": keys, "name": names})
    return keyed.bottom_k(size, by=["key", "name"])["name"].sort().to_list()


def join(image_ids: Sequence[str], image: np.ndarray | None, text: np.ndarray | None, settings: Clusters) -> np.ndarray:
    """Parts named by ``settings.features`` side by side, each L2-normalised when ``settings.normalize``.

    Args:
        image_ids: (n) names for error messages.
        image: (n, D) float vectors, or None when not among the features.
        text: (n, Dt) float vectors, or None when not among the features.

    Returns:
        (n, D [+ Dt]) float32, C-contiguous. Every row depends on its own inputs only.

    Raises:
        ValueError: a part is missing or has another number of rows, is not finite, or has length zero (which has no
            direction to normalise).
    """
    given = {"image": image, "text": text}
    parts = [_part(name, given[name], image_ids, settings.normalize) for name in settings.features]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def collect(
    chunks: Iterable[Chunk], image_ids: Sequence[str], settings: Clusters, scratch: Path | None = None
) -> np.ndarray:
    """Joined vectors of ``image_ids`` (N), in that order, from chunks in any order that may hold more images.

    Only one chunk and the (N, D) float32 result are in memory: 3 GB for a million of 768-d vectors. Given a folder, a
    result of more than ``IN_MEMORY`` bytes lies in a file there, which has no name and ends with the result.

    Raises:
        ValueError: there are no ids, one comes twice or never, or a chunk cannot be joined.
    """
    if not len(image_ids):
        raise BrokenInvariant(
            "no image is left to cluster: the rejects of raw_images, filtered_images and duplicate_groups say what "
            "dropped them"
        )
    wanted = pl.Series(image_ids, dtype=pl.String)
    order = wanted.arg_sort()
    ordered, order = wanted.gather(order), order.to_numpy().astype(np.int64)
    vectors: np.ndarray | None = None
    filled = np.zeros(len(image_ids), dtype=bool)
    for ids, image, text in chunks:
        places, known = positions(ordered, pl.Series(ids, dtype=pl.String))
        rows = np.flatnonzero(known)
        if not len(rows):
            continue
        names, target = [ids[row] for row in rows.tolist()], order[places[rows]]
        again = filled[target] | ~_first(target)
        if again.any():
            raise BrokenInvariant(f"image_id {names[int(again.argmax())]} has more than one vector: ids must be unique")
        joined = join(names, *[None if part is None else part[rows] for part in (image, text)], settings=settings)
        if vectors is None:
            vectors = _room(len(image_ids), joined.shape[1], scratch)
        if joined.shape[1] != vectors.shape[1]:
            raise ValueError(f"vectors of {joined.shape[1]} and of {vectors.shape[1]} dimensions cannot be joined")
        vectors[target], filled[target] = joined, True
    if vectors is None or not filled.all():
        missing = [name for name, done in zip(image_ids, filled, strict=True) if not done]
        raise BrokenInvariant(f"{len(missing)} of {len(image_ids)} images have no vector, first: {missing[:3]}")
    return vectors


def _room(count: int, dimensions: int, scratch: Path | None) -> np.ndarray:
    """(count, dimensions) float32, to be filled."""
    if scratch is None or 4 * count * dimensions <= IN_MEMORY:
        return np.empty((count, dimensions), np.float32)
    with TemporaryFile(dir=scratch) as file:  # the map keeps it open
        return np.memmap(file, np.float32, "w+", shape=(count, dimensions))


def _first(values: np.ndarray) -> np.ndarray:
    """(n) bool: whether a value occurs for the first time."""
    first = np.zeros(len(values), dtype=bool)
    first[np.unique(values, return_index=True)[1]] = True
    return first


def _part(name: str, part: np.ndarray | None, image_ids: Sequence[str], normalize: bool) -> np.ndarray:
    if part is None:
        raise ValueError(f"clusters.features names {name!r}, but no {name} vectors were given")
    if part.ndim != 2 or len(part) != len(image_ids):
        raise ValueError(f"{name} vectors have shape {part.shape} for {len(image_ids)} image_ids")
    wide = part.astype(np.float64)
    finite = np.isfinite(wide).all(axis=1)
    if not finite.all():
        raise BrokenInvariant(f"{name} vector of image {image_ids[int(np.argmin(finite))]} is not finite")
    if normalize:
        norms = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
        if not norms.all():
            raise BrokenInvariant(
                f"{name} vector of image {image_ids[int(np.argmin(norms[:, 0]))]} is zero: no direction"
            )
        wide /= norms
    return wide.astype(np.float32)
