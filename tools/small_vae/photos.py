"""The photos of `photos.jsonl`, fetched again from the Debian packages that hold them and told by their sha256.

The list is fixed: it names each photo's package, author, licence and split. The split's rule, fixed before any
training: a shipped sample photo with a short side of at least 256 pixels is held out when the first 32 bits of its
sha256 are an even number. Photos within a pHash distance of 10 (all pairs, chained) are one group, named by the sha256
of its first photo: when one is held out, none of the others trains. A group whose second 32 bits are a multiple of 24
is watched during training and not trained on.
"""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
WEIGHTS = PROJECT / "paris_assets" / "models" / "weights" / "small_vae"
SAMPLE = PROJECT / "data" / "sample"
WORK = Path(tempfile.gettempdir()) / "small_vae"
PACKAGES = {  # of Debian 12
    "gcompris-qt-data": "3.1-2",
    "lomiri-wallpapers-16.04": "20.04.0-2",
    "lomiri-wallpapers-20.04": "20.04.0-2",
    "lxqt-themes": "1.2.0-1",
    "mate-backgrounds": "1.26.0-1",
    "plasma-workspace-wallpapers": "4:5.27.5-2",
}
WEBP = re.compile(rb"RIFF(....)WEBP", re.DOTALL)  # the four bytes: size of what follows them, little-endian


Photo = dict[str, Any]  # a line of photos.jsonl; the model card says what is in it


def listed() -> list[Photo]:
    """Every photo of the shipped list, also those that take part in nothing."""
    return [json.loads(line) for line in (WEIGHTS / "photos.jsonl").read_text(encoding="utf-8").splitlines()]


def used(split: str) -> list[Photo]:
    """The photos that `train`, `validation` or `held_out` uses."""
    return [photo for photo in listed() if photo["split"] == split and photo["excluded_because"] is None]


def collect(work: Path) -> None:
    """Download the packages and keep their listed photos as `work/<sha256>`; what is there is not fetched again.

    Raises RuntimeError when apt-get or dpkg-deb fails, or a package lacks a listed photo.
    """
    for package, version in PACKAGES.items():
        photos = [photo for photo in listed() if photo["package"] == package]
        keep(photos, work, f"{package} {version}", lambda folder, it=(package, version): unpack(*it, folder))


def keep(photos: list[Photo], work: Path, package: str, unpacked: Callable[[Path], None]) -> None:
    """Keep a package's photos as `work/<sha256>`.

    Args:
        package: its name and version, for messages.
        unpacked: fetches the package and unpacks it below a folder; not called when all photos are there.

    Raises:
        RuntimeError: the package lacks a photo.
    """
    work.mkdir(parents=True, exist_ok=True)
    wanted = {photo["sha256"] for photo in photos if not (work / photo["sha256"]).exists()}
    if wanted:
        with tempfile.TemporaryDirectory() as folder:
            unpacked(Path(folder))
            for content in contents_of(Path(folder), [photo["path"] for photo in photos]):
                sha256 = hashlib.sha256(content).hexdigest()
                if sha256 in wanted:
                    (work / sha256).write_bytes(content)
                    wanted.remove(sha256)
    if wanted:
        raise RuntimeError(f"{package} lacks {len(wanted)} listed photos, such as sha256 {min(wanted)}")
    print(f"{package}: all {len(photos)} listed photos")


def unpack(package: str, version: str, folder: Path) -> None:
    """Download a Debian package and unpack it below `folder`. Raises RuntimeError when that fails."""
    try:
        subprocess.run(["apt-get", "download", f"{package}={version}"], cwd=folder, check=True)
        unpack_deb(next(folder.glob("*.deb")), folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"cannot fetch {package} {version} ({error}): on Debian 12, run `apt-get update`") from error


def unpack_deb(package: Path, folder: Path) -> None:
    """Unpack a Debian package. Raises OSError or CalledProcessError."""
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def contents_of(folder: Path, paths: Iterable[str]) -> Iterator[bytes]:
    """The files at `paths` below an unpacked package, and every WebP file inside its Qt resource bundles (`.rcc`).

    gcompris keeps its photos in such bundles, as they are, one after the other; only their sha256 tells which is which.
    """
    for path in paths:
        if (folder / path).is_file():
            yield (folder / path).read_bytes()
    for bundle in sorted(folder.rglob("*.rcc")):
        content = bundle.read_bytes()
        for match in WEBP.finditer(content):
            yield content[match.start() : match.start() + 8 + int.from_bytes(match[1], "little")]


def read(photo: Photo, work: Path = WORK, tool: str = "small_vae") -> bytes:
    """A photo's file: from the shipped sample, or as the `collect` of a tool left it.

    Raises RuntimeError when it is not there.
    """
    file = SAMPLE / photo["path"] if photo["package"] == "sample" else work / photo["sha256"]
    if not file.is_file():
        raise RuntimeError(f"{file} is missing: run `python -m tools.{tool} collect` with the same --work")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != photo["sha256"]:
        raise RuntimeError(f"{file} is not the listed photo of sha256 {photo['sha256']}: delete it and collect again")
    return content
