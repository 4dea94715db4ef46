"""The 8-bit codec of latents and text, as it lies beside what is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from paris_assets.errors import UserError
from paris_assets.formats import codec
from paris_assets.formats.codec import ArrayCodec
from paris_assets.training.places import Place

CODEC = "codec.json"


class BadCodec(UserError, ValueError):
    """A ``codec.json`` that is not there though arrays are of 8 bits, or that does not tell how they are coded."""


def read_codecs(place: Place, folder: str) -> dict[str, ArrayCodec]:
    """Kind (``latents``, ``text``) -> codec.

    Read from the `codec.json` in the folder of the data or the nearest above it; empty where there is none.

    Raises:
        BadCodec: it holds none.
    """
    path = place.beside(folder, CODEC)
    if path is None:
        return {}
    try:
        return codec.read_codecs(place.read(path))
    except ValueError as error:
        raise BadCodec(f"{place.location.uri(path)}: {error}; make it again") from error


def decoded(stored: np.ndarray, codecs: Mapping[str, ArrayCodec], kind: str) -> np.ndarray:
    """Values of stored ones: float32 of 8 bits, else as they are.

    Args:
        stored: latents (..., channels, h, w) or text (..., positions, dim).

    Raises:
        BadCodec: they are of 8 bits, and no codec of their kind is known, or one of another number of channels.
    """
    if stored.dtype != np.uint8:
        return stored
    if kind not in codecs:
        raise BadCodec(f"{kind} are stored in 8 bits, and no {CODEC} beside the files has their scale: fetch it too")
    try:
        return codec.decode(stored, codecs[kind])
    except ValueError as error:
        raise BadCodec(f"{CODEC} is not that of these {kind} ({error}): fetch the one beside them") from error
