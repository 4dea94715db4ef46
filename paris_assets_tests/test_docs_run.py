"""The commands of README and docs/, run one after the other as they stand there, on small pictures."""

from __future__ import annotations

import gzip
import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.runs.progress import counted
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.test_docs import PAGES, PROJECT, blocks, words

pytestmark = [pytest.mark.long, pytest.mark.slow]

# extending.md has its own test
IN_ORDER = ("README.md", "docs/running.md", "docs/guarantees.md", "docs/dagster.md", "docs/auditing.md")
ROWS = 40
CHEAP = [
    "source.rows_per_shard",
    "ingest.serve",
    "scores",
    "curation.signal_rules",
    "curation.score_rules",
    "captions.captioner",
    "text.encoder",
    "text.tokens",
    "embedder",
    "clusters.restarts",
    "clusters.stability_seeds",
    "latents.codec",
    "latents.resolutions",
    "latents.report_images",
    "checks.min_psnr_db",
]
PLACEHOLDER = re.compile(r"(?<![$\w])(BUCKET|IMAGE_ID|UID|URL)\b")
WAITS = ("paris dev", "dagster dev")
REGISTERED = {"a": 2, "b": 2, "c": 2, "d": 1, "e": 1, "f": 14}
"""Root of a dry run -> shards that it would register."""


def lines() -> Iterator[tuple[str, str]]:
    """(page, command line) of everything to be run, in order."""
    for page in IN_ORDER:
        for line in "\n".join(blocks(PAGES[page], "bash")).splitlines():
            ours = line.startswith(("paris ", "dagster ", "export ")) and not line.startswith(WAITS)
            if ours and not PLACEHOLDER.search(line):
                yield page, line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a source of every kind that the pages name."""
    monkeypatch.chdir(tmp_path)
    cheap = small_world.profile(small_world.embedded(tmp_path / "my_list.parquet", ROWS))
    # As few clusters as the smallest source has images: more are refused.
    monkeypatch.setenv("PARIS_SET", f"{small_world.paris_set(cheap, CHEAP)};clusters.k=4")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    for name in ("PARIS_ROOT", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")  # the pages and `paris` set them
    pictures = [(name, data) for name, data, _ in small_world.rows(5) if data]
    (tmp_path / "photos").mkdir()
    for name, data in pictures:
        (tmp_path / "photos" / name).write_bytes(data)
    rows = pl.DataFrame({"URL": [f"http://{small_world.HOST}/{name}" for name, _ in pictures]})
    for name, file in {"lists/one.csv.gz": rows, "lists/two.csv.gz": rows.head(2)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(file.write_csv().encode()))
    pl.concat([rows] * 5).write_ndjson(tmp_path / "rows.jsonl")
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "00000.tar", "w") as tar:
        for name, data in pictures:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / "data" / "runs").mkdir(parents=True)
    (tmp_path / "data" / "runs" / "demo").symlink_to("mine")  # the pages on Dagster show the demo's root
    return tmp_path


def test_every_command_does_what_it_should(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = []
    for page, line in lines():
        expanded = [os.path.expandvars(word) for word in words(line.replace("$PWD", str(folder)))]
        if expanded[0] == "export":
            for assignment in expanded[1:]:
                monkeypatch.setenv(*assignment.split("=", 1))
        elif expanded[0] == "dagster":
            program = Path(sys.executable).parent / "dagster"
            made = subprocess.run([program, *expanded[1:]], capture_output=True, text=True, check=False)
            assert made.returncode == 0, f"{page}: {line}\n{made.stderr[-2000:]}"
        else:
            status, said = main(expanded[1:]), "".join(capfd.readouterr())
            assert status == 0, f"{page}: {line}\n{said}"
            check_shards(expanded, said)
        done.append(shlex.join(expanded))
    assert sum(line.startswith("paris run") for line in done) > 10
    root = folder / "data" / "runs" / "mine"
    assert sorted(path.name for path in root.parent.iterdir()) == ["demo", "mine"]  # dry runs leave nothing
    assert (root / "pipeline_manifest.json").is_file()
    assert len(list((root / "expert_shards").glob("cluster_*"))) == 4


def check_shards(arguments: list[str], said: str) -> None:
    """A dry run on another source registers all its files, and nothing else."""
    if "--dry-run" in arguments and "--root" in arguments:
        count = REGISTERED[arguments[arguments.index("--root") + 1].rpartition("/")[2]]
        assert f"would register {counted(count, 'shard')} with" in said, f"{arguments}: {said}"
