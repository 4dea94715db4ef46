"""The table `caption_figures`: what captions look like, row by row."""

from __future__ import annotations

import hashlib

import polars as pl

from paris_assets.pool.languages import detector, languages
from paris_assets.pool.schema import CAPTION_FIGURES
from paris_assets.pool.wordnet import holds_noun, wanted_nouns
from paris_assets.settings.pool_rows import CaptionFigures
from paris_assets.storage.output import Output
from paris_assets.texts.file_names import is_file_name
from paris_assets.texts.words import template, tidy


def measured(source_rows: pl.LazyFrame, settings: CaptionFigures) -> Output:
    """Rows of `caption_figures`, one per source row.

    Each distinct caption of the shard is looked at once.

    Raises:
        DetectorError, WordNetError: what the settings name is not there, or no such thing.
    """
    rows = source_rows.select("source_row", "text").sort("source_row").collect()
    texts = rows.select(pl.col("text").drop_nulls().unique())
    first = detector(settings.language)
    second = detector(settings.second_language) if settings.second_language else None
    found = texts.with_columns(**_counts(), template=templates(texts["text"]), **languages(texts["text"], first))
    if second is not None:
        found = found.with_columns(second_language=languages(texts["text"], second)["language"])
    if settings.wordnet is not None:
        found = found.with_columns(wordnet=holds_noun(texts["text"], wanted_nouns(settings.wordnet)))
    absent = [pl.lit(None).alias(name) for name in list(CAPTION_FIGURES)[1:] if name not in found.columns]
    table = rows.join(found.with_columns(*absent), on="text", how="left")
    counted = pl.col("words", "characters").fill_null(0), pl.col("file_name").fill_null(False)
    facts = {"detectors": {"language": first.identity(), **({"second_language": second.identity()} if second else {})}}
    table = table.with_columns(*counted).select(CAPTION_FIGURES.select()).sort("source_row")
    return Output(rows=[table], rows_in=rows.height, facts=facts)


def _counts() -> dict[str, pl.Expr]:
    text = pl.col("text")
    return {
        "words": text.str.count_matches(r"\S+"),
        "characters": text.str.len_chars(),
        "file_name": is_file_name(tidy(text)),
    }


def templates(texts: pl.Series) -> pl.Series:
    """16 hex digits of the sha256 of each text's ``template``; null where nothing is left of the text."""
    shapes = texts.to_frame("text").select(template(tidy(pl.col("text")))).to_series()
    distinct = shapes.unique()
    hashes = [hashlib.sha256(shape.encode()).hexdigest()[:16] if shape else None for shape in distinct.to_list()]
    return shapes.replace_strict(distinct, pl.Series(hashes, dtype=pl.String), return_dtype=pl.String)
