"""Which concepts an image shows: its tags and all that is broader, and which of them are the narrowest."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

BUT_FIRST, BUT_LAST = r"^\S+ (\S.*)$", r"^(.*\S) \S+$"


def shown(tags: pl.LazyFrame, parents: Mapping[str, str]) -> pl.DataFrame:
    """image_id, concept: each tag of an image and every broader concept, each once.

    Broader than a concept is what ``parents`` says; of a label else what its classifier says; else its words but the
    first.

    Args:
        tags: columns of `concepts`.
        parents: concept -> broader concept, without circles.
    """
    rows = tags.collect()
    labels = (
        rows.select("image_id", concept="labels", parent="label_parents")
        .explode("concept", "parent")
        .drop_nulls("concept")
        .with_columns(parent=pl.coalesce(_stated(parents), "parent"))
    )
    told = labels.drop_nulls("parent")
    step = pl.concat(
        [
            labels.filter(pl.col("parent").is_null()).drop("parent"),
            told.select("image_id", concept="parent"),
            *(rows.select("image_id", concept=name).explode("concept").drop_nulls() for name in ("phrases", "listed")),
        ]
    ).unique()
    found = [told.drop("parent")]
    while step.height:
        found.append(step)
        step = step.select("image_id", concept=_next_broader(parents)).drop_nulls().unique()
    return pl.concat(found).unique()


def label_links(tags: pl.LazyFrame) -> pl.DataFrame:
    """concept, parent: what the classifier says of the labels among the tags."""
    pairs = tags.select(concept="labels", parent="label_parents").collect().explode("concept", "parent")
    return pairs.drop_nulls().unique()


def with_parents(concepts: pl.DataFrame, links: pl.DataFrame, parents: Mapping[str, str]) -> pl.DataFrame:
    """Concepts with their next broader one in ``parent``; null where that is none of them.

    Args:
        concepts: ``concept``.
        links: see ``label_links``; of several the alphabet's first.
        parents: see ``shown``.
    """
    first = links.group_by("concept").agg(pl.col("parent").min().alias("link"))
    joined = concepts.join(first, on="concept", how="left").with_columns(
        parent=pl.coalesce(_stated(parents), "link", pl.col("concept").str.extract(BUT_FIRST))
    )
    known = joined["parent"].is_in(joined["concept"].implode())
    return joined.with_columns(parent=pl.when(known).then("parent")).drop("link")


def narrower(concepts: pl.DataFrame, of: pl.DataFrame | None = None) -> pl.DataFrame:
    """concept, part: what need not be named where the concept is: the words within it, and all that is broader.

    Args:
        concepts: ``concept``, ``parent``; all there are.
        of: ``concept``: only of these, as the few that a shard shows; None: of all.
    """
    known = concepts.select("concept", "parent")
    found = known.select("concept", part="concept").clear()
    wanted = known if of is None else known.join(of, on="concept", how="semi")
    step = wanted.select("concept", part="concept")
    while step.height:
        up = step.join(known, left_on="part", right_on="concept").select("concept", part="parent")
        cut = [step.select("concept", part=pl.col("part").str.extract(rule)) for rule in (BUT_FIRST, BUT_LAST)]
        step = pl.concat([up, *cut]).drop_nulls().unique().join(found, on=["concept", "part"], how="anti")
        found = pl.concat([found, step])
    return found.join(known, left_on="part", right_on="concept", how="semi").filter(pl.col("concept") != pl.col("part"))


def narrowest(pairs: pl.DataFrame, concepts: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """The pairs (image_id, concept) of concepts that are known, without those that a narrower one of the image stands
    for.

    Args:
        pairs: see ``shown``.
        concepts: ``concept``.
        parts: see ``narrower``.
    """
    known = pairs.join(concepts.select("concept"), on="concept", how="semi")
    covered = known.join(parts, on="concept").select("image_id", concept="part").unique()
    return known.join(covered, on=["image_id", "concept"], how="anti")


def _stated(parents: Mapping[str, str]) -> pl.Expr:
    return pl.col("concept").replace_strict(parents, default=None, return_dtype=pl.String)


def _next_broader(parents: Mapping[str, str]) -> pl.Expr:
    return pl.coalesce(_stated(parents), pl.col("concept").str.extract(BUT_FIRST))
