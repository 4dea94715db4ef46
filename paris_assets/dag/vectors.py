"""Judgement on embeddings by their scale, in words and figures; images' and captions' alike."""

from __future__ import annotations

from paris_assets.dag.checks import Figures
from paris_assets.dag.moments import Scale
from paris_assets.settings.checks import Checks


def vector_problems(found: Scale, bounds: Checks, differ: bool, not_finite: int | None = None) -> list[str]:
    """What is wrong with the vectors of a shard, a clause each.

    Args:
        differ: whether what was embedded differs, so that equal vectors are wrong.
        not_finite: rows with NaN, infinity or null, where more than one column counts.
    """
    bad = found.not_finite if not_finite is None else not_finite
    problems = [f"{bad} of {found.rows} rows are not finite"] if bad else []
    if differ and found.spread < bounds.min_embedding_std:
        problems.append(
            f"the vectors are all but equal: mean deviation {found.spread:.2g}, at least {bounds.min_embedding_std:g} "
            "expected"
        )
    if found.largest_norm > bounds.max_embedding_norm:
        problems.append(f"a vector has norm {found.largest_norm:.3g}, at most {bounds.max_embedding_norm:g} expected")
    return problems


def vectors_said(found: Scale) -> str:
    """One clause about good vectors."""
    return (
        f"{found.rows} vectors, norms {found.smallest_norm:.3g} to {found.largest_norm:.3g}, "
        f"mean deviation {found.spread:.3g}"
    )


def vector_figures(found: Scale, bounds: Checks, not_finite: int | None = None) -> Figures:
    """Figures that plot, and their bounds."""
    return {
        "deviation": found.spread,
        "checks.min_embedding_std": bounds.min_embedding_std,
        "largest_norm": found.largest_norm,
        "checks.max_embedding_norm": bounds.max_embedding_norm,
        "not_finite": found.not_finite if not_finite is None else not_finite,
    }
