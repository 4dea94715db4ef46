"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import Schema

_PIXELS = "raw_images.image_id"  # which names the bytes that everything here is measured on
MEASURED = {
    "entropy": (pl.Float64, "mean Shannon entropy of R, G, B, bits (0-8)", _PIXELS),
    "blocking": (pl.Float64, "JPEG blocking: (b-o)/(b+o) over 8x8 block boundaries", _PIXELS),
    "blur": (pl.Float64, "variance of the Laplacian; small is blurred", _PIXELS),
    "noise": (pl.Float64, "Immerkaer's noise deviation, grey levels", _PIXELS),
    "colour_cast": (pl.Float64, "distance of the mean chroma over its spread", _PIXELS),
    "exposure": (pl.Float64, "mean luminance, 0-1", _PIXELS),
    "contrast": (pl.Float64, "deviation of the luminance, 0-1", _PIXELS),
    "shadows": (pl.Float64, "share of pixels that are nearly black", _PIXELS),
    "highlights": (pl.Float64, "share of pixels that are nearly white", _PIXELS),
    "phash": (pl.UInt64, "64-bit perceptual hash (imagehash.phash)", _PIXELS),
    "dhash": (pl.UInt64, "64-bit difference hash (imagehash.dhash)", _PIXELS),
    "thumbnail": (pl.Array(pl.UInt8, 384), "16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr: verifies near-duplicates", _PIXELS),
}
IMAGE_SIGNALS = Schema(
    {
        "image_id": (pl.String, "image", "raw_images.image_id"),
        **MEASURED,
        "undecodable": (pl.Boolean, "the pixels cannot be read: all signals are null", _PIXELS),
        "error": (pl.String, "why not; null where they can", _PIXELS),
    },
    others="measured by a signal that the profile names",
    by_profile=MEASURED,
)
_PASSING = (pl.String, "image that passes the rules on signals", "raw_images.image_id", "image_signals.image_id")
PICTURE_EMBEDDINGS = Schema(
    {
        "image_id": _PASSING,
        "reason": (pl.String, "why an encoder gave no vector, which is null then; null where each did", _PIXELS),
    },
    others="vector by the encoder of this name in the profile, as it gave it: Array(Float16, dim)",
)
CONTENT_SCORES = Schema(
    {
        "image_id": _PASSING,
        "nsfw": (pl.Float32, "probability by the scorer of this name; one column per scorer of the profile", _PIXELS),
        "scored_text": (pl.String, "text that vectors were compared with; null where there is none", "raw_images.text"),
    },
    others="score by the scorer or head of this name in the profile; null where there is no vector or text",
    by_profile=["nsfw", "scored_text"],
)
