"""Roots whose experts are published, which exports only read; tests that change one make their own."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from absl import logging

from paris_assets_tests.export import experts
from paris_assets_tests.fixtures.made_up import MadeUpRoot

# mlcroissant logs by absl, which closes the stream that it found when it was loaded: what pytest captures with.
logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name -> root, made when it is asked for."""
    made: dict[str, MadeUpRoot] = {}

    def find(name: str) -> MadeUpRoot:
        if name not in made:
            made[name] = experts.published(tmp_path_factory.mktemp(name) / "root", **experts.ROOTS[name])
        return made[name]

    return find
