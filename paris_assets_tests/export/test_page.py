"""The examples of docs/export.md that need nothing but the extra dev, as they stand there."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from paris_assets.export.huggingface import hf_command
from paris_assets.export.wids import wids_command
from paris_assets.storage.location import Location
from paris_assets_tests.test_docs import PAGES, blocks

EXAMPLES = {text.split(":")[0].removeprefix("# "): text for text in blocks(PAGES["docs/export.md"], "python")}
ELSEWHERE = {"read_energon.py"}  # by `make test-energon`
SAID = {
    "read_wids.py": r"12 samples, the last: \w{32} \(4, 32, 32\)",
    "read_hf.py": r"8 rows: caption \d+ torch\.Size\(\[4, 32, 32\]\)",
    "read_croissant.py": r"12 records: caption \d+ \(4, 32, 32\)",
}


@pytest.fixture(scope="module")
def out(roots: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    wids_command(roots("mixed").catalog, Location(folder / "indices"), None)
    hf_command(roots("mixed").catalog, Location(folder / "dataset"), "other")
    return folder


def test_every_example_is_run() -> None:
    assert EXAMPLES.keys() == SAID.keys() | ELSEWHERE


@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_should(
    name: str, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (out / name).write_text(EXAMPLES[name])
    monkeypatch.chdir(out)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(name)
    assert re.fullmatch(SAID[name], capsys.readouterr().out.strip())
