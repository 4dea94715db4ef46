"""Captions that repeat are found over the whole set, whatever the order of shards."""

from __future__ import annotations

import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.captions.repeats import repeated
from paris_assets.captions.schema import CAPTION_KINDS, REPEATED_CAPTIONS
from paris_assets.storage.shards import Shards
from paris_assets.texts.words import template

Row = tuple[str, str, str | None]


def kinds(rows: list[Row], first: int) -> pl.DataFrame:
    """Rows of `caption_kinds`: (kind, caption, reason), each of an image of its own."""
    return CAPTION_KINDS.frame(
        {
            "image_id": [f"{first + number:032x}" for number in range(len(rows))],
            **dict(zip(("kind", "caption", "reason"), zip(*rows, strict=True), strict=True)),
            "captioner": ["somebody"] * len(rows),
        }
    )


def found(shards: dict[str, pl.DataFrame], most: int) -> pl.DataFrame:
    output = repeated(Shards.of({**shards}), most)
    table = pl.concat(output.rows)  # type: ignore[arg-type]
    assert table.schema == REPEATED_CAPTIONS.polars()
    assert output.facts["shards"] == list(shards)
    return table


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Item 12, page 3", "item 7, PAGE 1.250,00", True),
        ("Item 12", "Item twelve", False),
        ("a red barn", "a red barn.", False),
        ("number ٣", "number 3", True),
        ("1 of 2", "10 of 20", True),
        ("room 5b", "room 5c", False),
    ],
)
def test_what_is_one_template(first: str, second: str, same: bool) -> None:
    one, other = pl.DataFrame({"text": [first, second]}).select(template(pl.col("text"))).to_series()
    assert (one == other) is same


SHARDS = {
    "00000": kinds([("source", "Lot 1 for sale", None), ("source", "a red barn", None), ("tags", "sky", None)], 0),
    "00001": kinds([("source", "Lot 22 for sale", None), ("long", "Lot 3 for sale", None), ("tags", "sky", None)], 10),
    "00002": kinds(
        [("source", "lot 4 FOR sale", None), ("source", "Lot 5 for sale", "url"), ("tags", "sky", None)], 20
    ),
}


def test_valid_captions_of_one_kind_and_template_are_counted_over_all_shards() -> None:
    table = found(SHARDS, 2)
    assert table.select("shard", "kind", "template", "repeats").rows() == [
        (shard, "source", "lot 0 for sale", 3) for shard in SHARDS
    ]
    assert found(SHARDS, 3).height == 0


def test_the_order_of_shards_changes_nothing() -> None:
    usual = found(SHARDS, 1).sort("image_id", "kind")
    assert found(dict(reversed(SHARDS.items())), 1).sort("image_id", "kind").equals(usual)


@given(
    words=st.lists(st.sampled_from(["a 1", "a 2", "b", "c 3 d", "A 9", "c 3 e"]), max_size=40),
    most=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_as_a_count_in_plain_python(words: list[str], most: int, seed: int) -> None:
    plain = {word: "".join("0" if letter.isdigit() else letter for letter in word.lower()) for word in words}
    counts = Counter(plain[word] for word in words)
    rows: list[Row] = [("source", word, None) for word in words]
    random.Random(seed).shuffle(rows)
    cut = len(rows) // 3
    shards = {
        f"{number:05d}": kinds(part, 100 * number) for number, part in enumerate((rows[:cut], rows[cut:])) if part
    }
    if not shards:
        return
    table = found(shards, most)
    expected = {text: count for text, count in counts.items() if count > most}
    assert dict(table.group_by("template").len().iter_rows()) == expected
    assert dict(table.select("template", "repeats").iter_rows()) == expected
