"""Tags of the images of a shard: by a classifier, from their captions, from lists of the source."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from paris_assets.compute import Compute
from paris_assets.concepts.phrases import listed, phrases
from paris_assets.concepts.schema import CONCEPTS
from paris_assets.config import Concepts
from paris_assets.errors import BrokenInvariant
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats, run_batches
from paris_assets.models.protocols import ImageTagger
from paris_assets.models.registry import ModelError, Models
from paris_assets.settings.concepts import spelled
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows

LABELS = ("labels", "label_parents")


def tagged(
    curated: pl.LazyFrame,
    sources: pl.LazyFrame | None,
    captions: pl.LazyFrame | None,
    images: ShardImages | None,
    settings: Concepts,
    models: Models,
    compute: Compute | None = None,
) -> Output:
    """Rows of `concepts` for the shard's `curated_images`; earlier labels of the same classifier may be kept.

    Args:
        sources: `source_rows`, where the source's `tags` are tags.
        captions: where phrases are tags.
        images: where labels are.
        compute: who decodes; by default the threads of this process.
    """
    wanted = curated.select("image_id").sort("image_id").collect()
    said = _words(curated if sources is None else _with_tags(curated, sources), captions, settings)
    output, stats = Output(rows_in=wanted.height, rows_of_models=images is not None), BatchStats()

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        yield _labels([], [], [])
        if images is not None:
            labeller = _tagger(models, settings)
            output.facts["models"] = {"concepts.labeller": labeller.identity()}
            for ids, probabilities in run_batches(images.read(missing), labeller, compute, stats):
                yield _labels(ids, *likely(probabilities, labeller, settings))
            output.note_halved(stats.halved)

    def rows(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        known = None if previous is None else previous.select("image_id", *LABELS)
        labelled = wanted.with_columns(_none(name) for name in LABELS)
        for chunk in [labelled] if images is None else reuse_rows(wanted, known, made):
            joined = chunk.join(said, on="image_id", how="left", maintain_order="left")
            yield joined.with_columns(pl.col("phrases", "listed").fill_null([])).select(CONCEPTS.select())

    output.rows = rows
    return output


def likely(
    probabilities: np.ndarray, labeller: ImageTagger, settings: Concepts
) -> tuple[list[list[str]], list[list[str | None]]]:
    """Labels of a batch that are tags, most probable first, and the broader concept of each.

    Args:
        probabilities: (B, labels).

    Raises:
        BrokenInvariant: they are not one for each label, or no numbers.
    """
    if probabilities.shape[1:] != (len(labeller.labels),) or not np.isfinite(probabilities).all():
        expected = f"{len(labeller.labels)} finite probabilities for an image, as many as its labels"
        raise BrokenInvariant(f"concepts.labeller: {labeller.name} does not give {expected}")
    # A stable sort: equal probabilities always give the lower index first.
    best: list[list[int]] = np.argsort(-probabilities, axis=1, kind="stable")[:, : settings.max_labels].tolist()
    sure = [
        [index for index in order if row[index] >= settings.min_probability]
        for row, order in zip(probabilities, best, strict=True)
    ]
    parents = {spelled(label): spelled(parent) for label, parent in labeller.parents.items()}
    names = [[spelled(labeller.labels[index]) for index in indices] for indices in sure]
    return names, [[parents.get(name) for name in row] for row in names]


def training_captions(captions: pl.LazyFrame) -> pl.LazyFrame:
    """image_id and caption of each image: the one that experts are trained on."""
    return captions.select("image_id", "caption")


def _tagger(models: Models, settings: Concepts) -> ImageTagger:
    """The network of ``labeller``.

    Raises:
        ModelError: it is none that gives labels.
    """
    network = models.load(settings.labeller)  # type: ignore[arg-type]
    if not (hasattr(network, "labels") and hasattr(network, "parents")):
        raise ModelError(
            f"concepts.labeller: {network.name} has no labels: give imagenet-tags, or a class as ImageTagger in "
            "paris_assets/models/protocols.py describes it"
        )
    return network


def _words(curated: pl.LazyFrame, captions: pl.LazyFrame | None, settings: Concepts) -> pl.DataFrame:
    """image_id, phrases, listed of every image; null where there are none."""
    found = curated.select("image_id").collect().with_columns(_none("phrases"), _none("listed"))
    if captions is not None:
        said = phrases(training_captions(captions).collect(), "caption", settings.max_words)
        found = found.drop("phrases").join(said, on="image_id", how="left")
    if settings.listed is not None:
        told = listed(curated.select("image_id", settings.listed).collect(), settings.listed)
        found = found.drop("listed").join(told, on="image_id", how="left")
    return found


def _with_tags(curated: pl.LazyFrame, sources: pl.LazyFrame) -> pl.LazyFrame:
    """Curated images with the `tags` of the row that each stands for."""
    return curated.join(sources.select("source_row", "tags"), on="source_row", how="left")


def _none(name: str) -> pl.Expr:
    return pl.lit([], pl.List(pl.String)).alias(name)


def _labels(ids: list[str], labels: list[list[str]], parents: list[list[str | None]]) -> pl.DataFrame:
    columns = {"image_id": ids, "labels": labels, "label_parents": parents}
    return pl.DataFrame(columns, {name: kind for name, kind in CONCEPTS.polars().items() if name in columns})
