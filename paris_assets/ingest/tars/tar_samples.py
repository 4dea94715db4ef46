"""The samples of a tar: adjacent members with one key, whatever kinds of members there are."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from paris_assets.ingest.files import signatures
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import CAPTIONS, composed, extension_of, leftover, stem_of
from paris_assets.ingest.tars.tar_members import members

MOST_MEMBERS = 32  # of one sample; more are names with dots, of which each is a sample of its own
LINKS_DEEP = 8
Info = tarfile.TarInfo


class Row(NamedTuple):
    """An image and what describes it. `name` is that of the image, or the key of a sample without one."""

    name: str
    image: Info | None
    texts: list[Info]
    json: Info | None


@dataclass
class Sample:
    """Members of one key, by name; `images` are the names of those that are images.

    Attributes:
        continues: whether it follows members of the same key, which were too many for one sample.
    """

    key: str
    offset: int
    continues: bool = False
    members: list[tuple[str, Info]] = field(default_factory=list)
    images: list[tuple[str, Info]] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """A row for each image; one for a sample without that is described, and none for other members."""
        texts, jsons = self._of(CAPTIONS), self._of(("json",))
        if not self.images:
            described = [Row(self.key, None, [info for _, info in texts], next((info for _, info in jsons), None))]
            return described if texts or jsons else []
        own = ((name, image, self._own(name, texts), self._own(name, jsons)) for name, image in self.images)
        return [Row(name, image, texts, next(iter(jsons), None)) for name, image, texts, jsons in own]

    def unused(self) -> list[str]:
        """Names of members that no row is made of."""
        used = {id(info) for row in self.rows() for info in (row.image, row.json, *row.texts)}
        return [name for name, info in self.members if id(info) not in used]

    def _of(self, extensions: tuple[str, ...]) -> list[tuple[str, Info]]:
        return [(composed(stem_of(name)), info) for name, info in self.members if extension_of(name) in extensions]

    def _own(self, image: str, found: list[tuple[str, Info]]) -> list[Info]:
        """The members of the image's own name, else of the key; where there is no other image, then all others."""
        wanted = (composed(stem_of(image)), composed(image), self.key)
        own = next(filter(None, ([info for stem, info in found if stem == name] for name in wanted)), [])
        others = [info for _, info in found if info not in own] if len(self.images) == 1 else []
        return own + others


def samples(handle: IO[bytes], where: str, offset: int = 0, left_out: LeftOut | None = None) -> Iterator[Sample]:
    """The samples from a byte position on; each is the same if the tar is read from its own position.

    Args:
        left_out: counts members that belong to no sample.

    Raises:
        SourceError: no tar, or a broken one.
    """
    current: Sample | None = None
    for name, info in _usable(handle, where, offset, LeftOut() if left_out is None else left_out):
        key = _key(name)
        if current is None or current.key != key or _is_full(current, name):
            if current is not None:
                yield current
            current = Sample(key, info.offset, continues=current is not None and current.key == key)
        current.members.append((name, info))
        if _is_image(handle, name, info):
            current.images.append((name, info))
    if current is not None:
        yield current


class Links:
    """What the links of a tar lead to; it is read through when the first one is followed."""

    def __init__(self, handle: IO[bytes], where: str) -> None:
        self._handle, self._where = handle, where
        self._known: dict[str, Info] | None = None

    def follow(self, info: Info) -> Info | None:
        """The member itself, or the one that it links to; None where there is none."""
        for _ in range(LINKS_DEEP):
            if not _is_link(info):
                return info if info.isfile() else None
            if self._known is None:
                self._known = self._targets()
            found = self._known.get(_target(info))
            if found is None:
                return None
            info = found
        return None

    def _targets(self) -> dict[str, Info]:
        wanted = {_target(info) for info in members(self._handle, self._where) if _is_link(info)}
        named = ((posixpath.normpath(info.name), info) for info in members(self._handle, self._where))
        return {name: info for name, info in named if name in wanted}


def content_of(handle: IO[bytes], info: Info, limit: int) -> bytes:
    """The first `limit` bytes of a member that is no link, holes included."""
    if info.sparse is not None:  # type: ignore[attr-defined]  # typeshed lacks it
        return tarfile.ExFileObject(_Opened(handle), info).read(min(info.size, limit))  # type: ignore[arg-type]
    # The tar's own position is restored by tarfile itself, which seeks before every header.
    handle.seek(info.offset_data)
    return handle.read(min(info.size, limit))


@dataclass
class _Opened:
    """As much of a tar as tarfile needs to read a member."""

    fileobj: IO[bytes]


def _usable(handle: IO[bytes], where: str, offset: int, left_out: LeftOut) -> Iterator[tuple[str, Info]]:
    """(name, header) of files, and of links that may be files."""
    for info in members(handle, where, offset, left_out):
        name = info.name.removeprefix("./")
        why = None if info.isdir() else leftover(name)
        if not why and not info.isdir():
            named = extension_of(name) in _DESCRIBING or extension_of(name) in signatures.EXTENSIONS
            if _is_link(info) and not named:
                why = "links"
            elif not _is_link(info) and not info.isfile():
                why = "pipes and devices"
            elif not extension_of(name) and not _is_image(handle, name, info):
                why = "files without extension"
        if why:
            left_out.add(f"{why} in tars", name)
        elif not info.isdir():
            yield name, info


_DESCRIBING = (*CAPTIONS, "json")


def _is_image(handle: IO[bytes], name: str, info: Info) -> bool:
    """By the name, and by the content where that says nothing."""
    extension = extension_of(name)
    if extension in signatures.EXTENSIONS:
        return True
    if extension in _DESCRIBING or _is_link(info):
        return False
    return signatures.is_image(content_of(handle, info, signatures.PROBE_BYTES))


def _key(name: str) -> str:
    """WebDataset's: the path up to the first dot of the file name; letters in one form."""
    folder, slash, file = name.rpartition("/")
    return composed(folder + slash + file.partition(".")[0])


def _is_full(sample: Sample, name: str) -> bool:
    """Whether another member of the same key begins a new sample; members of one name stay together."""
    return len(sample.members) >= MOST_MEMBERS and stem_of(name) != stem_of(sample.members[-1][0])


def _is_link(info: Info) -> bool:
    return info.islnk() or info.issym()


def _target(info: Info) -> str:
    """The name that a link leads to: of a hard link from the top of the tar, of another one from its own folder."""
    folder = posixpath.dirname(info.name) if info.issym() else ""
    return posixpath.normpath(posixpath.join(folder, info.linkname))
