"""Where the sample list lies: `data/sample` in a checkout, `sample` inside the package when installed from a wheel.

Settings name its files as `sample:photos.parquet`, and the whole folder as `sample:`, so that the demo runs from any
folder and a root holds no path of the machine that made it.
"""

from __future__ import annotations

from pathlib import Path

MARK = "sample:"
_PACKAGE = Path(__file__).resolve().parents[1]


def sample_folder() -> Path:
    """The folder that holds `photos.parquet`, the photos and `server.json`."""
    installed = _PACKAGE / "sample"
    return installed if installed.is_dir() else _PACKAGE.parent / "data" / "sample"


def from_mark(path: str) -> str:
    """`sample:photos.parquet` as a path of this machine; any other path as it is."""
    if not path.startswith(MARK):
        return path
    return str(sample_folder() / path.removeprefix(MARK))


def to_mark(path: str) -> str:
    """The opposite of `from_mark`: how a profile file names a path inside the sample; any other path as it is."""
    folder = sample_folder()
    if not Path(path).is_relative_to(folder):
        return path
    inside = Path(path).relative_to(folder).as_posix()
    return MARK if inside == "." else f"{MARK}{inside}"
