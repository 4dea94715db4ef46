"""Tags from words: phrases of captions, and lists that the source brings."""

from __future__ import annotations

import polars as pl
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

MAX_LISTED_WORDS = 5
"""A listed tag of more words is a sentence."""
MEDIUM = ("image", "images", "photo", "photos", "photograph", "photographs", "picture", "pictures", "pic", "pics")
"""Words that say that there is a picture, and nothing of what it shows."""
_STOP = sorted((*ENGLISH_STOP_WORDS, *MEDIUM))
_NOT_SPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORD = rf"[\p{{L}}\p{{M}}--[{_NOT_SPACED}]]"
_INNER = r"['’-]"
_BREAK = rf"[^\p{{L}}\p{{M}}'’\s-]|[{_NOT_SPACED}]|['’]s\b|\B{_INNER}|{_INNER}\B"


def phrases(texts: pl.DataFrame, column: str, max_words: int) -> pl.DataFrame:
    """Words and phrases of texts, as candidates for concepts.

    A text falls apart at stop words (scikit-learn's English list, words for a picture, single letters), at a
    possessive's, at digits and at punctuation but hyphens and apostrophes within words, as in RAKE (Rose et al. 2010).
    Of each piece, every run of one to ``max_words`` words is a phrase. Nothing is parsed: verbs and adjectives come
    along, and which phrases mean something only their number in the whole set tells. Scripts that set no blanks between
    words give none.

    Args:
        texts: ``image_id`` and texts in ``column``, null allowed.

    Returns:
        image_id, phrases List(String): lower case, distinct, sorted; of images that have any.
    """
    pieces = pl.col(column).str.to_lowercase().str.replace_all(_BREAK, "|").str.split("|")
    stop = pl.col("word").is_in(_STOP) | (pl.col("word").str.len_chars() == 1)
    words = (
        texts.select("image_id", piece=pieces)
        .explode("piece")
        .with_row_index("piece_number")
        .with_columns(word=pl.col("piece").str.extract_all(rf"{_WORD}+(?:{_INNER}{_WORD}+)*"))
        .explode("word")
        .drop_nulls("word")
        .with_columns(stops=stop.cum_sum())
        .filter(~stop)
        .select("image_id", "word", piece=pl.struct("piece_number", "stops"))
    )
    runs = [_runs(words, length) for length in range(1, max_words + 1)]
    return _lists(pl.concat(runs), "phrases")


def listed(texts: pl.DataFrame, column: str) -> pl.DataFrame:
    """Tags of texts that list them, cut at commas, semicolons, bars and ends of lines.

    Args:
        texts: ``image_id`` and, in ``column``, a text or a list of texts.

    Returns:
        image_id, listed List(String): lower case, distinct, sorted; of images that have any. What holds no letter, or
        more than five words, is no tag.
    """
    one = texts.select("image_id", text=column)
    rows = (one.explode("text") if one.schema["text"] == pl.List else one).drop_nulls()
    cut = rows.select(
        "image_id", tag=pl.col("text").str.to_lowercase().str.replace_all(r"[,;|\r\n]+", "\n").str.split("\n")
    )
    tags = cut.explode("tag")
    clean = tags.with_columns(pl.col("tag").str.replace_all(r"\s+", " ").str.strip_chars(" "))
    short = pl.col("tag").str.count_matches(" ") < MAX_LISTED_WORDS
    return _lists(clean.filter(pl.col("tag").str.contains(r"\p{L}") & short), "listed")


def _runs(words: pl.DataFrame, length: int) -> pl.DataFrame:
    """Runs of so many words of a piece."""
    of_one_piece = pl.col("piece") == pl.col("piece").shift(-(length - 1))
    joined = pl.concat_str([pl.col("word").shift(-place) for place in range(length)], separator=" ")
    return words.select("image_id", tag=pl.when(of_one_piece).then(joined)).drop_nulls()


def _lists(tags: pl.DataFrame, name: str) -> pl.DataFrame:
    return tags.group_by("image_id").agg(pl.col("tag").unique().sort().alias(name))
