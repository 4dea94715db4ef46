"""As test_kill_points, but a worker is killed, and the others go on."""

from pathlib import Path

import pytest

from paris_assets_tests.fixtures import small_world
from paris_assets_tests.runs.chains import Undisturbed

pytestmark = [pytest.mark.long, pytest.mark.extended]


def test_workers_killed_on_a_local_disk(undisturbed: Undisturbed, tmp_path: Path) -> None:
    points = undisturbed.points_of_workers(10)
    assert undisturbed.survive(str(tmp_path / "root"), points, 2) == points
    assert small_world.contents(tmp_path / "root") == undisturbed.files
