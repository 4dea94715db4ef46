"""What samples in tars must be, as a manifest's settings say: members, shapes of arrays, fields of metadata.json."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from paris_assets.formats.codec import ArrayCodec
from paris_assets.settings.latents import Buckets, Latents
from paris_assets.storage.ragged import arrays_of

MEMBERS = ("caption.txt", "clip_emb.npy", "latent.npy", "metadata.json")
TEXT_MEMBER = "clip_emb.npy"
Fields = dict[str, tuple[pl.DataType | type[pl.DataType], tuple[type, ...]]]
"""Field of metadata.json -> its column's type, and the types that JSON may give it."""
METADATA: Fields = {
    "uid": (pl.String, (str, type(None))),
    "group_id": (pl.String, (str,)),
    "url": (pl.String, (str, type(None))),
    "caption": (pl.String, (str,)),
    "captioner": (pl.String, (str,)),
    "caption_kind": (pl.String, (str,)),
    "source_text": (pl.String, (str, type(None))),
    "tokens": (pl.Int64, (int,)),
    "truncated": (pl.Int64, (int, type(None))),
    "original_width": (pl.Int64, (int,)),
    "original_height": (pl.Int64, (int,)),
    "crop_top": (pl.Int64, (int,)),
    "crop_left": (pl.Int64, (int,)),
    "upscaled": (pl.Boolean, (bool,)),
    "aesthetic": (pl.Float64, (float, int, type(None))),
    "cluster": (pl.Int64, (int,)),
    "fine_cluster": (pl.Int64, (int, type(None))),
    "distance": (pl.Float64, (float, int)),
    "second_distance": (pl.Float64, (float, int, type(None))),
    "split": (pl.Int64, (int,)),
}
WEIGHTS: Fields = {
    "weight": (pl.Float64, (float, int)),
    "concepts": (pl.List(pl.String), (list,)),
}
"""What metadata.json holds beside, where samples have sampling weights."""
PLACES: Fields = {
    **dict.fromkeys(("resized_height", "resized_width", "target_height", "target_width"), (pl.Int64, (int,))),
    "bucket": (pl.String, (str,)),
    "ratio_error": (pl.Float64, (float, int)),
}
"""What it holds beside, where there are several sizes or buckets; of further sizes with the size in its name."""
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "image_id": pl.String,
    "path": pl.String,
    "expert": pl.Int64,
    "latent_at": pl.Int64,
    "text_at": pl.Int64,
    **{name: kind for name, (kind, _) in (METADATA | WEIGHTS).items()},
}


class Shapes:
    """What all samples must have: shapes, of which the first sample decides one that is not known, and fields of
    metadata.json.

    Args:
        latent: shape of the router's latents.
        weights: least and largest sampling weight; None where samples have none.
        latents: the settings that latents were made by; by default one square size.
        ragged: whether a text embedding has as many rows as metadata.json says tokens, whatever those of ``text``.
        coded: kinds of arrays (``latents``, ``text``) that are stored as uint8.
    """

    def __init__(
        self,
        latent: tuple[int, ...] | None = None,
        text: tuple[int, ...] | None = None,
        weights: tuple[float, float] | None = None,
        latents: Latents | None = None,
        router_resolution: int | None = None,
        ragged: bool = False,
        coded: Container[str] = (),
    ) -> None:
        self.latents = latents or Latents()
        smallest = min(self.latents.resolutions)
        self.factor = (router_resolution or smallest) // latent[-1] if latent and latent[-1] else None
        self.known: dict[str, tuple[int, ...] | None] = {TEXT_MEMBER: text}
        for size in self.latents.squares:
            cells = size // self.factor if self.factor else 0
            self.known[self.member(size)] = (latent[0], cells, cells) if latent and cells else None
        self.weights, self._ragged, self._coded = weights, ragged, coded
        self.metadata = METADATA | (WEIGHTS if weights else {}) | self._placed()

    def of(self, kind: str, tokens: int | None) -> tuple[int, ...] | None:
        """Shape of an array of a sample with so many tokens; None where it is not known."""
        shape = self.known.get(kind)
        if shape is None or not self._ragged or kind != TEXT_MEMBER:
            return shape
        return None if tokens is None else (tokens, *shape[1:])

    def dtype(self, kind: str) -> np.dtype:
        """Type of the values of an array."""
        return np.dtype("u1" if ("text" if kind == TEXT_MEMBER else "latents") in self._coded else "<f2")

    def member(self, size: int) -> str:
        """Name of a size's latents."""
        return f"{self.latents.column('latent', size)}.npy"

    @property
    def sizes(self) -> dict[str, int]:
        """Members that are latents -> their sizes."""
        return {self.member(size): size for size in sorted(self.latents.resolutions)}

    def unlike(self, size: int, metadata: Mapping[str, Any], shape: tuple[int, ...] | None) -> str:
        """What is wrong with the shape of a latent by what metadata.json says of it; None: a sample has none. ''
        where nothing is."""
        smallest = min(self.latents.resolutions)
        target = tuple(metadata.get(self.latents.column(f"target_{side}", size)) for side in ("height", "width"))
        height, width = target
        if height is None or width is None:
            known = shape is None or size == smallest
            return "" if known and target == (None, None) else "a latent that it does not know"
        if shape is None:
            return "no such latent"
        cells = self.factor or (height // shape[1] if len(shape) == 3 and shape[1] else 0)
        whole = len(shape) == 3 and target == (shape[1] * cells, shape[2] * cells)
        return "" if whole else f"shape {shape} for {' x '.join(map(str, target))} pixels"

    def schema(self) -> dict[str, pl.DataType | type[pl.DataType]]:
        """Columns of a sample's row: ``SCHEMA``, where else its latents begin, and further fields of metadata.json."""
        places = {self.place(size): pl.Int64 for size in sorted(self.latents.resolutions)}
        return SCHEMA | places | {name: kind for name, (kind, _) in self._placed().items()}

    def place(self, size: int) -> str:
        """The column that says at which byte of the tar a latent begins; null where there is none."""
        return self.latents.column("latent_at", size)

    def _placed(self) -> Fields:
        known, smallest = METADATA | PLACES, min(self.latents.resolutions)
        found = {name: known[name] for name in self.latents.placed if name in known}
        for size in self.latents.resolutions:
            for name, there in zip(self.latents.placing(size), self.latents.placing(smallest), strict=True):
                kind, kinds = known[there]
                found[name] = (kind, kinds if size == smallest else (*kinds, type(None)))
        return found


def published_latents(settings: Mapping[str, Any]) -> Latents:
    """Sizes and buckets of the latents that were published under a manifest's settings.

    Raises:
        ValueError: the settings are not what a profile may say.
    """
    held = settings["latents"]
    buckets = held.get("buckets")  # manifests of 0.1.0 have none
    return Latents(
        resolutions=held["resolutions"],
        buckets=None if buckets is None else Buckets(resolutions=buckets["resolutions"]),
        upscale=held.get("upscale", False),
    )


def published_router_resolution(settings: Mapping[str, Any]) -> int:
    """Size of the latents in its router arrays."""
    given = settings["experts"].get("router_resolution")
    return given or min(settings["latents"]["resolutions"])


def published_arrays(rows: pl.DataFrame, column: str, codec: ArrayCodec | None) -> Iterable[np.ndarray | None]:
    """The arrays of a table's column; of true tokens, whose number is in none of the columns, as many values in a row
    as have a scale each."""
    if rows[column].dtype != pl.Binary or f"{column}_height" in rows:
        return arrays_of(rows, column)
    dim = 1 if codec is None or codec.axis is None else len(codec.scales)
    return (np.frombuffer(values, "<f2").reshape(-1, dim) for values in rows[column])
