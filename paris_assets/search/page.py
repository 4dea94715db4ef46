"""The images that a search found, as a page to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from paris_assets.dag.tables import Tables
from paris_assets.images.reader import ImageTars
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import Pictures
from paris_assets.search.queries import Query
from paris_assets.settings.local_path import local_path
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.shards import Shards


def page(found: pl.DataFrame, queries: Sequence[Query], encoder: str, tables: Tables) -> str:
    """One self-contained HTML page with every picture, its cosine, and whether it is kept.

    Args:
        found: see ``found.nearest_images``.
    """
    known = found["image_id"].to_list() + [query.said for query in queries if query.kind == "image_id"]
    by_id, files = Pictures(_reader(known, tables)), Pictures(lambda path: Path(local_path(path) or path).read_bytes())
    answers = [
        {"query": query, "images": found.filter(query=number).to_dicts()} for number, query in enumerate(queries)
    ]
    template = pages(Path(__file__).parent).get_template("search.html.jinja")
    return template.render(answers=answers, encoder=encoder, picture=by_id.uri, file=files.uri)


def _reader(image_ids: list[str], tables: Tables) -> Callable[[str], bytes]:
    """image_id -> file bytes, for these images."""
    catalog = tables.catalog
    fetched = [shard for shard in catalog.shards() if catalog.record("raw_images", shard)]
    wanted = pl.LazyFrame({"image_id": image_ids}, schema={"image_id": pl.String}).unique()

    def ledgers(shards: Sequence[str]) -> pl.LazyFrame:
        return tables.scan("raw_images", shards).join(wanted, on="image_id", how="semi")

    return ImageTars(LocalFiles(catalog.location)).anywhere(Shards(fetched, ledgers))
