"""Lint as the command line calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paris_assets.cli import main

Found = list[tuple[str, str, str]]
"""(file, key, kind) of what is listed."""
Lint = Callable[..., Found]


@pytest.fixture
def lint(capsys: pytest.CaptureFixture[str]) -> Lint:
    """(file's name, key, kind) of every problem at some paths; the exit status has to agree."""

    def run(*arguments: Path | str) -> Found:
        capsys.readouterr()
        status = main(["lint", *map(str, arguments), "--json"])
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert status == (1 if said["problems"] else 0)
        return [(Path(each["file"]).name, each["key"], each["kind"]) for each in said["problems"]]

    return run
