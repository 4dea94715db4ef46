"""The tables of this stage."""

import math

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema

_PIXELS = "raw_images.image_id"  # which names the bytes that everything here is measured on
MEASURED = {
    "entropy": (pl.Float64, "mean Shannon entropy of R, G, B, bits (0-8)", _PIXELS),
    "blocking": (pl.Float64, "JPEG blocking: (b-o)/(b+o) over 8x8 block boundaries", _PIXELS),
    "blur": (pl.Float64, "deviation of the Gaussian that makes edges so soft, native pixels (0-16)", _PIXELS),
    "noise": (pl.Float64, "Immerkaer's noise deviation in the quietest blocks, grey levels; 0 below 2", _PIXELS),
    "colour_cast": (pl.Float64, "distance of the mean chroma over its spread", _PIXELS),
    "exposure": (pl.Float64, "mean luminance, 0-1", _PIXELS),
    "contrast": (pl.Float64, "deviation of the luminance, 0-1", _PIXELS),
    "shadows": (pl.Float64, "share of pixels that are nearly black", _PIXELS),
    "highlights": (pl.Float64, "share of pixels that are nearly white", _PIXELS),
    "phash": (pl.UInt64, "64-bit perceptual hash (imagehash.phash)", _PIXELS),
    "dhash": (pl.UInt64, "64-bit difference hash (imagehash.dhash)", _PIXELS),
    "thumbnail": (pl.Array(pl.UInt8, 384), "16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr: verifies near-duplicates", _PIXELS),
    "bits_per_pixel": (pl.Float64, "8 x bytes of the file over its pixels", _PIXELS),
    "jpeg_quality": (pl.Int16, "libjpeg's quality nearest to the luma table, 1-100; null for other formats", _PIXELS),
    "chroma_subsampling": (pl.String, "of a JPEG, as J:a:b; null for other formats", _PIXELS),
    "generator": (pl.String, "what in the file states that a model made the picture, as where:what", _PIXELS),
    "declared_generated": (pl.Boolean, "the file states that a model made the picture", _PIXELS),
    "software": (pl.String, "EXIF's Software, or a PNG's", _PIXELS),
    "c2pa": (pl.Boolean, "the file holds a C2PA manifest", _PIXELS),
    "orientation": (pl.Int8, "EXIF orientation that was applied, 1-8", _PIXELS),
    "flat_sides": (pl.Int8, "sides whose outer 2 % are of one colour, 0-4", _PIXELS),
    "frame_share": (pl.Float64, "share of the area in lines of these sides' colour, 0-1", _PIXELS),
    "gutters": (pl.Int16, "bars of one tone straight through the picture", _PIXELS),
    "saturation": (pl.Float64, "mean saturation of HSV, 0-1", _PIXELS),
    "saturated_share": (pl.Float64, "share of pixels with a saturation above 0.95", _PIXELS),
    "chroma_deviation": (pl.Float64, "root of the variances of Cb and Cr, levels", _PIXELS),
    "greyscale": (pl.Boolean, "chroma_deviation below 2", _PIXELS),
    "complexity": (pl.Float64, "bits per pixel as a JPEG of quality 75 at a short side of 256", _PIXELS),
    "texture": (pl.Float64, "share of fine edge energy without a direction, 0-1", _PIXELS),
    "upscaled": (
        pl.Float64,
        "energy of steps over 8 pixels by that over 1, 1-64; large is enlarged or blurred",
        _PIXELS,
    ),
    "barcodes": (pl.Int16, "barcodes that can be read", _PIXELS),
    "barcode_kinds": (pl.String, "their symbologies; null without one", _PIXELS),
    "text_area": (pl.Float64, "share of the area in lines of text, 0-1", _PIXELS),
    "text_regions": (pl.Int16, "lines of text", _PIXELS),
    "smallest_glyph": (pl.Float64, "height of the lowest line of text by that of the picture", _PIXELS),
    "ocr_text": (pl.String, "what was read, line by line; null without text", _PIXELS),
}
RANGES = {
    "entropy": (0, 8),
    "blocking": (-1, 1),
    "blur": (0, 16),
    "noise": (0, 640),  # Immerkaer's of black and white in turn
    "colour_cast": (0, 200),
    "exposure": (0, 1),
    "contrast": (0, 0.5),
    "shadows": (0, 1),
    "highlights": (0, 1),
    "bits_per_pixel": (0, math.inf),
    "jpeg_quality": (1, 100),
    "orientation": (1, 8),
    "flat_sides": (0, 4),
    "frame_share": (0, 1),
    "gutters": (0, 64),
    "saturation": (0, 1),
    "saturated_share": (0, 1),
    "chroma_deviation": (0, 256),
    "complexity": (0, 64),
    "texture": (0, 1),
    "upscaled": (0, 64),
    "barcodes": (0, 1000),
    "text_area": (0, 1),
    "text_regions": (0, 1000),
    "smallest_glyph": (0, 1.5),  # a region goes a little beyond what it holds
}
"""What a column can hold, by its definition."""
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
EMBEDDING = "embedding"
"""Column of vectors."""
COPY_EMBEDDINGS = Schema(
    {
        "image_id": _PASSING,
        EMBEDDING: (ArrayOf(pl.Float16, ("dim",)), "vector for finding copies, of length one", _PIXELS),
        "reason": (pl.String, "why there is no vector, which is null then", _PIXELS),
    }
)
DEGRADATION = {
    f"degradation_{part}": (
        pl.Float32,
        f"{what}, 0-1, by the scorer `degradation`; null where it cannot be told",
        _PIXELS,
    )
    for part, what in {
        "blur": "1 - exp(-deviation / 2 native pixels)",
        "noise": "1 - exp(-deviation / 15 grey levels)",
        "blocking": "1 - exp(-scale of libjpeg's tables / 200 %)",
        "cast": "1 - exp(-shift of the light in log ratios / 0.5)",
        "watermark": "probability of a visible watermark",
        "overall": "1 - (0.2 cast + 0.3 blur + 0.25 watermark + 0.25 noise)",
    }.items()
}
CONTENT_SCORES = Schema(
    {
        "image_id": _PASSING,
        "nsfw": (pl.Float32, "probability by the scorer of this name; one column per scorer of the profile", _PIXELS),
        **DEGRADATION,
        "scored_text": (pl.String, "text that vectors were compared with; null where there is none", "raw_images.text"),
    },
    others="score by the scorer or head of this name in the profile; null where there is no vector or text",
    by_profile=["nsfw", *DEGRADATION, "scored_text"],
)
