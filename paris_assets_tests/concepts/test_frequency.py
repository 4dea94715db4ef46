"""Counting concepts in bounded memory gives the exact numbers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.concepts import frequency
from paris_assets.concepts.frequency import frequencies

SHARDS = st.lists(st.lists(st.sampled_from([f"concept {number}" for number in range(12)]), max_size=30), max_size=5)


def counted(shards: list[list[str]], least: int, slots: int) -> dict[str, int]:
    def parts() -> Iterator[pl.DataFrame]:
        for number, concepts in enumerate(shards):
            ids = [f"{number}-{row}" for row in range(len(concepts))]
            yield pl.DataFrame({"image_id": ids, "concept": concepts}, {"image_id": str, "concept": str})

    return dict(frequencies(parts, least, slots).rows())


@given(SHARDS, st.integers(1, 5), st.sampled_from([1, 4, 1 << 16]))
def test_counts_are_those_of_a_plain_count_whatever_collides(shards: list[list[str]], least: int, slots: int) -> None:
    plain = Counter(concept for shard in shards for concept in shard)
    expected = {concept: count for concept, count in sorted(plain.items()) if count >= least}
    assert counted(shards, least, slots) == expected
    assert list(counted(shards, least, slots)) == list(expected)


def test_counts_are_merged_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(0)
    shards = [[f"concept {generator.randrange(40)}" for _ in range(50)] for _ in range(9)]
    whole = counted(shards, 3, 1 << 16)
    monkeypatch.setattr(frequency, "MERGE_ROWS", 20)
    assert counted(shards, 3, 1 << 16) == whole


def test_phrases_of_single_images_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a second pass holds in memory is what may be frequent enough."""
    gathered: list[int] = []
    added = frequency._added
    monkeypatch.setattr(
        frequency, "_added", lambda counts: gathered.append(sum(each.height for each in counts)) or added(counts)
    )
    shards = [["seen everywhere", *(f"once {shard} {row}" for row in range(500))] for shard in range(6)]
    assert counted(shards, 6, 1 << 20) == {"seen everywhere": 6}
    assert sum(gathered) < 20
