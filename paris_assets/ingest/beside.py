"""What lies in a source beside its rows, and beside what rows, as its registry tells."""

from __future__ import annotations

import json

import polars as pl

from paris_assets.ingest.files.folder import BARE
from paris_assets.ingest.files.left_out import LeftOut


def left_out_of(registry: pl.DataFrame) -> LeftOut:
    """All that the source holds and that is no row."""
    found = _beside_rows(registry)
    found.take_kind(BARE)
    return found


def bare_of(registry: pl.DataFrame) -> LeftOut:
    """The images of a folder that nothing describes, beside others that have captions or metadata: rows like others."""
    return _beside_rows(registry).take_kind(BARE)


def _beside_rows(registry: pl.DataFrame) -> LeftOut:
    return LeftOut.of(map(json.loads, [*registry["beside"].drop_nulls(), *registry["left_out"].drop_nulls()]))
