"""The judge that asks nobody: bounds on the figures of a concept's captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from paris_assets.models.protocols import Ballot, Opinion
from paris_assets.settings.judge import CaptionRules

NAME = "caption-rules"


class RulesJudge:
    """Drops a concept by the first rule that holds, calls it mixed where one nearly does, and keeps it otherwise."""

    def __init__(self, settings: CaptionRules) -> None:
        self._settings = settings

    def judge(self, evidence: pl.DataFrame) -> Iterator[Ballot]:
        """One opinion on each row of `concept_evidence`."""
        for row in evidence.iter_rows(named=True):
            yield Ballot(row["concept"], [opinion(row, self._settings)])

    def identity(self) -> dict[str, Any]:
        """By its name alone: its bounds are settings."""
        return {"implementation": NAME, "source": None, "revision": None, "sha256": None, "precision": None}


def opinion(figures: Mapping[str, Any], settings: CaptionRules) -> Opinion:
    """What the rules say of one row of `concept_evidence`."""
    if reason := next(dropped(figures, settings), None):
        return Opinion("drop", reason)
    near = [
        (share / bound, said) for share, bound, said in shares(figures, settings) if share >= settings.mixed * bound
    ]
    if near:
        return Opinion("mixed", max(near)[1])
    return Opinion("keep", "no rule speaks against its captions")


def dropped(figures: Mapping[str, Any], settings: CaptionRules) -> Iterator[str]:
    """Why a concept is dropped, by each rule that holds; figures that are null break none."""
    yield from (said for share, bound, said in shares(figures, settings) if share >= bound)
    words, ratio, score = figures["mean_words"], figures["compression"], figures[settings.score]
    if words is not None and words < settings.min_words:
        yield f"its captions have {words:.1f} words on average, at least {settings.min_words:g} wanted"
    if ratio is not None and ratio > settings.max_compression:
        yield f"its captions repeat each other: zlib makes them {ratio:.1f} times smaller"
    if settings.languages and figures["languages"]:
        known = zip(figures["languages"], figures["language_shares"], strict=True)
        spoken = sum(share for language, share in known if language in settings.languages)
        if spoken < settings.min_language:
            yield f"{spoken:.0%} of its captions are in {', '.join(settings.languages)}"
    if settings.min_similarity is not None and score is not None and score < settings.min_similarity:
        yield f"its mean {settings.score} is {score:.3f}, at least {settings.min_similarity:g} wanted"


def shares(figures: Mapping[str, Any], settings: CaptionRules) -> Iterator[tuple[float, float, str]]:
    """Each share that is bounded: its value, its bound, and what it says.

    Of the most frequent caption and template one does not count: a concept of one caption repeats nothing.
    """
    rows, captions = figures["rows"], figures["captions"]
    without = (rows - captions) / rows
    yield without, settings.without_caption, f"{without:.0%} of its rows have no caption"
    if not captions:
        return
    names, same, template = (figures[name] for name in ("file_names", "top_share", "template_share"))
    same, template = same - 1 / captions, template - 1 / captions
    yield names, settings.file_names, f"{names:.0%} of its captions are names of files"
    yield same, settings.top_share, f"{same:.0%} of its captions repeat one of them"
    yield template, settings.template_share, f"{template:.0%} of its captions fill in one template"
