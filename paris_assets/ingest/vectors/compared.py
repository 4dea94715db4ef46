"""Whether vectors are those of the rows that they lie beside: by the scores that the list gives of both."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from paris_assets.ingest.lists.columns import SourceError
from paris_assets.settings.pool_rows import PoolVectors

SCORES = {"l14": "clip_l14", "b32": "clip_b32"}
"""Encoder as keys of DataComp's arrays begin with -> the score of the list that is the cosine of its two vectors."""
FEWEST = 32
LEAST = 0.5
_KEY = re.compile(r"(l14|b32)_(txt|img)")


def score_column(settings: PoolVectors) -> str | None:
    """The column of `source_rows` that is the cosine of the vectors of captions and images, if there is one."""
    found = [_KEY.fullmatch(key) for key in (settings.text or "", settings.image or "")]
    if not settings.compare_scores or None in found:
        return None
    first, second = (match for match in found if match is not None)
    return SCORES[first[1]] if first[1] == second[1] and (first[2], second[2]) == ("txt", "img") else None


def require_agreement(scores: pl.Series, text: np.ndarray, image: np.ndarray, where: str) -> None:
    """Refuse vectors whose cosines have nothing to do with the list's scores.

    The correlation is judged, not the difference: lists round, and scale, scores. With fewer than ``FEWEST`` scores, or
    vectors of two lengths, nothing is said.

    Args:
        scores: of the rows; null where the list has none.
        text: (rows, dim) vectors; so ``image``.

    Raises:
        SourceError: names `where`.
    """
    if text.shape != image.shape:
        return
    text, image = text.astype(np.float32), image.astype(np.float32)
    given = scores.cast(pl.Float64).fill_null(np.nan).to_numpy()
    norms = np.linalg.norm(text, axis=1) * np.linalg.norm(image, axis=1)
    known = np.isfinite(given) & np.isfinite(norms) & (norms > 0)
    if known.sum() < FEWEST or given[known].std() == 0:
        return
    cosines = (text[known] * image[known]).sum(1) / norms[known]
    found = float(np.corrcoef(cosines, given[known])[0, 1]) if cosines.std() > 0 else 0.0
    if found < LEAST:
        raise SourceError(
            f"the vectors of {where} are those of other rows: over {int(known.sum())} rows their cosines and the "
            f"list's {scores.name} correlate by {found:.2f}, at least {LEAST:g} expected. Files were swapped, or "
            "rows moved: get the two that belong together (pool.vectors.compare_scores=false asks for no such thing)"
        )
