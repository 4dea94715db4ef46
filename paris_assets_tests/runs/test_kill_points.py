"""A run that is killed again and again, at any point, ends with the bytes of a run that nobody disturbed."""

from pathlib import Path

import pytest

from paris_assets_tests.fixtures import small_world
from paris_assets_tests.runs.chains import Undisturbed

pytestmark = [pytest.mark.long, pytest.mark.slow]


EXTENDED = [pytest.param(chain, marks=pytest.mark.extended) for chain in (1, 2)]


@pytest.mark.parametrize("chain", [0, *EXTENDED])
def test_killed_on_a_local_disk(undisturbed: Undisturbed, chain: int, tmp_path: Path) -> None:
    points = undisturbed.points(chain)
    assert undisturbed.survive(str(tmp_path / "root"), points) == points
    assert small_world.contents(tmp_path / "root") == undisturbed.files
