"""Words of captions and lists of the source as tags."""

from __future__ import annotations

import polars as pl
import pytest

from paris_assets.concepts.phrases import listed, phrases


def said(text: str | None, max_words: int = 3) -> list[str]:
    rows = phrases(
        pl.DataFrame({"image_id": ["a"], "caption": [text]}, {"image_id": str, "caption": str}), "caption", max_words
    )
    return rows["phrases"].to_list()[0] if rows.height else []


def test_phrases_lie_between_stop_words_and_within_punctuation() -> None:
    assert said("A golden retriever on the beach, Brittany") == [
        "beach",
        "brittany",
        "golden",
        "golden retriever",
        "retriever",
    ]
    assert said("red Red red") == ["red", "red red", "red red red"]
    assert said("a tall old stone tower", 2) == [
        "old",
        "old stone",
        "stone",
        "stone tower",
        "tall",
        "tall old",
        "tower",
    ]
    assert said("a tall old stone tower", 1) == ["old", "stone", "tall", "tower"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the dog's bone", ["bone", "dog"]),
        ("it’s a well-known t-shirt", ["t-shirt", "well-known", "well-known t-shirt"]),
        ("photo 3 of 12 cats", ["cats"]),
        ("cat2dog", ["cat", "dog"]),
        ("vitamin c tablet", ["tablet", "vitamin"]),
        ("一只猫 cat แมว dog", ["cat", "dog"]),
        ("Café - Straße", ["café", "straße"]),
        ("-- 'quoted' --", ["quoted"]),
        ("", []),
        ("123 ,;", []),
        (None, []),
    ],
)
def test_what_is_a_word(text: str | None, found: list[str]) -> None:
    assert said(text) == found


def test_a_phrase_joins_no_two_captions() -> None:
    rows = pl.DataFrame({"image_id": ["b", "a"], "caption": ["red barn", "blue door"]})
    found = dict(phrases(rows, "caption", 3).rows())
    assert found == {"a": ["blue", "blue door", "door"], "b": ["barn", "red", "red barn"]}


def test_lists_of_the_source() -> None:
    texts = ["Red  Car; blue,sky |x\n 12, , a b c d e f,BLUE", None, " ", "one tag"]
    rows = pl.DataFrame({"image_id": list("abcd"), "text": texts})
    assert dict(listed(rows, "text").rows()) == {"a": ["blue", "red car", "sky", "x"], "d": ["one tag"]}
    several = pl.DataFrame(
        {"image_id": list("ab"), "alt_texts": [["z, y", "x"], []]}, {"image_id": str, "alt_texts": pl.List(str)}
    )
    assert dict(listed(several, "alt_texts").rows()) == {"a": ["x", "y", "z"]}
