"""The columns of the exported table: those of the webscale pipeline's `image_profiles` by its names, then ours.

The names are of duoan/webscale-multimodal-datapipeline at d9bf357. What a value is, is ours: see the table in
docs/z_image.md. A field that a root has not measured is null, so the schema depends on the profile alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from paris_assets.config import Model

TABLE = "image_profiles"
AIGC_THRESHOLD = 0.5
MAX_BLUR, MAX_NOISE = 16.0, 50.0
"""Blur and noise that count as 1: the widest edge that is measured, pixels; a deviation in grey levels."""
KINDS = {"clip-image": "clip", "siglip-image": "siglip"}
OPEN_CLIP = {
    "openai/clip-vit-base-patch16": "vit_b_16",
    "openai/clip-vit-base-patch32": "vit_b_32",
    "openai/clip-vit-large-patch14": "vit_l_14",
    "openai/clip-vit-large-patch14-336": "vit_l_14_336",
}
"""Hub name -> the name that OpenCLIP gives the same network."""
INTERNAL = frozenset(
    {"image_id", "width", "height", "size_bytes", "format", "entropy", "blocking", "phash", "aesthetic", "aigc"}
    | {"thumbnail", "short_side", "long_side", "aspect", "pixels", "scored_text"}
)
"""What a field of the webscale pipeline holds, what others tell, and what only the search for copies reads."""
FIRST = (
    "shard", "source_row", "url", "text", "alt_texts", "caption", "captioner", "kept", "reason", "value", "reasons",
    "tier", "stopped_by", "group_id", "curated", "cluster", "distance", "selected",
)  # fmt: skip


class Field(NamedTuple):
    """A column of the export.

    Attributes:
        value: of the joined tables.
        said: what it is, which the file's schema keeps.
    """

    name: str
    value: pl.Expr
    said: str


def profile_fields(known: Iterable[str]) -> list[Field]:
    """The webscale pipeline's fields but for embeddings.

    Args:
        known: columns of the joined tables; of another one a field is null.
    """
    there = set(known)

    def of(column: str, kind: type[pl.DataType]) -> pl.Expr:
        return (pl.col(column) if column in there else pl.lit(None)).cast(kind)

    def first(*columns: str) -> pl.Expr:
        return of(next((column for column in columns if column in there), columns[-1]), pl.Float32)

    def shared(column: str, most: float) -> pl.Expr:
        """What the network of degradations says, else the share of a measurement."""
        if f"degradation_{column}" in there:
            return of(f"degradation_{column}", pl.Float32)
        return (of(column, pl.Float32) / most).clip(upper_bound=1)

    aigc = of("aigc", pl.Float32)
    faults = {
        "color_cast": (of("degradation_cast", pl.Float32), "degradation_cast, 0-1"),
        "blurriness": (shared("blur", MAX_BLUR), "degradation_blur, else blur over 16 pixels, 0-1"),
        "watermark": (first("degradation_watermark", "pwatermark"), "degradation_watermark, else the source's, 0-1"),
        "noise": (shared("noise", MAX_NOISE), "degradation_noise, else noise over 50 grey levels, 0-1"),
    }
    weights = {"color_cast": 0.2, "blurriness": 0.3, "watermark": 0.25, "noise": 0.25}
    # A sum of expressions with a null is null: quality is known where all four are.
    overall = 1 - sum((faults[name][0] * weight for name, weight in weights.items()), pl.lit(0.0))
    return [
        Field("image_width", of("width", pl.Int32), "pixels after EXIF orientation"),
        Field("image_height", of("height", pl.Int32), "pixels after EXIF orientation"),
        Field("image_file_size_bytes", of("size_bytes", pl.Int64), "of the file as fetched"),
        Field("image_format", of("format", pl.String).str.to_uppercase(), "JPEG, PNG, ..."),
        Field("image_compression_artifacts", of("blocking", pl.Float32), "blocking, -1 to 1; null where too small"),
        Field("image_information_entropy", of("entropy", pl.Float32), "bits, 0-8"),
        *(Field(f"img_vd_{name}", value.cast(pl.Float32), said) for name, (value, said) in faults.items()),
        Field("img_vd_overall_quality", overall.cast(pl.Float32), "1 less the weighted faults; null without all four"),
        Field("image_aesthetic_score", first("aesthetic"), "the profile's score, else the source's"),
        Field("image_aigc_score", aigc, "probability that a model made the picture"),
        Field("image_is_aigc", aigc > AIGC_THRESHOLD, "image_aigc_score above 0.5"),
        Field("phash", _hex("phash") if "phash" in there else pl.lit(None, pl.String), "64 bits of pHash, hexadecimal"),
    ]


def own_fields(columns: Iterable[str]) -> list[Field]:
    """Further columns of the joined tables under their own names: where an image comes from and what became of it, then
    the rest as it stands there."""
    left = [name for name in columns if name not in INTERNAL]
    ordered = sorted(left, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return [Field(name, _hex(name) if name == "dhash" else pl.col(name), "") for name in ordered]


def embedding_names(encoders: Mapping[str, Model]) -> dict[str, str]:
    """Encoder of the profile -> field: `image_clip_emb_vit_l_14`, `image_siglip_emb_so400m_patch14_384`.

    A network that is not known by a hub name is called as the profile's column.
    """
    names = {column: _embedding_name(column, encoder) for column, encoder in encoders.items()}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {column: f"image_emb_{_plain(column)}" if name in twice else name for column, name in names.items()}


def _embedding_name(column: str, encoder: Model) -> str:
    kind = KINDS.get(encoder.implementation)
    if kind is None:
        return f"image_emb_{_plain(column)}"
    hub = encoder.path or ""
    siglip = re.fullmatch(r"google/siglip2?-(.+)", hub)
    suffix = OPEN_CLIP.get(hub) or (siglip[1] if siglip else re.sub(rf"^{kind}\d?[-_]", "", column))
    return f"image_{kind}_emb_{_plain(suffix)}"


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower())


def _hex(column: str) -> pl.Expr:
    """64 bits as 16 hexadecimal digits, as imagehash prints them."""
    digits = [(pl.col(column) // (1 << place)) % 16 for place in range(60, -1, -4)]
    return pl.concat_str([digit.replace_strict(range(16), list("0123456789abcdef")) for digit in digits])
