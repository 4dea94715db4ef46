"""Barcodes in a picture, read by zxing-cpp (extra `text`)."""

from __future__ import annotations

import numpy as np
import polars as pl
import zxingcpp

from paris_assets.signals.copies import greys

LONGEST = 65_535  # pixels on a side


class Barcodes:
    """Codes that can be read, of any kind that ZXing knows, in any direction: a code that cannot be read is none.

    - `barcodes`: how many; null beyond 65,535 pixels on a side, where ZXing reads none.
    - `barcode_kinds`: their symbologies (`QRCode`, `EAN13`, ...), each once, sorted, with commas; null without a code.
    """

    schema = {"barcodes": pl.Int16, "barcode_kinds": pl.String}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[int | None] | list[str | None]]:
        """See `Signal.measure`."""
        kinds = [_kinds(grey) for grey in greys(rgb)]
        return {
            "barcodes": [None if found is None else len(found) for found in kinds],
            "barcode_kinds": [",".join(sorted(set(found or ()))) or None for found in kinds],
        }


def _kinds(grey: np.ndarray) -> list[str] | None:
    if max(grey.shape) > LONGEST:
        return None
    return [code.format.name for code in zxingcpp.read_barcodes(grey)]
