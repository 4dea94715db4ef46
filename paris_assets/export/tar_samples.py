"""Samples of the experts' tars, found by position."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.tar_members import BLOCK, Member, members

METADATA = "metadata.json"


class TarSample(NamedTuple):
    """A sample in a tar: its members, and the bytes from its first header to the next sample's."""

    key: str
    members: list[Member]
    start: int
    stop: int


def tar_samples(tar: mmap.mmap) -> Iterator[TarSample]:
    """The samples of a tar in order.

    Raises:
        TornTar: it is not whole.
    """
    for key, found in groupby(members(tar), key=lambda member: member.key):
        group = list(found)
        last = group[-1]
        yield TarSample(key, group, group[0].offset - BLOCK, last.offset + -(-last.size // BLOCK) * BLOCK)


@contextmanager
def mapped(tar: Path) -> Iterator[mmap.mmap]:
    """The bytes of a tar."""
    with open(tar, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        yield view


def by_side(tar: mmap.mmap, name: str) -> dict[int, list[TarSample]]:
    """Samples of each side of the split that a tar has any of, in its order.

    Args:
        name: of the tar, for the message.

    Raises:
        DamagedFile: it is not whole.
    """
    found = dict[int, list[TarSample]]()
    try:
        for sample in tar_samples(tar):
            (told,) = (each for each in sample.members if each.name.endswith(f".{METADATA}"))
            split = json.loads(tar[told.offset : told.offset + told.size])["split"]
            found.setdefault(int(split), []).append(sample)
    except (ValueError, KeyError) as error:  # torn, or with other members
        raise DamagedFile(name) from error
    return dict(sorted(found.items()))


def stored(tar: mmap.mmap, sample: TarSample) -> dict[str, bytes]:
    """Member of a sample -> its content."""
    return {each.name.partition(".")[2]: tar[each.offset : each.offset + each.size] for each in sample.members}
