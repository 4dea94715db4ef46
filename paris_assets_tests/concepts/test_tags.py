"""Tags of the images of a shard, from each source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.concepts.schema import CONCEPTS
from paris_assets.concepts.tags import likely, tagged
from paris_assets.config import Concepts, Model
from paris_assets.errors import BrokenInvariant
from paris_assets.models.registry import ModelError, Models
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures.small_world import CHEAP
from paris_assets_tests.models.cheap import Tagger
from paris_assets_tests.models.photos import photos

IDS = [image_id for image_id, _ in photos()[:6]]
LABELLER = Model(implementation=f"{CHEAP}:Tagger", batch_size=4)
CURATED = pl.LazyFrame(
    {
        "image_id": IDS,
        "source_row": [5, 4, 6, 7, 8, 9],
        "text": ["red, big barn", None, "", "sea; sky", "x", "12"],
        "alt_texts": [["one, two"], [], ["three"], [], [], []],
    }
)
SOURCES = pl.LazyFrame({"source_row": [4, 5, 6], "tags": ["Old  Barn\nbarn", "row 5", None]})
CAPTIONS = pl.LazyFrame(
    {"image_id": IDS[::-1], "caption": ["a red barn", "the sea", "", "12", "old stone tower", "tree"][::-1]}
)


class Pictures:
    """Photos by id, which counts what is read."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, ids: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
        wanted = set(ids["image_id"])
        for image_id, data in photos():
            if image_id in wanted:
                self.seen.append(image_id)
                yield image_id, data


def rows(output: Output, previous: pl.DataFrame | None = None) -> pl.DataFrame:
    assert callable(output.rows)
    chunks = output.rows(None if previous is None else previous.lazy())
    return pl.concat([chunk for chunk in chunks if isinstance(chunk, pl.DataFrame)])


def tags_of(settings: Concepts, pictures: Any = None, previous: pl.DataFrame | None = None) -> pl.DataFrame:
    captions = CAPTIONS if settings.phrases else None
    sources = SOURCES if settings.listed == "tags" else None
    return rows(tagged(CURATED, sources, captions, pictures, settings, Models()), previous)


def test_each_source_has_a_column_of_its_own() -> None:
    found = tags_of(Concepts(phrases=True, max_words=2, listed="text", labeller=LABELLER), Pictures())
    assert dict(found.schema) == dict(CONCEPTS.polars())
    assert found["image_id"].to_list() == IDS
    assert found["phrases"].to_list() == [
        ["barn", "red", "red barn"],
        ["sea"],
        [],
        [],
        ["old", "old stone", "stone", "stone tower", "tower"],
        ["tree"],
    ]
    assert found["listed"].to_list() == [["big barn", "red"], [], [], ["sea", "sky"], ["x"], []]
    labels = [label for row in found["labels"].to_list() for label in row]
    assert labels
    assert set(labels) <= set(Tagger.labels[:4])


def test_without_a_labeller_no_picture_is_read() -> None:
    found = tags_of(Concepts(listed="alt_texts"))
    assert found["listed"].to_list() == [["one", "two"], [], ["three"], [], [], []]
    assert found["labels"].to_list() == found["label_parents"].to_list() == found["phrases"].to_list() == [[]] * 6


def test_tags_of_the_source_are_those_of_the_row_that_an_image_stands_for() -> None:
    assert tags_of(Concepts(listed="tags"))["listed"].to_list() == [["row 5"], ["barn", "old barn"], [], [], [], []]


def test_labels_are_kept_when_captions_change() -> None:
    settings, pictures = Concepts(phrases=True, labeller=LABELLER), Pictures()
    first = tags_of(settings, pictures)
    assert pictures.seen == IDS
    before = first.with_columns(phrases=pl.lit([], pl.List(pl.String)))[:4]
    again = tags_of(settings, pictures, before)
    assert pictures.seen[6:] == IDS[4:], "only images without labels"
    assert again.equals(first)


def test_labels_that_are_likely_enough_most_probable_first() -> None:
    labeller, settings = Tagger(LABELLER), Concepts(labeller=LABELLER, min_probability=0.3, max_labels=2)
    given = np.array([[0.4, 0.6, 0, 0, 0], [0.31, 0.31, 0.38, 0, 0], [0.25, 0.25, 0.25, 0.25, 0]], np.float32)
    assert likely(given, labeller, settings) == (
        [["right top corner", "left top corner"], ["left bottom corner", "left top corner"], []],
        [[None, "left side"], ["left side", "left side"], []],
    )


@pytest.mark.parametrize("given", [np.ones((2, 4), np.float32), np.full((2, 5), np.nan, np.float32)])
def test_probabilities_that_are_none_stop_the_shard(given: np.ndarray) -> None:
    with pytest.raises(BrokenInvariant, match=r"cheap:Tagger does not give 5 finite probabilities"):
        likely(given, Tagger(LABELLER), Concepts(labeller=LABELLER))


def test_a_network_without_labels_is_refused(tmp_path: Path) -> None:
    settings = Concepts(labeller=Model(implementation=f"{CHEAP}:Namer"))
    with pytest.raises(ModelError, match=r"concepts.labeller: .*Namer has no labels: give imagenet-tags"):
        tags_of(settings, Pictures())


def test_an_empty_shard_has_the_columns() -> None:
    pictures: Any = Pictures()
    for settings, images in ((Concepts(listed="text"), None), (Concepts(phrases=True, labeller=LABELLER), pictures)):
        nothing = rows(tagged(CURATED.head(0), None, CAPTIONS.head(0), images, settings, Models()))
        assert dict(nothing.schema) == dict(CONCEPTS.polars())
        assert nothing.is_empty()
