"""Nouns of WordNet in captions, by a small index of the same shape."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from paris_assets.pool.wordnet import WordNetError, holds_noun, wanted_nouns
from paris_assets.settings.pool_rows import WordNet

HEADER = "  1 This software and database is being provided to you\n  2 WordNet 3.0 Copyright 2006 by Princeton\n"
# lemma, part of speech, senses, pointers, their signs, senses, tagged ones, offsets by frequency
INDEX = """bear n 2 2 @ ~ 2 2 02131653 10000001
city n 1 1 @ 1 1 08524735
dog n 2 1 @ 2 1 02084071 10114209
frank n 2 1 @ 2 1 07676602 02084071
glass n 1 0 1 0 03438257
glasses n 1 0 1 0 04272054
goose n 1 1 @ 1 0 01855672
ice n 1 0 1 0 14915184
leaf n 1 0 1 0 13152742
polar_bear n 1 1 @ 1 1 02134084
run n 1 0 1 0 00558883
woman n 1 0 1 0 10787470
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.noun").write_text(HEADER + INDEX)
    (tmp_path / "noun.exc").write_text("geese goose\nleaves leaf leave\n")
    return tmp_path


def held(folder: Path, ids: str, *texts: str | None) -> list[bool | None]:
    (folder / "ids.txt").write_text(ids)
    nouns = wanted_nouns(WordNet(folder=str(folder), synsets=str(folder / "ids.txt")))
    return holds_noun(pl.Series(texts, dtype=pl.String), nouns).to_list()


@pytest.mark.parametrize(
    ("ids", "text", "expected"),
    [
        ("n02084071", "My Dog!", True),
        ("n02084071 dog, domestic dog", "(dogs)", True),
        ("02084071", "the dog's bed", True),
        ("02084071", "dogma", False),
        ("02084071", "a frank word", False),  # its first sense is another
        ("n02134084", "Two polar bears on ice", True),
        ("n02134084", "polar lights, and a bear", False),
        ("n02134084", "it is polar", False),
        ("n02131653", "polar bears", True),  # a bear is there as well
        ("n01855672", "wild geese", True),
        ("n13152742", "autumn leaves", True),
        ("n08524735", "Great cities/towns", True),
        ("n10787470", "women", True),
        ("n03438257", "her glasses", False),  # which WordNet knows as they are
        ("n04272054", "her glasses", True),
        ("n03438257", "a glass", True),
    ],
)
def test_which_captions_hold_one(folder: Path, ids: str, text: str, expected: bool) -> None:
    assert held(folder, ids, text) == [expected]


def test_texts_keep_their_places_and_do_not_run_into_each_other(folder: Path) -> None:
    texts = (None, "polar", "bear", "", "a polar bear", "polar", None)
    assert held(folder, "n02134084", *texts) == [None, False, False, False, True, False, None]


def test_what_cannot_be_used_is_named(folder: Path) -> None:
    with pytest.raises(WordNetError, match=r"ids.txt, line 2: 'dog' is no noun synset"):
        held(folder, "n02084071\ndog", "x")
    with pytest.raises(WordNetError, match=r"none of its 1 ids is the first synset of a noun of WordNet 3\.0"):
        held(folder, "n02086723", "x")
    (folder / "index.noun").write_text(HEADER.replace("3.0", "3.1") + INDEX)
    with pytest.raises(WordNetError, match=r"is no index of WordNet 3\.0"):
        held(folder, "n02084071 ", "x")
    (folder / "index.noun").unlink()
    with pytest.raises(WordNetError, match=r"index\.noun cannot be read .*apt install wordnet-base"):
        held(folder, "n02084071  ", "x")
