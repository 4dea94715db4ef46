"""Columns of MDS files: which a set of sizes has, and the values of a sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.experts.arrays import Sample
from paris_assets.experts.coding import Codecs, dtype_of

PLACES = ("original_width", "original_height", "crop_top", "crop_left", "target_width", "target_height")
"""Micro-conditioning: columns of samples that are whole numbers of pixels."""
NO_CLUSTER = -1
"""``fine_cluster`` where there is none: columns of a fixed size cannot be null."""
MEANINGS = {
    "image_id": "the first 32 hex digits of the sha256 of the image as fetched",
    "caption": "caption",
    "text": "text embedding of the caption, as clip_emb.npy of tars",
    "tokens": "true tokens of the caption, special ones included; later positions of text are padding",
    "pooled": "pooled text embedding",
    "cluster": "expert",
    "fine_cluster": "fine cluster; -1 without one",
    "split": "0 train, 1 validation",
    "upscaled": "1 where the image was enlarged before encoding, else 0",
    "metadata": "metadata.json of tars",
}


class Shapes(NamedTuple):
    """What tables say of arrays: a polars type each.

    Attributes:
        latents: resolution -> type.
        pooled: None where the encoder has none.
        samples: names of the columns of samples.
    """

    latents: Mapping[int, Any]
    text: Any
    pooled: Any
    samples: frozenset[str]


def sizes_name(sizes: Iterable[int]) -> str:
    """Name of the folder of samples with latents of these resolutions: ``256-768``."""
    return "-".join(map(str, sorted(sizes)))


def encodings(sizes: tuple[int, ...], shapes: Shapes, codecs: Codecs) -> dict[str, str]:
    """Column -> encoding, of samples that have latents of these sizes: all of them are the library's own.

    Arrays of one shape are stored without it; the others (aspect buckets, true tokens only) with it.
    """
    columns = {
        "image_id": "str",
        "caption": "str",
        "text": array_encoding(shapes.text, dtype_of(codecs, "text")),
        "tokens": "int32",
        "cluster": "int32",
        "fine_cluster": "int32",
        "split": "uint8",
        "metadata": "json",
        **{name: "int32" for name in PLACES if name in shapes.samples},
        **({"upscaled": "uint8"} if "upscaled" in shapes.samples else {}),
        **({"pooled": array_encoding(shapes.pooled, "float16")} if shapes.pooled is not None else {}),
    }
    latents = {f"latent_{size}": array_encoding(shapes.latents[size], dtype_of(codecs, "latents")) for size in sizes}
    return {**columns, **latents}


def array_encoding(kind: Any, dtype: str) -> str:
    """Of arrays in a column of this polars type."""
    shape = kind.shape if isinstance(kind, pl.Array) else None
    return f"ndarray:{dtype}" + (f":{','.join(map(str, shape))}" if shape else "")


def values(sample: Sample, pooled: np.ndarray | None) -> dict[str, Any]:
    """Column -> value of a coded sample; more than a set of sizes may have columns for."""
    metadata = sample.metadata
    fine = metadata["fine_cluster"]
    return {
        **{name: metadata[name] for name in PLACES if name in metadata},
        "image_id": metadata["image_id"],
        "caption": metadata["caption"],
        "text": sample.text,
        "tokens": metadata["tokens"],
        "pooled": pooled,
        "cluster": metadata["cluster"],
        "fine_cluster": NO_CLUSTER if fine is None else fine,
        "split": metadata["split"],
        "upscaled": int(bool(metadata.get("upscaled"))),
        "metadata": metadata,
        **{f"latent_{size}": latent for size, latent in sample.latents.items()},
    }


def stored_columns(tables: Sequence[pl.LazyFrame]) -> dict[str, dict[str, str]]:
    """Set of sizes -> column -> encoding, of the files in `expert_mds` where it is one of the tables; else empty."""
    found: dict[str, dict[str, str]] = {}
    for table in tables:
        if "entry" in table.collect_schema():
            firsts = table.sort("path").unique("sizes", keep="first").sort("sizes")
            for sizes, entry in firsts.select("sizes", "entry").collect().iter_rows():
                held = json.loads(entry)
                found[sizes] = dict(zip(held["column_names"], held["column_encodings"], strict=True))
    return found
