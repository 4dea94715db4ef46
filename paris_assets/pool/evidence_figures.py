"""Figures of concepts that need more than sums: templates, languages, how well captions compress, words."""

from __future__ import annotations

import zlib

import polars as pl
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

WORDS = 8
WORD = r"[\p{L}\p{M}]{3,}"


def language_shares(counts: pl.DataFrame) -> pl.DataFrame:
    """`concept`, `languages` and `language_shares`: of the known ones, the largest first, ties by the alphabet."""
    share = (pl.col("count") / pl.col("count").sum()).over("concept")
    ordered = counts.with_columns(share=share).sort("concept", -pl.col("count"), "language")
    return ordered.group_by("concept", maintain_order=True).agg(languages="language", language_shares="share")


def compression(sample: pl.DataFrame) -> pl.DataFrame:
    """`concept`, `compression`: bytes of its sampled distinct captions, one a line, by those that zlib makes of them.

    Captions of many subjects reach about 1.5, of one subject 2 to 3, one text filled in again and again 5 and more.
    """
    texts = sample.group_by("concept", maintain_order=True).agg(pl.col("caption").str.join("\n"))
    ratios = [len(text) / len(zlib.compress(text, 9)) for text in map(str.encode, texts["caption"])]
    return texts.select("concept", compression=pl.Series(ratios, dtype=pl.Float64))


def top_words(sample: pl.DataFrame, totals: pl.DataFrame) -> pl.DataFrame:
    """`concept`, `top_words`: what is frequent in its captions and rare in the pool's, best first.

    A word scores p log(p / q), p being the share of the concept's sampled captions that hold it and q that of the pool,
    for which concepts count by their distinct captions: its part of the Kullback-Leibler divergence. One more caption
    without the word is assumed in each sample; words of a single sampled caption, English stop words, numbers and words
    of less than three letters are left out; ties go by the alphabet.

    Args:
        sample: `concept`, `caption`, distinct within a concept.
        totals: `concept`, `distinct`: captions of each concept.
    """
    size = sample.group_by("concept").agg(sampled=pl.len()).join(totals.select("concept", "distinct"), on="concept")
    words = sample.select("concept", word=pl.col("caption").str.to_lowercase().str.extract_all(WORD).list.unique())
    counts = words.explode("word").drop_nulls("word").group_by("concept", "word").len("holding")
    plain = counts.filter(~pl.col("word").is_in(sorted(ENGLISH_STOP_WORDS)))
    here = pl.col("holding") / (pl.col("sampled") + 1)
    shares = plain.join(size, on="concept").with_columns(here=here).sort("word", "concept")
    everywhere = (pl.col("here") * pl.col("distinct")).sum().over("word") / size["distinct"].sum()
    score = pl.col("here") * (pl.col("here") / everywhere).log()
    scored = shares.with_columns(score=score).filter((pl.col("holding") > 1) & (pl.col("score") > 0))
    ordered = scored.sort("concept", -pl.col("score"), "word").group_by("concept", maintain_order=True)
    return ordered.agg(top_words=pl.col("word").head(WORDS))
