"""Where the arrays of expert tars lie: our tars by byte position, without unpacking them."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from paris_assets.storage.tar_members import Bytes, Member, TornTar, members
from paris_assets.training.listing import Fault, Form, Lister, Row, checked_id, npy_form, told, told_numbers

LATENT, TEXT, CAPTION, METADATA = "latent.npy", "clip_emb.npy", "caption.txt", "metadata.json"
HEADER_BYTES = 128
"""Of an ``.npy`` file of few dimensions, as numpy pads it."""
Array = tuple[int, int]
"""Number of the form, and first byte of the values."""


class TarLister:
    """Lists the samples of tars one after the other.

    Args:
        resolution: of the latents; None: the smallest of each sample.
        smallest: the resolution of ``latent.npy``, where it is known.
    """

    def __init__(self, lister: Lister, resolution: int | None, smallest: int | None) -> None:
        self._lister, self._resolution, self._smallest = lister, resolution, smallest
        self._headers: dict[bytes, tuple[Form, int, int]] = {}

    def add(self, number: int, tar: Bytes) -> None:
        """The samples of one tar.

        Raises:
            CorruptSample: of a sample that is not whole, or the key after which the tar is torn.
        """
        rows, key = [], "(the first)"
        with self._lister.sample(number, "(of the whole file)"):
            try:
                for key, group in groupby(members(tar), key=lambda member: member.key):
                    with self._lister.sample(number, key):
                        row = self._row(number, key, tar, list(group))
                        rows += [row] if row else []
            except TornTar as error:
                raise Fault(f"a torn tar after sample {key}: {error}") from error
            finally:
                self._lister.add(rows)

    def _row(self, number: int, key: str, tar: Bytes, group: list[Member]) -> Row | None:
        parts = {member.name.partition(".")[2]: member for member in group}
        if len(parts) < len(group):
            raise Fault("a member twice")
        for name in (LATENT, TEXT, CAPTION, METADATA):
            if name not in parts:
                raise Fault(f"no {name} beside {', '.join(sorted(parts))}")
        name = LATENT if self._resolution in (None, self._smallest) else f"latent_{self._resolution}.npy"
        if name not in parts:
            self._lister.listing.absent += 1
            return None
        metadata = read_metadata(_content(tar, parts[METADATA]))
        numbers = told_numbers(metadata)
        places = [(member.offset, member.size) for member in (parts[CAPTION], parts[METADATA])]
        arrays = (*self._array(tar, parts[name]), *self._array(tar, parts[TEXT]))
        weight = told(metadata, "weight", 1.0)
        return Row._make((checked_id(key), number, number, *numbers, weight, *arrays, *places[0], *places[1]))

    def _array(self, tar: Bytes, member: Member) -> Array:
        start = tar[member.offset : member.offset + min(HEADER_BYTES, member.size)]
        if start not in self._headers:  # almost every sample has one of a few
            form, length = npy_form(_content(tar, member), member.name)
            if length != HEADER_BYTES:
                raise Fault(f"{member.name} with a header of {length} bytes, not {HEADER_BYTES}")
            self._headers[start] = form, length, self._lister.form(form)
        form, length, number = self._headers[start]
        if length + form.nbytes != member.size:
            raise Fault(f"{member.name} of {member.size} bytes, where {form.dtype} {form.shape} takes another number")
        return number, member.offset + length


def read_metadata(content: bytes) -> dict[str, Any]:
    """What `metadata.json` holds.

    Raises:
        Fault: it is no JSON object.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Fault(f"{METADATA} is no JSON") from None
    if not isinstance(found, dict):
        raise Fault(f"{METADATA} is no JSON object")
    return found


def _content(tar: Bytes, member: Member) -> bytes:
    return tar[member.offset : member.offset + member.size]
