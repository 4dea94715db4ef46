from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paris_assets.curation import links
from paris_assets.curation.links import links_of, spread
from paris_assets_tests.curation.numpy_pairs import every_pair


def test_links_are_the_close_pairs_in_a_file_without_a_name(tmp_path: Path) -> None:
    hashes = np.arange(300, dtype=np.uint64)
    found = links_of(hashes, 3, tmp_path)
    expected = np.concatenate([np.stack(block[:2], axis=1) for block in every_pair(hashes, 3)])
    assert sorted(found.tolist()) == sorted(expected.tolist())
    assert isinstance(found, np.memmap)
    assert list(tmp_path.iterdir()) == []
    assert links_of(hashes[:1], 3, tmp_path).shape == (0, 2)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 1000])
def test_blocks_are_all_links_once_each_spread_over_all_and_twice_as_long(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "FIRST", 4)
    monkeypatch.setattr(links, "MOST", 128)
    rows = np.arange(2 * count, dtype=np.uint32).reshape(-1, 2)
    blocks = list(spread(rows))
    assert sorted(np.concatenate([rows[:0], *blocks]).tolist()) == rows.tolist()
    assert all(len(block) <= 128 for block in blocks)
    if count == 1000:
        assert [len(block) for block in blocks] == [8, 8, 16, 31, 62, 125, 128, 122, 128, 128, 128, 116]
        assert np.diff(blocks[0][:, 0]).tolist() == [256] * 7
