"""Files damaged anywhere: lint says what it finds, and never ends with an error of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.verification.lint import LintRequest, lint
from paris_assets_tests.lint.made import mds, mds_sample, samples, tar

Damage = tuple[float, int, bytes]
"""Where, as a share; how many bytes go; what comes in their place."""
DAMAGE = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 600), st.binary(max_size=8))


def damaged(whole: bytes, damage: Damage) -> bytes:
    share, length, put = damage
    at = int(share * len(whole))
    return whole[:at] + put + whole[at + length :]


@settings(max_examples=40)
@given(DAMAGE)
def test_damaged_files_are_looked_into(tmp_path_factory: pytest.TempPathFactory, damage: Damage) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    request = LintRequest((), workers=1)
    path = tar(folder / "tars/a.tar", samples(2))
    index = mds(folder / "mds", [[mds_sample(0), mds_sample(1)]]) / "index.json"
    shard = folder / "mds/shard.00000.mds"
    for file in (path, index, shard):
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, damage))
        found = lint(str(file.parent), request)
        same = file.read_bytes() == whole
        assert found.counts or same or file != shard, "an index has a hash of every shard"
        assert not (found.counts and same)
        file.write_bytes(whole)
