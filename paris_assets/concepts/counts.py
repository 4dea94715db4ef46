"""The concepts of the whole set: how many images show each, what is broader, how rare it is."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.concepts.frequency import frequencies
from paris_assets.concepts.hierarchy import label_links, narrower, narrowest, shown, with_parents
from paris_assets.concepts.page import PAGE, page
from paris_assets.concepts.schema import CONCEPT_COUNTS
from paris_assets.concepts.weights import median_df
from paris_assets.config import Concepts
from paris_assets.errors import UserError
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

DIGITS = 9


class ConceptError(UserError, ValueError):
    """Concepts that cannot be counted; the message names them."""


def counted(tags: Shards, settings: Concepts) -> Output:
    """The row of `concept_counts` of every concept that ``min_df`` images show, sorted by concept.

    Tags are read three times, a shard in memory at a time.

    Raises:
        ConceptError: two concepts are each broader than the other.
    """

    def pairs() -> Iterator[pl.DataFrame]:
        yield from (shown(tags[shard], settings.parents) for shard in tags.keys)

    total = tags.frame().select(pl.len()).collect().item()
    links = pl.concat([label_links(tags[shard]) for shard in tags.keys]).unique()
    counted = with_parents(frequencies(pairs, settings.min_df), links, settings.parents)
    parts = narrower(counted)
    _require_upwards(parts)
    used = [narrowest(some, counted, parts)["concept"].value_counts(name="images") for some in pairs()]
    images = pl.concat(used).group_by("concept").agg(pl.col("images").sum().cast(pl.Int64))
    rows = measured(counted.join(images, on="concept", how="left"), total, settings.smoothing).sort("concept")
    output = Output(rows_in=total, facts={"concepts": rows.height, "median_df": median_df(rows)})

    def write() -> Iterator[pl.DataFrame]:
        output.add_file(PAGE, page(rows, total).encode())
        output.links["concepts"] = PAGE
        yield rows

    output.rows = write()
    return output


def _require_upwards(parts: pl.DataFrame) -> None:
    """Refuse concepts that stand for each other: an image that shows both would be left with neither.

    Args:
        parts: see ``hierarchy.narrower``.
    """
    both = parts.join(parts, left_on=["concept", "part"], right_on=["part", "concept"], how="semi")
    if both.height:
        one, other = both.sort("concept", "part").row(0)
        raise ConceptError(
            f"concepts: {one!r} is broader than {other!r}, and {other!r} than {one!r}, by concepts.parents, the labels "
            "of concepts.labeller and their words: change concepts.parents"
        )


def measured(concepts: pl.DataFrame, total: int, smoothing: float) -> pl.DataFrame:
    """Columns of `concept_counts` from ``concept``, ``df``, ``parent`` and ``images`` (null: none).

    Args:
        total: all curated images, those without tags too.
        smoothing: weight of the parent's df against the own (Jelinek and Mercer 1980).
    """
    parents = concepts.select(parent="concept", parent_df="df")
    df, parent_df = pl.col("df"), pl.coalesce("parent_df", "df")
    return (
        concepts.join(parents, on="parent", how="left")
        .with_columns(
            pl.col("images").fill_null(0),
            share=df / max(total, 1),
            smoothed_df=(df + smoothing * (parent_df - df)).round_sig_figs(DIGITS),
            rarity=(1 + (total - df + 0.5) / (df + 0.5)).log().round_sig_figs(DIGITS),
        )
        .select(CONCEPT_COUNTS.select())
    )
