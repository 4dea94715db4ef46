"""What captions look like, row by row."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from paris_assets.pool.figures import measured, templates
from paris_assets.pool.languages import DetectorError, detector, languages
from paris_assets.pool.schema import CAPTION_FIGURES
from paris_assets.settings.pool_rows import CaptionFigures, LanguageDetector

OWN = LanguageDetector(implementation="paris_assets_tests.pool.detectors:ByFirstLetter")
TEXTS = ["a red barn", "two\nlines here", None, "  ", "IMG_2034.jpg", "1234", "a red barn", "ein Haus, 12 m hoch"]


def figures(texts: list[str | None], **settings: object) -> pl.DataFrame:
    rows = pl.LazyFrame({"source_row": range(len(texts)), "text": pl.Series(texts, dtype=pl.String)})
    output = measured(rows, CaptionFigures.model_validate({"language": OWN, **settings}))
    (table,) = output.rows  # type: ignore[misc]
    assert isinstance(table, pl.DataFrame)
    assert table.schema == CAPTION_FIGURES.polars()
    return table


def test_counts_and_kinds() -> None:
    table = figures(TEXTS)
    assert table["words"].to_list() == [3, 3, 0, 0, 1, 1, 3, 5]
    assert table["characters"].to_list() == [10, 14, 0, 2, 12, 4, 10, 19]
    assert table["file_name"].to_list() == [False] * 4 + [True] + [False] * 3
    assert table["language"].to_list() == ["en", "de", None, None, "en", None, "en", "en"]
    assert table["language_confidence"].null_count() == 3
    assert table["second_language"].null_count() == table["wordnet"].null_count() == 8


def test_templates_leave_numbers_out() -> None:
    shapes = templates(pl.Series(["Room 12 of 40", "room 7 of 9,000", "room of 9", "", "  "])).to_list()
    assert shapes[0] == shapes[1] != shapes[2]
    assert len(shapes[0]) == 16
    assert shapes[3:] == [None, None]


def test_the_order_of_rows_changes_nothing() -> None:
    order = random.Random(0).sample(range(8), 8)
    first, other = figures(TEXTS), figures([TEXTS[row] for row in order])
    assert other.drop("source_row").equals(first[order].drop("source_row"))


def test_a_second_detector_stands_beside_the_first() -> None:
    table = figures(TEXTS, second_language=OWN)
    assert table["second_language"].equals(table["language"], null_equal=True)


def test_languages_of_plain_sentences() -> None:
    texts = {
        "en": "a small boat on the lake in the evening light",
        "de": "ein altes Haus mit roten Fenstern am Rande der Stadt",
        "fr": "le chat noir dort sur le canapé rouge du salon",
        "ru": "Новый дом с видом на море и горы",
        "zh": "红色的汽车停在街上",
    }
    found = languages(pl.Series(list(texts.values())), detector(LanguageDetector()))
    assert found["language"].to_list() == list(texts)
    assert found["language_confidence"].is_between(0.2, 1).all()


def test_a_model_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    path = tmp_path / "lid.176.bin"
    settings = LanguageDetector(implementation="fasttext", path=str(path))
    with pytest.raises(DetectorError, match=r"no model .*lid\.176\.bin: fetch"):
        detector(settings)
    path.write_bytes(b"<html>")
    with pytest.raises(DetectorError, match="no model of fastText"):
        detector(settings)


@pytest.mark.parametrize("wrong", [{"implementation": "cld"}, {"implementation": "fasttext"}, {"path": "lid.176.bin"}])
def test_settings_that_name_no_detector(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"detector|path"):
        LanguageDetector.model_validate(wrong)
