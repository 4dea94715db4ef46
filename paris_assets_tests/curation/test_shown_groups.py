"""Which groups a person is shown, and in what order."""

from __future__ import annotations

import polars as pl

from paris_assets.config import Duplicates
from paris_assets.curation.schema import DUPLICATE_GROUPS
from paris_assets.curation.shown_groups import doubtful_groups, largest_groups

SETTINGS = Duplicates.model_validate({"radius": 10, "copies": {"cosine": 0.75}})


def table(*copies: tuple[str, str, str | None, int | None, float | None]) -> pl.LazyFrame:
    """Rows of (group, image, method, distance, cosine), the keepers without method."""
    rows = [
        {
            "image_id": image, "source_row": row, "group_id": group, "keeper": method is None, "method": method,
            "distance": distance, "cosine": cosine,
        }
        for row, (group, image, method, distance, cosine) in enumerate(copies)
    ]  # fmt: skip
    return DUPLICATE_GROUPS.frame(rows).lazy()


GROUPS = table(
    ("p", "p0", None, None, None),
    ("p", "p1", "phash", 9, 0.99),  # a tenth within the radius
    ("p", "p2", "phash", 1, 0.2),
    ("c", "c1", "copy_embedding", 30, 0.76),  # a twenty-fifth within the bound
    ("c", "c0", None, None, None),
    ("c", "c2", "copy_embedding", 2, 0.98),
    ("c", "c2", "exact", 2, 0.98),
    ("s", "s0", None, None, None),
    ("s", "s1", "copy_embedding", 20, 0.9),
    ("e", "e0", None, None, None),
    ("e", "e0", "exact", 0, None),
    ("a", "a0", None, None, None),
)


def told(groups: list[dict[str, object]]) -> list[tuple[object, list[str]]]:
    return [(group["size"], [member["image_id"] for member in group["members"]]) for group in groups]  # type: ignore[index, attr-defined]


def test_groups_nearest_to_their_bound_come_first_and_their_doubtful_copies_before_the_sure() -> None:
    assert told(doubtful_groups(GROUPS, SETTINGS)) == [
        (3, ["c0", "c1", "c2"]),
        (3, ["p0", "p1", "p2"]),
        (2, ["s0", "s1"]),
    ]
    strict = Duplicates.model_validate({"radius": 9, "copies": {"cosine": 0.5}})
    assert told(doubtful_groups(GROUPS, strict))[0] == (3, ["p0", "p1", "p2"])


def test_largest_groups_show_their_surest_copies_first() -> None:
    assert told(largest_groups(GROUPS, SETTINGS)) == [
        (3, ["c0", "c2", "c1"]),
        (3, ["p0", "p2", "p1"]),
        (2, ["s0", "s1"]),
    ]


def test_without_vectors_bits_alone_count() -> None:
    bits = GROUPS.filter(pl.col("group_id").is_in(["p", "e", "a"])).drop("cosine")
    assert told(doubtful_groups(bits, SETTINGS)) == [(3, ["p0", "p1", "p2"])]
    assert doubtful_groups(bits.filter("keeper"), SETTINGS) == []
    assert largest_groups(bits.filter("keeper"), SETTINGS) == []
