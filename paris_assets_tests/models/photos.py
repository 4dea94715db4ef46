"""The sample's photo files as (image_id, bytes)."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "data/sample/images"


@cache
def photos() -> list[tuple[str, bytes]]:
    """All 215, sorted by image_id."""
    files = [path.read_bytes() for path in SAMPLE.iterdir()]
    return sorted((hashlib.sha256(data).hexdigest()[:32], data) for data in files)


def photo(name: str) -> tuple[str, bytes]:
    """One photo by file name."""
    data = (SAMPLE / name).read_bytes()
    return hashlib.sha256(data).hexdigest()[:32], data
