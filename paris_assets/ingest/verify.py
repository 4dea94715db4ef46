"""Whether what arrived is what the list says: the sha256 of the bytes, or a picture that looks the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from paris_assets.config import Ingest
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb

HASH_MISMATCH = "hash_mismatch"
SHA256_DIGITS, PHASH_DIGITS = 64, 16


class Expected(NamedTuple):
    """What the list says of a row's image, in lower case; `phash` is None where it says none that can be read."""

    sha256: str
    phash: str | None


def expected_hashes(rows: pl.DataFrame, settings: Ingest) -> Mapping[int, Expected]:
    """source_row -> what its image is held to; empty where nothing is verified. Rows without a hash are held to none.

    Args:
        rows: of `source_rows`.
    """
    if settings.verify_sha256 == "off":
        return {}
    known = rows.select("source_row", _hex("source_sha256", SHA256_DIGITS), _hex("source_phash", PHASH_DIGITS))
    known = known.drop_nulls("source_sha256")
    return {source_row: Expected(sha256, phash) for source_row, sha256, phash in known.iter_rows()}


def _hex(column: str, digits: int) -> pl.Expr:
    """A column's values in lower case, null where they are not so many hex digits."""
    value = pl.col(column).str.strip_chars().str.to_lowercase()
    return pl.when(value.str.contains(f"^[0-9a-f]{{{digits}}}$")).then(value).alias(column)


def differs(body: bytes, sha256: str, expected: Expected, settings: Ingest) -> bool:
    """Whether an image is another than the list's: other bytes and, with `phash`, another picture.

    Only where the bytes differ is anything decoded. Without a pHash in the list other bytes are another image.

    Args:
        body: file that arrived; ``sha256`` is its hash.
    """
    if sha256 == expected.sha256:
        return False
    if settings.verify_sha256 != "phash" or expected.phash is None:
        return True
    found = _phash(body, settings.max_pixels)
    return found is None or (found ^ int(expected.phash, 16)).bit_count() > settings.phash_bits


def _phash(body: bytes, max_pixels: int) -> int | None:
    """`imagehash.phash` of an image, turned as its EXIF says; None of one that gives no pixels."""
    import imagehash  # which loads scipy
    from PIL import Image

    try:
        rgb = decode_rgb(body, None, max_pixels)
    except (Undecodable, NotAnImage):
        return None
    return int(str(imagehash.phash(Image.fromarray(rgb))), 16)
