"""Why a text is no caption: rules on the text alone, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paris_assets.captions.words import NOT_SPACED, word_count
from paris_assets.config import Captions

EMPTY, NO_LETTERS, URL, REFUSAL, TOO_LONG = "empty", "no_letters", "url", "refusal", "too_long"
FILE_NAME, FEW_WORDS = "file_name", "few_words"  # of a source's text only
NO_ANSWER, REPEATED = "no_answer", "repeated"  # known to who asked, and to who counts over the whole set

_EXTENSION = r"(?i)\.(jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|raw|cr2|nef|psd|pdf|mp4|mov)$"
_CAMERA = (
    r"(?i)^(img|image|dsc[a-z]?|dscn|dscf|pict?|picture|photo|foto|scan|screen[ _-]?shot|untitled|unnamed|pxl|gopr|mvi"
    r"|vid|wp|p|fb_img|whatsapp[ _-]image|微信(图片|截图)|(屏幕|螢幕)?(截图|截圖|截屏|快照)|图片|圖片|图像|照片|相片"
    r"|未命名|未标题|无标题|無標題|スクリーンショット|名称未設定|無題|画像|写真|スキャン|ภาพหน้าจอ|รูปภาพ|ไม่มีชื่อ)"
    r"([ _().,:@#+~-]|at|am|pm|copy|上午|下午|午前|午後|副本|のコピー|[年月日时時分秒]|\d)*$"
)
_RUN = rf"[^\s{NOT_SPACED}]*"
_IDENTIFIER = rf"(?i)^([0-9a-f-]{{16,}}|{_RUN}[_%]{_RUN}|{_RUN}[a-z]{_RUN}\d{{4,}}{_RUN})$"
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


def is_file_name(text: pl.Expr) -> pl.Expr:
    """Whether a text, ``tidy``, is the name of a file and no sentence.

    It ends in the extension of a picture or film ("sunset.jpg"); or is a camera's or program's prefix followed by
    nothing but numbers and separators ("IMG_1234", "dsc 00012", "Screenshot 2020-01-02 at 10.11.12"); or is one run
    without white space that looks made by a machine (at least 16 hexadecimal digits, an underscore or a percent sign,
    or letters with four digits in a row) and has no letter of a script that sets no blanks.
    """
    return pl.any_horizontal(*(text.str.contains(pattern) for pattern in (_EXTENSION, _CAMERA, _IDENTIFIER)))


def _any_of(patterns: Sequence[str], text: pl.Expr) -> pl.Expr:
    return text.str.contains("(?i)" + "|".join(f"(?:{pattern})" for pattern in patterns))
