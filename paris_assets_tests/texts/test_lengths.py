"""Captions that are cut are counted, at the length in use and at those that others use."""

import polars as pl
import pytest

from paris_assets.texts.lengths import length_facts, lengths_of


def facts(lengths: list[int], most: int) -> dict:
    tokens = pl.Series([min(length, most) for length in lengths], dtype=pl.Int32)
    return length_facts(tokens, pl.Series(lengths, dtype=pl.Int32) - tokens)


def test_shares_are_of_the_whole_lengths_whatever_is_kept() -> None:
    lengths = [1, 64, 65, 77, 78, 129, 257, 300]
    found = facts(lengths, 77)
    assert found["captions_truncated"] == 4
    assert found["captions_longer_than"] == {"64": 6, "77": 4, "128": 3, "256": 2}
    assert facts(lengths, 256)["captions_longer_than"] == found["captions_longer_than"]
    both = lengths_of([found, facts([10, 10], 77)])
    assert both["captions_counted"] == 10
    assert both["share_longer_than"] == pytest.approx({"64": 0.6, "77": 0.4, "128": 0.3, "256": 0.2})


def test_encoders_that_cannot_count_tell_nothing() -> None:
    unknown = length_facts(pl.Series([3, 4], dtype=pl.Int32), pl.Series([None, None], dtype=pl.Int32))
    assert unknown["captions_counted"] == unknown["captions_truncated"] == 0
    assert unknown["true_tokens"] == 7
    assert lengths_of([unknown, {}]) == {}
    assert lengths_of([unknown, facts([9], 4)])["captions_counted"] == 1
