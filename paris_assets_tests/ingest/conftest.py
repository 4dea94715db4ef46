from __future__ import annotations

import pytest

from paris_assets.storage.location import Location


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Location:
    """Where registered lists are put: a folder of its own, outside the source."""
    return Location(tmp_path_factory.mktemp("root"))
