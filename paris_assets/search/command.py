"""What `paris search` does, with its words to the user."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Profile
from paris_assets.curation.image_lists import FACTOR, write_list
from paris_assets.dag.tables import Tables
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError, explained
from paris_assets.models.registry import Models, requirements
from paris_assets.models.resolve import resolve_networks
from paris_assets.planning.profile_file import stored_profile
from paris_assets.search.found import nearest_images
from paris_assets.search.page import page
from paris_assets.search.queries import Query, parse_query, query_vectors, read_queries, texts_among
from paris_assets.search.stored import StoredVectors, stored_vectors

MOST_WORDS = 80


@dataclass(frozen=True)
class SearchRequest:
    """What is to be found, and where the answer goes.

    Attributes:
        query: a text, an image file or an image_id.
        queries: a file with such queries, one a line.
        encoder: whose vectors are searched.
        top: images for each query.
        least: smallest cosine.
        as_json: whether the answer is printed as JSON.
        html: file of a page with the pictures.
        write: file of a list for `curation.prune` or `curation.boost`.
        reason: why, in that list.
        factor: in that list, how much more such an image counts.
    """

    query: str | None = None
    queries: str | None = None
    encoder: str | None = None
    top: int = 20
    least: float = -1.0
    as_json: bool = False
    html: str | None = None
    write: str | None = None
    reason: str | None = None
    factor: float | None = None


def search_request(options: Namespace) -> SearchRequest:
    """What the command line asks for."""
    return SearchRequest(
        query=options.query,
        queries=options.queries,
        encoder=options.encoder,
        top=options.top,
        least=options.min_cosine,
        as_json=options.json,
        html=options.html,
        write=options.write,
        reason=options.reason,
        factor=options.boost,
    )


def search_command(profile: Profile, url: str, request: SearchRequest) -> int:
    """Find images of a root by their stored vectors, and print them; 0.

    Args:
        profile: says where the weights of encoders are.

    Raises:
        UserError: what is asked cannot be found; says why and what to do.
    """
    require_possible(request)
    queries = [parse_query(request.query)] if request.query is not None else read_queries(str(request.queries))
    catalog = open_catalog(url)
    if not catalog.shards():
        raise UsageError(
            f"there is no run under {catalog.location.url}: name another --root, or make one with `paris run`"
        )
    tables, here = Tables(catalog), resolve_networks(profile, stored_profile(catalog.location))
    vectors = stored_vectors(catalog, here, request.encoder, texts_among(queries))
    lacking = requirements(vectors.encoder) if any(query.kind != "image_id" for query in queries) else []
    if lacking:
        raise UsageError(f"{vectors.name} cannot make the vector of a query here: {'; '.join(lacking)}")
    asked = query_vectors(queries, vectors, tables, Models())
    found = nearest_images(vectors, tables, asked, request.top, request.least)
    _deliver(found, queries, vectors, tables, request)
    return 0


def require_possible(request: SearchRequest) -> None:
    """Refuse arguments that contradict each other, before anything is read.

    Raises:
        UsageError: says which.
    """
    if (request.query is None) == (request.queries is None):
        raise UsageError("give either a query (a text, an image file or an image_id) or --queries FILE")
    if request.top < 1:
        raise UsageError(f"--top must be at least 1, got {request.top}")
    if not -1 <= request.least <= 1:
        raise UsageError(f"--min-cosine must be from -1 to 1, got {request.least:g}")
    if request.factor is not None and not FACTOR[0] <= request.factor <= FACTOR[1]:
        raise UsageError(f"--boost must be from {FACTOR[0]:g} to {FACTOR[1]:g}, got {request.factor:g}")
    if (request.write is None) != (request.reason is None):
        raise UsageError("--write FILE takes a --reason, which the list gives for each image, and --reason a --write")
    if request.factor is not None and request.write is None:
        raise UsageError("--boost is a column of the list that --write FILE makes: give both")
    if request.write is not None and Path(request.write).exists():
        raise UsageError(f"--write: {request.write} is there already: name another file, or remove it")


def _deliver(
    found: pl.DataFrame, queries: Sequence[Query], vectors: StoredVectors, tables: Tables, request: SearchRequest
) -> None:
    if request.write is not None:
        listed = found.with_columns(query=pl.Series([query.said for query in queries]).gather(found["query"]))
        write_list(request.write, listed, str(request.reason), request.factor)
    if request.html is not None:
        text = page(found, queries, vectors.name, tables)
        with explained(request.html, "written"):
            Path(request.html).write_text(text, encoding="utf-8")
    if request.as_json:
        answers = list(_answers(found, queries, vectors.name))
        print(json.dumps(answers, ensure_ascii=False, indent=2))
        return
    nothing = "no image is so near" if request.least > -1 else f"no image has a vector of {vectors.name}"
    for line in _said(found, queries, vectors, tables, nothing):
        print(line)
    for file in (request.write, request.html):
        if file is not None:
            print(f"written: {file}")


def _answers(found: pl.DataFrame, queries: Sequence[Query], encoder: str) -> Iterator[dict[str, Any]]:
    for number, query in enumerate(queries):
        images = found.filter(query=number).drop("query").to_dicts()
        yield {"query": query.said, "kind": query.kind, "encoder": encoder, "images": images}


def _said(
    found: pl.DataFrame, queries: Sequence[Query], vectors: StoredVectors, tables: Tables, nothing: str
) -> Iterator[str]:
    registered = len(tables.catalog.shards())
    waiting = registered - len(vectors.shards)
    having = f"{len(vectors.shards)} shard{'s' * (len(vectors.shards) != 1)}"
    yield f"by {vectors.name} in {having}" + (
        f"; {waiting} of {registered} shards have no vectors of it yet" if waiting else ""
    )
    for number, query in enumerate(queries):
        yield f"{query.said} ({query.kind})"
        rows = found.filter(query=number).to_dicts()
        if not rows:
            yield f"  {nothing}"
        for row in rows:
            # Written by strangers: a control character would be an order to the terminal.
            words = "".join(letter if letter.isprintable() else " " for letter in row["caption"] or row["url"] or "")
            words = " ".join(words.split())
            short = words if len(words) <= MOST_WORDS else f"{words[: MOST_WORDS - 1]}…"
            yield f"{row['rank']:4} {row['cosine']:7.4f}  {row['image_id']}  {row['status']}  {short}".rstrip()
