"""Vectors and scores of a shard, where earlier rows of the same networks may be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from paris_assets.compute import Compute
from paris_assets.config import SCORED_TEXT, Curation, Model, Profile
from paris_assets.errors import BrokenInvariant
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats
from paris_assets.models.encoders import is_head, require_fit
from paris_assets.models.head_card import read_card
from paris_assets.models.registry import Models
from paris_assets.models.score_columns import score_columns
from paris_assets.rules.columns import distinct_images
from paris_assets.rules.verdicts import passing_signals
from paris_assets.signals.distribution import sketched
from paris_assets.signals.embeddings import REASON, embed_pictures
from paris_assets.signals.heads import OnVectors, head_scores
from paris_assets.signals.schema import EMBEDDING
from paris_assets.signals.scores import score
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


class Passing(NamedTuple):
    """Images of a shard that are worth the work of networks.

    Attributes:
        image_ids: of them, sorted.
        measured: images of the shard, these and the others.
    """

    image_ids: pl.Series
    measured: int

    def output(self, reason: str) -> Output:
        """One that counts the others."""
        return Output(rows_in=self.measured, rejects={reason: self.measured - len(self.image_ids)})


def passing_of(raw_images: pl.LazyFrame, image_signals: pl.LazyFrame, rules: Curation) -> Passing:
    """Images that pass the rules on signals."""
    measured = image_signals.select(pl.len()).collect().item()
    return Passing(passing_signals(raw_images, image_signals, rules), measured)


def embedded(
    passing: Passing, images: ShardImages, encoders: Mapping[str, Model], models: Models, compute: Compute
) -> Output:
    """Rows of `picture_embeddings`.

    Args:
        encoders: column -> network.
        compute: who decodes.
    """
    names = {column: f"picture_embeddings.{column}" for column in encoders}
    return _embedded(passing, images, encoders, names, models, compute, of_length_one=False)


def embedded_for_copies(
    passing: Passing, images: ShardImages, embedder: Model, models: Models, compute: Compute
) -> Output:
    """Rows of `copy_embeddings`."""
    return _embedded(
        passing, images, {EMBEDDING: embedder}, {EMBEDDING: "copy_embedder"}, models, compute, of_length_one=True
    )


def _embedded(
    passing: Passing,
    images: ShardImages,
    encoders: Mapping[str, Model],
    names: Mapping[str, str],
    models: Models,
    compute: Compute,
    of_length_one: bool,
) -> Output:
    output, stats = passing.output("not_embedded"), BatchStats()

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        networks = {column: models.load(settings) for column, settings in sorted(encoders.items())}
        yield from embed_pictures(images.read(missing), networks, compute, stats, of_length_one=of_length_one)
        output.facts["models"] = {names[column]: network.identity() for column, network in networks.items()}
        output.note_halved(stats.halved)

    output.rows = lambda previous: _counted(reuse_rows(passing.image_ids.to_frame(), previous, made), output)
    return output


def _counted(frames: Iterable[pl.DataFrame], output: Output) -> Iterator[pl.DataFrame]:
    """The frames; how many of their images have no vector becomes a fact."""
    failed = 0
    for frame in frames:
        failed += frame.height - frame[REASON].null_count()
        yield frame
    output.facts["without_vector"] = failed


def scored(
    passing: Passing,
    images: ShardImages,
    vectors: pl.LazyFrame | None,
    profile: Profile,
    models: Models,
    compute: Compute,
) -> Output:
    """Rows of `content_scores`.

    Args:
        vectors: their `picture_embeddings`, or None where no score is on one.
        compute: who decodes.

    Raises:
        WeightsError: a head of another encoder than the one whose vectors it is to read.
    """
    output, stats = passing.output("not_scored"), BatchStats()
    output.facts["heads"] = dict(_statements(profile))
    wanted, keys = passing.image_ids.to_frame(), ["image_id"]
    if any(score.text for score in profile.scores.values()):
        texts = distinct_images(images.ledger).select("image_id", pl.col("text").alias(SCORED_TEXT)).collect()
        wanted, keys = wanted.join(texts, on="image_id", how="left", maintain_order="left"), ["image_id", SCORED_TEXT]

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        settings = sorted(profile.scores.items())
        pixels = {column: models.load(each) for column, each in settings if each.on is None}
        heads = {column: _load_head(column, profile, models) for column, each in settings if each.on is not None}
        by_heads = head_scores(_with_vectors(missing, vectors), heads, stats)
        order = [*keys, *(column for columns in score_columns(dict(settings)).values() for column in columns)]
        for frame in score(images.read(missing), pixels, compute, stats):
            yield frame.join(by_heads, on="image_id", how="left", maintain_order="left").select(order)
        if not pixels:
            yield by_heads.select(order)
        networks = {**pixels, **{column: each.texts or each.head for column, each in heads.items()}}
        output.facts["models"] = {f"scores.{column}": network.identity() for column, network in networks.items()}
        output.note_halved(stats.halved)

    output.rows = sketched(lambda previous: reuse_rows(wanted, previous, made, keys), output)
    return output


def _statements(profile: Profile) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each head states, and the encoder that it is used on, for the check ``heads_fit``."""
    for column, settings in sorted(profile.scores.items()):
        if settings.on is None:
            continue
        require_fit(settings, profile.picture_embeddings[settings.on])
        if is_head(settings):
            card = read_card(settings)
            encoder = card.encoder.model_dump(exclude_none=True)
            yield column, {"on": settings.on, "encoder": encoder, "normalisation": card.normalisation}


def _with_vectors(rows: pl.DataFrame, vectors: pl.LazyFrame | None) -> pl.DataFrame:
    if vectors is None:
        return rows
    joined = rows.lazy().join(vectors, on="image_id", how="inner").sort("image_id").collect()
    if joined.height != rows.height:
        lost = rows.height - joined.height
        raise BrokenInvariant(f"{lost} images that pass the rules on signals have no row in picture_embeddings")
    return joined


def _load_head(column: str, profile: Profile, models: Models) -> OnVectors:
    settings = profile.scores[column]
    assert settings.on is not None
    texts = models.load_text_tower(profile.picture_embeddings[settings.on]) if settings.text else None
    return OnVectors(models.load(settings), settings.on, texts)
