"""The examples and commands of docs/training.md, as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from paris_assets_tests.fixtures import training_files as made
from paris_assets_tests.test_docs import PAGES, PROJECT, blocks, words
from paris_assets_tests.training import separable

EXAMPLES = {text.split(":")[0].removeprefix("# "): text for text in blocks(PAGES["docs/training.md"], "python")}
SAID = {
    "train_expert.py": r"1 epoch, loss \d+\.\d\d",
    "go_on.py": r"5 batches left after 3",
    "one_sample.py": r"4 held out: \(4, 8, 8\) \(9, 6\) \d picture \d+ – é",
    "train_router.py": r"(torch\.Size\(\[8, 4, 8, 8\]\) \[[0-2, ]+\]\n?){2}",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    made.write_router(folder / "router_training", 20)
    return made.write(folder, "webdataset", [made.samples(20)])


def test_every_example_is_run() -> None:
    assert EXAMPLES.keys() == SAID.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_should(name: str, root: Path) -> None:
    script = root / name
    script.write_text(EXAMPLES[name])
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run([sys.executable, script, root], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(SAID[name], run.stdout.strip()), run.stdout


SMALL = {
    "train_expert": ["--preset", "tiny", "--steps", "2", "--batch-size", "4"],
    "train_router": ["--preset", "tiny", "--steps", "2", "--batch-size", "4"],
    "sample": ["--steps", "2"],
}


def test_every_command_does_what_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    separable.write_root(Path("data/runs/demo"), 12)
    done = []
    for line in "\n".join(blocks(PAGES["docs/training.md"], "bash")).splitlines():
        _, _, module, *arguments = words(line)
        room, _, name = module.rpartition(".")
        assert room == "paris_assets.training"
        assert import_module(module).main([*arguments, *SMALL[name], "--device", "cpu"]) == 0, capsys.readouterr().err
        done.append(name)
    assert done == list(SMALL)
    assert sorted(path.name for path in Path("data/networks").iterdir()) == ["cluster_1", "router"]
    (told,) = json.loads(Path("data/drawn/pictures.json").read_text())
    assert (told["prompt"], told["experts"]) == ("a red bicycle", {"1": 1.0})
    assert Path("data/drawn", told["file"]).is_file()
