"""What is searched for: a text, an image file or an image of the root; and its vector."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from paris_assets.dag.tables import Tables
from paris_assets.errors import UsageError, UserError, explained
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.search.stored import StoredVectors, require_same_weights
from paris_assets.settings.local_path import local_path
from paris_assets.signals.heads import in_batches

Kind = Literal["text", "image", "image_id"]
_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE_NAME = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic)$", re.IGNORECASE)


class Query(NamedTuple):
    """What was asked, and what it is taken for."""

    said: str
    kind: Kind


def parse_query(said: str) -> Query:
    """32 hexadecimal digits are an image_id, the path of a file is an image, all else is a text.

    Raises:
        UsageError: nothing is asked, or there is no such image file.
    """
    words = said.strip()
    if not words:
        raise UsageError("the query is empty: give a text, an image file or an image_id")
    if _ID.fullmatch(words):
        return Query(words, "image_id")
    with explained(words):
        path = local_path(words)
        if path is not None and _is_file(path):
            return Query(words, "image")
    if _IMAGE_NAME.search(words):
        raise UsageError(f"there is no file {words!r}: a query that ends like an image's name is the path of one")
    return Query(words, "text")


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # than any file's: a sentence
            return False
        raise


def read_queries(path: str) -> list[Query]:
    """One query a line; empty lines count for nothing.

    Raises:
        FileError: the file cannot be read.
        UsageError: it is no text, or a line is no query; names the line.
    """
    with explained(path):
        data = Path(path).read_bytes()
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8: queries stand in it one a line") from error
    queries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                queries.append(parse_query(line))
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from error
    if not queries:
        raise UsageError(f"{path} holds no query: they stand in it one a line")
    return queries


def query_vectors(queries: Sequence[Query], vectors: StoredVectors, tables: Tables, models: Models) -> np.ndarray:
    """(Q, D) float32 vectors in the space of the stored ones.

    Raises:
        UserError: an image that is not in the root or has no vector, a file that is no image, weights that are absent
            or others than those of the stored vectors.
    """
    makers = {"text": _of_texts, "image": _of_images, "image_id": _of_known}
    found: dict[int, np.ndarray] = {}
    for kind, make in makers.items():
        asked = [at for at, query in enumerate(queries) if query.kind == kind]
        if asked:
            made = make([queries[at].said for at in asked], vectors, tables, models)
            found |= dict(zip(asked, made, strict=True))
    return np.stack([found[at] for at in range(len(queries))]).astype(np.float32)


def _of_texts(texts: list[str], vectors: StoredVectors, _tables: Tables, models: Models) -> np.ndarray:
    tower = models.load_text_tower(vectors.encoder)
    require_same_weights(vectors, tower.identity())
    return in_batches(tower, texts, BatchStats())


def _of_images(paths: list[str], vectors: StoredVectors, _tables: Tables, models: Models) -> np.ndarray:
    """As they are stored, in half precision: an image of the root has the cosine 1 with itself."""
    encoder = models.load(vectors.encoder)
    require_same_weights(vectors, encoder.identity())
    pixels = [encoder.preprocess(_decoded(path, encoder.min_side)) for path in paths]
    return in_batches(encoder, np.stack(pixels), BatchStats()).astype(np.float16)


def _decoded(path: str, min_side: int | None) -> np.ndarray:
    with explained(path):
        data = Path(local_path(path) or path).read_bytes()
    try:
        return decode_rgb(data, min_side)
    except (NotAnImage, Undecodable) as error:
        raise UserError(f"{path} is no image that can be searched for: {error}") from error


def _of_known(image_ids: list[str], vectors: StoredVectors, tables: Tables, _models: Models) -> np.ndarray:
    wanted = pl.Series("image_id", image_ids).unique()
    known: dict[str, np.ndarray] = {}
    for found, rows in vectors.read(tables, wanted):
        known |= dict(zip(found, rows, strict=True))
    missing = [image_id for image_id in image_ids if image_id not in known]
    if missing:
        raise UserError(_without_vector(missing[0], vectors, tables))
    return np.stack([known[image_id] for image_id in image_ids])


def _without_vector(image_id: str, vectors: StoredVectors, tables: Tables) -> str:
    catalog = tables.catalog
    fetched = [shard for shard in catalog.shards() if catalog.record("raw_images", shard)]
    at_id = pl.col("image_id") == image_id
    there = bool(fetched) and tables.scan("raw_images", fetched).filter(at_id).select(pl.len()).collect().item() > 0
    if not there:
        return f"no image {image_id} under {catalog.location.url}: give an image_id of this root"
    advice = f"`paris inspect {image_id} --root {catalog.location.url}` says why"
    return f"image {image_id} has no vector of {vectors.name!r}: a rule rejected it before, or it failed; {advice}"


def texts_among(queries: Iterable[Query]) -> bool:
    """Whether any query is a text."""
    return any(query.kind == "text" for query in queries)
