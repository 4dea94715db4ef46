from __future__ import annotations

from paris_assets.clusters.words import distinctive_words


def test_words_are_frequent_here_and_rare_elsewhere() -> None:
    dogs = ["A red dog on grass", "the dog", "Dog with a ball", "dog, puppy"]
    cars = ["a red car on grass", "old car", "car with a wheel 2004", "car on grass"]
    first, second = distinctive_words([dogs, cars])
    assert first[0] == "dog"
    assert "car" not in first
    assert second[:2] == ["car", "grass"]
    assert not {"the", "with", "2004", "red"} & {*first, *second}


def test_a_word_counts_once_per_caption_and_single_ones_come_last() -> None:
    first, _ = distinctive_words([["spam spam spam spam", "egg dish", "egg soup"], ["tree", "tree", "bush"]])
    assert first[0] == "egg"
    assert first.index("egg") < first.index("spam")


def test_empty_clusters_and_other_scripts() -> None:
    first, second, third = distinctive_words([[], ["вежа", "вежа Піза"], ["", "tower"]])
    assert first == []
    assert second == ["вежа", "піза"]
    assert third == ["tower"]
