"""Captions dropped while loading: the embedding of the empty prompt takes their place."""

from __future__ import annotations

import io
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from paris_assets.errors import UsageError
from paris_assets.formats.npy import UNREADABLE
from paris_assets.training.places import ExpertPlace, MissingFiles
from paris_assets.training.samples import ExpertSamples

FILE = "empty_prompt.npy"


class EmptyPrompt(NamedTuple):
    """The embedding of ``""``.

    Attributes:
        text: (positions, dim), float.
        tokens: true ones among them; later positions are padding.
    """

    text: np.ndarray
    tokens: int


def read_prompt(samples: ExpertSamples) -> EmptyPrompt:
    """The empty prompt that was published with an expert's samples.

    Its true tokens are those that the manifest tells; without that, all positions up to the last one that is not zero.

    Raises:
        MissingFiles: it is not there.
        UsageError: it is no array of positions, or not as wide as the samples' text.
    """
    found = samples.place
    path = _path(found)
    try:
        stored = np.load(io.BytesIO(found.place.read(path)), allow_pickle=False)
    except UNREADABLE as error:
        raise UsageError(f"{found.place.location.uri(path)} is no array: fetch it again ({error})") from error
    text = samples.decoded(stored, "text")
    widths = {samples.forms[form].shape[-1] for form in np.unique(samples.rows["text_form"]).tolist()}
    if text.ndim != 2 or widths != {text.shape[1]}:
        raise UsageError(
            f"{found.place.location.uri(path)} has the shape {text.shape}, where the text of samples is "
            f"{', '.join(map(str, sorted(widths)))} wide: take the one that was published with them"
        )
    filled = np.flatnonzero(text.any(1))
    tokens = int(filled[-1]) + 1 if len(filled) else len(text)
    return EmptyPrompt(text, found.place.manifest.get("format", {}).get("empty_prompt", {}).get("tokens", tokens))


def drops(rate: float, seed: int, epoch: int, image_id: bytes) -> bool:
    """Whether an image is trained on without its caption in an epoch: by these alone, whoever reads it."""
    digest = blake2b(b"%d %d %b" % (seed, epoch, image_id), digest_size=8).digest()
    return int.from_bytes(digest) < rate * 2**64


def _path(found: ExpertPlace) -> str:
    folders = ["expert_shards", found.folder.rstrip("/")]
    for folder in folders:
        path = found.place.beside(folder, FILE)
        if path:
            return path
    raise MissingFiles(
        f"no {FILE} in or above {found.place.location.uri(found.folder)}, and captions are to be dropped: fetch "
        f"expert_shards/{FILE} of the root too, or pass caption_dropout=0"
    )
