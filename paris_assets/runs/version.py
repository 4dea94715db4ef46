"""What has to be the same wherever tables of one root are made."""

from __future__ import annotations

import hashlib
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import paris_assets

SOURCES = {".py", ".jinja", ".yaml"}
DEVELOPED = re.compile(r"extra == ['\"]dev['\"]")
"""What only tests need may be missing on a node, or be another."""


@dataclass(frozen=True)
class Version:
    """What has to be the same wherever tables of one root are made.

    Attributes:
        code: hash of the package's files.
        packages: what the package declares and is installed -> its version.
    """

    python: str
    code: str
    packages: dict[str, str]

    def differs(self, other: Version) -> str:
        """In words, what another has that is not as here; empty where nothing is."""
        if other.python != self.python:
            return f"Python {other.python}, and this command {self.python}"
        if other.code != self.code:
            return "another version of paris_assets than this command"
        names = sorted(self.packages.keys() | other.packages.keys())
        found = [
            f"{name} {other.packages.get(name, 'missing')} (here {self.packages.get(name, 'missing')})"
            for name in names
            if self.packages.get(name) != other.packages.get(name)
        ]
        return ", ".join(found)


def version_here() -> Version:
    """That of this process."""
    root, digest = Path(paris_assets.__file__).parent, hashlib.sha256()
    for file in sorted(path for path in root.rglob("*") if path.suffix in SOURCES):
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    try:
        declared = [line for line in metadata.requires("paris_assets") or () if not DEVELOPED.search(line)]
    except metadata.PackageNotFoundError:  # read from a folder
        declared = []
    packages = {}
    for name in {Requirement(line).name for line in declared}:
        with suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return Version(platform.python_version(), digest.hexdigest()[:16], packages)
