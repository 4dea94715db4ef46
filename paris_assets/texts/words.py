"""What is left of a text when it becomes a caption, how many words that is, and what texts share."""

from __future__ import annotations

import polars as pl

HAN_LETTERS, SYLLABIC_LETTERS = 2, 3

# Scripts that set no blank between words. Marks of long vowels and of voice in kana belong to the letter before them.
_HAN = r"[\p{Han}\p{Hiragana}\p{Katakana}&&\p{L}]"
_SYLLABIC = r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}&&\p{L}]"
NOT_SPACED = rf"{_HAN}{_SYLLABIC}"
_WORD = (
    rf"(?:{_HAN}[\p{{M}}ーｰﾞﾟ]*){{1,{HAN_LETTERS}}}"
    rf"|(?:{_SYLLABIC}\p{{M}}*){{1,{SYLLABIC_LETTERS}}}"
    rf"|[^\s{NOT_SPACED}]*[\p{{L}}--[{NOT_SPACED}]][^\s{NOT_SPACED}]*"
)

_STEERING = r"[\u{061C}\u{200E}\u{200F}\u{202A}-\u{202E}\u{2066}-\u{206F}\u{FEFF}]+"
_BLANKS = r"[\s\p{Cc}\u{FFFD}\u{FFFE}\u{FFFF}\u{FDD0}-\u{FDEF}]+"


def tidy(text: pl.Expr) -> pl.Expr:
    """Text as a caption may hold it: one line without unseen characters.

    Characters that only steer how a line runs (marks, embeddings, overrides and isolates of direction, byte-order
    marks) are left out. Every run of white space, control characters (U+0000 to U+001F, U+007F to U+009F) and
    characters that stand for none (U+FFFD, U+FFFE and their like) becomes one blank, and none is left at the ends.
    """
    return text.str.replace_all(_STEERING, "").str.replace_all(_BLANKS, " ").str.strip_chars(" ")


def word_count(text: pl.Expr) -> pl.Expr:
    """Words of a text.

    A word is a run without white space that holds a letter of any script, so numbers and punctuation alone count for
    nothing. Within a run, letters of scripts that set no blank between words are counted apart: of Chinese characters
    and kana every two that follow each other are a word, of Thai, Lao, Khmer, Burmese and Tibetan letters every three,
    and what is left over is one more. Marks above, below and beside a letter are no letters.
    """
    return text.str.count_matches(_WORD)


def template(caption: pl.Expr) -> pl.Expr:
    """What captions of one template share: the text in lower case, each number replaced by 0."""
    return caption.str.to_lowercase().str.replace_all(r"\p{N}+([.,:]\p{N}+)*", "0")


def valid(text: str) -> str:
    """Text without lone surrogates, which no file in UTF-8 can hold: each becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
