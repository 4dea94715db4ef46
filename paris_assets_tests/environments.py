"""A wheel of this checkout, and empty environments that hold it with what it declares and nothing else.

What it declares is linked from the environment that runs the tests: nothing is fetched, and a package that is used
without being declared is not there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1]
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def build_wheel(folder: Path) -> Path:
    """The wheel that is built from the source distribution of a copy of the checkout."""
    copy = folder / "checkout"
    for name in ("paris_assets", "paris_assets_tests", "tools", "data/sample"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, copy)
    said = subprocess.run(
        [sys.executable, "-c", SDIST, str(folder)], cwd=copy, check=True, capture_output=True, text=True
    )
    source = folder / said.stdout.split()[-1]
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path, extras: Iterable[str] = ()) -> Path:
    """A new environment with the wheel and what it declares, for some of its extras; its python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    for distribution in _declared(wheel, extras):
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(Path(str(distribution.locate_file(name))))
    command = [*PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return python


def python_beside(folder: Path, packages: Sequence[str], files: Mapping[str, str] | None = None) -> Path:
    """The python of an environment with further packages, which has all others of the one that runs this; made where it
    is not there yet, from the package index.

    Args:
        packages: with versions; they come without what they depend on.
        files: name -> text of modules that stand in for others.
    """
    python, made = folder / "bin" / "python", folder / "made"
    identity = "\n".join([sys.executable, *packages])
    if made.exists() and made.read_text() == identity:
        return python
    venv.create(folder, clear=True, symlinks=True)
    command = [*PIP, "--python", str(python), "install", "--progress-bar", "off", "--no-deps", *packages]
    subprocess.run(command, check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name, text in (files or {}).items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    made.write_text(identity)
    return python


def _declared(wheel: Path, extras: Iterable[str]) -> Iterator[metadata.Distribution]:
    """Everything that pip would install beside the wheel."""
    (info,) = (path for path in zipfile.Path(wheel).iterdir() if path.name.endswith(".dist-info"))
    waiting: list[tuple[metadata.Distribution, str]] = [
        (metadata.PathDistribution(info), extra)
        for extra in ("", *extras)  # type: ignore[arg-type]  # it reads alike
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        distribution, extra = waiting.pop()
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            for wanted in {"", *requirement.extras}:
                if (requirement.name.lower(), wanted) not in seen:
                    seen.add((requirement.name.lower(), wanted))
                    found = metadata.distribution(requirement.name)
                    waiting.append((found, wanted))
                    yield found
