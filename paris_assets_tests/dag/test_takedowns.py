"""The list of takedowns: what it refuses, what it tells, and that a broken one is not taken for an empty one."""

from __future__ import annotations

import pytest

from paris_assets.dag.takedowns import Takedown, TakedownError, TakedownList, hash_of_url, pinned

URL = "https://photos.example/1.jpg"
FIRST = Takedown(
    asked=[URL], when="2026-01-01T00:00:00+00:00", image_ids=["a" * 32], urls=[hash_of_url(URL)],
    source_rows={"00000": [3, 1]}, standing={"raw_images/00000": "f0"}, shards=["00000"],
)  # fmt: skip
SECOND = FIRST.model_copy(update={"image_ids": ["b" * 32], "source_rows": {"00000": [2]}, "standing": {"x/all": "f1"}})
BOTH = TakedownList((FIRST, SECOND))


def test_a_list_is_what_was_stored() -> None:
    assert TakedownList.parse(BOTH.stored(), "here") == BOTH
    assert TakedownList.parse(None, "here") == TakedownList()


def test_what_is_refused() -> None:
    assert BOTH.image_ids == {"a" * 32, "b" * 32}
    assert (BOTH.rows("00000"), BOTH.rows("00001")) == ([1, 2, 3], [])
    assert BOTH.until(SECOND) == TakedownList((FIRST,))
    assert pinned(BOTH.entries, "raw_images/00000", "f0") is FIRST
    assert pinned(BOTH.entries, "raw_images/00000", "f1") is None


def test_what_is_published_tells_no_address_and_follows_what_is_refused_alone() -> None:
    said = BOTH.published()
    assert (said["requests"], said["images"]) == (2, 2)
    assert URL not in str(said)
    reasons = TakedownList((FIRST.model_copy(update={"reason": "asked", "when": "later"}), SECOND))
    assert reasons.published() == said
    assert TakedownList((FIRST,)).sha256() != BOTH.sha256()
    assert TakedownList().published() == {}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"takedowns": [{}]}', b'{"takedowns": [{"other": 1}]}'])
def test_a_broken_list_is_an_error(data: bytes) -> None:
    with pytest.raises(TakedownError, match=r"s3://b/takedowns\.json is no list of takedowns"):
        TakedownList.parse(data, "s3://b/takedowns.json")
