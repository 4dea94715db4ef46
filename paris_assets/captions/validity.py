"""Why a text is no caption: rules on the text alone, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paris_assets.config import Captions
from paris_assets.texts.file_names import is_file_name
from paris_assets.texts.words import word_count

EMPTY, NO_LETTERS, URL, REFUSAL, TOO_LONG = "empty", "no_letters", "url", "refusal", "too_long"
FILE_NAME, FEW_WORDS = "file_name", "few_words"  # of a source's text only
NO_ANSWER, REPEATED = "no_answer", "repeated"  # known to who asked, and to who counts over the whole set

_URL = r"(?i)\b(https?|ftp)://\S|\bwww\.[^\s.]+\.\S"
# What models answer in place of a caption: at its beginning, so that a picture of a sorry sign is described.
REFUSALS = (
    r"^(i'm |we're )?(very |so |truly )?sorry\b.{0,60}\b(can('|no)?t|unable|not able)\b",
    r"^i (apologi[sz]e|regret)\b.{0,80}\b(can('|no)?t|unable|not able)\b",
    r"^(sorry[,. ]+|unfortunately[, ]+)?i('m| am| was)?( can('|no)?t| could(n't| not)| unable to| not able to| won't)"
    r" .{0,20}\b(assist|help (you|with)|describe|identify|view|provide|generate|fulfil|process|analy[sz]e|comply"
    r"|see (the|any|this|an) (image|picture|photo)|tell (you )?what)",
    r"^as an? (ai|artificial intelligence|(large )?language|text-based)\b",
    r"^(there is no image|no image (was|is|has been) (provided|attached|visible)|please (provide|upload|share) (the|an)"
    r" image)",
    r"^(抱歉|对不起|很抱歉).{0,20}(无法|不能)",
)
"""Without case, on the tidy text with one kind of apostrophe."""
SENTENCES = ("source", "short", "long")
"""Kinds that are sentences; tags and words seen in a picture may be few."""


def reasons(text: pl.Expr, settings: Captions, kind: str = "source", by_source: bool = True) -> pl.Expr:
    """The first rule that a caption fails; null where it is valid.

    - ``empty``: nothing is left of it by ``tidy``.
    - ``refusal``: it begins as answers do in which a model says that it cannot (``REFUSALS``, ``settings.refusals``).
    - ``url``: it holds an address, be it all of it or not; ``no_letters``: it has numbers and signs only. Both may be
      read in a picture: neither holds for ``ocr``.
    - ``file_name`` (``is_file_name``) and ``few_words``, less than ``settings.min_words``: of sentences of the source
      (``source``, ``short`` and ``long``) only.
    - ``too_long``: more than ``settings.max_chars`` characters.

    Args:
        text: ``tidy``, not null; a column, so that nothing is computed once per rule.
        by_source: whether it is a text of the source.
    """
    found: dict[str, pl.Expr] = {EMPTY: text == ""}
    found[REFUSAL] = _any_of([*REFUSALS, *settings.refusals], text.str.replace_all("[’‘`´]", "'"))
    if kind != "ocr":
        found |= {URL: text.str.contains(_URL), NO_LETTERS: ~text.str.contains(r"\p{L}")}
    if by_source and kind in SENTENCES:
        found |= {FILE_NAME: is_file_name(text), FEW_WORDS: word_count(text) < settings.min_words}
    if settings.max_chars is not None:
        found[TOO_LONG] = text.str.len_chars() > settings.max_chars
    return pl.coalesce(*(pl.when(fails).then(pl.lit(name)) for name, fails in found.items()))


def _any_of(patterns: Sequence[str], text: pl.Expr) -> pl.Expr:
    return text.str.contains("(?i)" + "|".join(f"(?:{pattern})" for pattern in patterns))
