"""Exports for Megatron-Energon against the library itself, in an environment of its own.

python -m paris_assets_tests.energon [FOLDER OF THE ENVIRONMENT]

It reads every sample of ours once, on its side, of each expert and of all of them; the example of docs/export.md runs;
and what it prepares of the same tars is what we wrote. Needs the package index once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from paris_assets.export.energon import SIDES, energon_command
from paris_assets.storage.location import Location
from paris_assets_tests.environments import python_beside
from paris_assets_tests.export import experts
from paris_assets_tests.export.experts import ROOTS
from paris_assets_tests.test_docs import PAGES, blocks

PACKAGES = (
    "megatron-energon==7.4.1",
    "multi-storage-client==1.3.1",
    "mfusepy==3.1.1",
    "rapidyaml==0.15.2",
    "filetype==1.2.0",
    "lark==1.3.1",
    "xattr==1.3.0",
    "wcmatch==10.2.1",
    "bracex==3.2.3",
    "deprecation==2.1.0",
    "opentelemetry-api==1.45.2",
    "prettytable==3.18.0",
    "psutil==7.2.2",
    "pyroute2==0.9.7",
)
LIBRARY = Path(__file__).with_name("library.py")
TIMEOUT_S = 240


def main() -> int:
    """Print a line for each comparison; 0 when all of them hold."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data/runs/.energon")
    python, failed = python_beside(place.absolute(), PACKAGES), 0
    with tempfile.TemporaryDirectory() as name:
        for kind in ("mixed", "apart"):
            folder = Path(name) / kind
            store = experts.published(folder / "root", **ROOTS[kind])
            energon_command(store.catalog, Location(folder / "energon"))
            wanted = experts.samples(folder / "root")
            for said, problem in compared(python, folder, wanted).items():
                failed += bool(problem)
                print(f"{kind}, {said}: {problem or 'as expected'}")
    return 1 if failed else 0


def compared(python: Path, folder: Path, wanted: experts.Samples) -> dict[str, str]:
    """What was compared -> what differs; '' where nothing does."""
    outcomes, out = {}, folder / "energon"
    for number, side in enumerate(SIDES):
        for expert in (None, 0, 1):
            place = out / ("all.yaml" if expert is None else f"cluster_{expert}")
            found = json.loads(run(python, "read", str(place), side))
            outcomes[f"{place.name} {side}"] = "" if found == expected(wanted, number, expert) else "other samples"
    for expert in (0, 1):
        outcomes[f"side files of cluster_{expert}"] = prepared(python, out / f"cluster_{expert}", folder / "copy")
    (example,) = (text for text in blocks(PAGES["docs/export.md"], "python") if text.startswith("# read_energon.py"))
    (folder / "read_energon.py").write_text(example)
    ran = subprocess.run(
        [python, "read_energon.py"], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    count = len(expected(wanted, 0, 0))
    outcomes["the example"] = (
        "" if ran.stdout.endswith(f"{count} samples\n") else ran.stdout[-200:] + ran.stderr[-2000:]
    )
    return outcomes


def expected(wanted: experts.Samples, side: int, expert: int | None) -> dict[str, Any]:
    found = {}
    for key, members in wanted.items():
        told = members["metadata.json"]
        if told["split"] == side and expert in (None, told["cluster"]):
            latent = hashlib.sha256(members["latent.npy"].tobytes()).hexdigest()
            found[key] = [1, latent, side, told["cluster"]]
    return found


def prepared(python: Path, data_set: Path, copy: Path) -> str:
    """What differs between the side files of a data set and those that the library makes of its tars."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data_set, copy)
    for path in (*copy.rglob("*.idx"), copy / ".nv-meta/index.sqlite"):
        path.unlink()
    run(python, "prepare", str(copy))
    names = [str(path.relative_to(data_set)) for path in data_set.rglob("*.idx")]
    names += [".nv-meta/.info.json"]
    other = [
        name for name in names if (data_set / name).read_text("latin1").strip() != (copy / name).read_text("latin1")
    ]
    if rows(data_set / ".nv-meta/index.sqlite") != rows(copy / ".nv-meta/index.sqlite"):
        other.append(".nv-meta/index.sqlite")
    return f"differs in {', '.join(other)}" if other or len(names) < 2 else ""


def rows(path: Path) -> dict[str, Any]:
    """Tables, their rows and columns, and names of the indices."""
    database = sqlite3.connect(path)
    held = {name: sorted(database.execute(f"SELECT * FROM {name}")) for name in ("samples", "sample_parts")}
    columns = {name: list(database.execute(f"PRAGMA table_info({name})")) for name in held}
    indices = sorted(database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    return {"rows": held, "columns": columns, "indices": indices}


def run(python: Path, *arguments: str) -> str:
    ran = subprocess.run([python, LIBRARY, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if ran.returncode:
        raise SystemExit(ran.stderr[-3000:])
    return ran.stdout.splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
