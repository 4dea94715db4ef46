"""Whether captions hold nouns whose WordNet synset is among those asked for (DataComp's text-based filter, mended).

DataComp compares the first synset of each word, of any part of speech and with its punctuation, with ids of nouns. Here
only nouns count, punctuation is left out, lemmas of several words ("polar bear") are found, and plurals become
singulars as WordNet's morphy makes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from paris_assets.errors import UserError
from paris_assets.settings.local_path import local_path
from paris_assets.settings.pool_rows import WordNet
from paris_assets.storage.given_files import content_of

ENDINGS = (
    ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
    ("ies", "y"), ("s", ""),
)  # fmt: skip
"""Plural -> singular, as in morphy(7WN); a form counts where WordNet has it."""
LONGEST = 4
"""Words of the longest lemma that is looked for."""
_ID = re.compile(r"n?(\d{8})\b")
_BREAK = r"[^\p{L}\p{N}\p{M}'’.&-]+"
_EDGE = r"^[^\p{L}\p{N}]+|(['’]s)?[^\p{L}\p{N}]*$"


class WordNetError(UserError, ValueError):
    """WordNet or the list of synsets cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Nouns:
    """What captions are compared with.

    Attributes:
        lemmas: all nouns that WordNet knows.
        wanted: those whose first synset is asked for.
        irregular: `plural` and `singular`, as noun.exc lists them.
    """

    lemmas: pl.Series
    wanted: pl.Series
    irregular: pl.DataFrame


def wanted_nouns(settings: WordNet) -> Nouns:
    """The nouns that settings name, read once per process.

    Raises:
        WordNetError: a file is not there, is none of WordNet 3.0, or ids that are none of it.
    """
    return _read(settings.folder, settings.synsets, *map(content_of, settings.files()))


@lru_cache(maxsize=2)
def _read(folder: str, synsets: str, *_content: str | None) -> Nouns:
    ids = synset_ids(synsets)
    lemmas = first_synsets(f"{folder}/index.noun")
    known = ids.intersection(lemmas.values())
    if not known:
        raise WordNetError(
            f"{synsets}: none of its {len(ids)} ids is the first synset of a noun of WordNet 3.0, such as n02084071: "
            "other versions have other offsets"
        )
    pairs = [line.split() for line in _lines(f"{folder}/noun.exc")]
    irregular = [(plural, single) for plural, *singles in pairs for single in singles[:1]]
    return Nouns(
        pl.Series("lemma", list(lemmas), dtype=pl.String),
        pl.Series("lemma", [lemma for lemma, synset in lemmas.items() if synset in known], dtype=pl.String),
        pl.DataFrame(irregular, schema={"plural": pl.String, "singular": pl.String}, orient="row"),
    )


def synset_ids(path: str) -> set[int]:
    """Offsets of noun synsets that a file lists, one a line.

    Raises:
        WordNetError: a line that begins with none; names it.
    """
    found = set[int]()
    for number, line in enumerate(_lines(path), 1):
        match = _ID.match(line.strip())
        if match:
            found.add(int(match[1]))
        elif line.strip():
            raise WordNetError(f"{path}, line {number}: {line.strip()[:40]!r} is no noun synset such as n02084071")
    return found


def first_synsets(path: str) -> dict[str, int]:
    """Lemma of an index file of WordNet 3.0, in small letters and with blanks -> offset of its most frequent synset.

    Raises:
        WordNetError: no such file, or another version's.
    """
    lines = _lines(path)
    if not any("WordNet 3.0" in line for line in lines[:30]):
        raise WordNetError(f"{path} is no index of WordNet 3.0, by whose offsets synsets are named (wordnet-base)")
    entries = (line.split() for line in lines if not line.startswith(" "))
    return {fields[0].replace("_", " "): int(fields[-int(fields[2])]) for fields in entries}


def _lines(path: str) -> list[str]:
    try:
        return Path(local_path(path) or path).read_text().splitlines()
    except OSError as error:
        advice = "apt install wordnet-base, or name the folder of WordNet 3.0 in pool.captions.wordnet.folder"
        raise WordNetError(f"pool.captions.wordnet: {path} cannot be read ({error.strerror}): {advice}") from error


def holds_noun(texts: pl.Series, nouns: Nouns) -> pl.Series:
    """Whether each text holds a wanted noun, or words that are one together; null for null."""
    words = _words(texts)
    phrases = pl.concat([words.select("row", "phrase"), *_together(words, nouns)])
    distinct = singulars(phrases["phrase"].unique(), nouns)
    hits = distinct.filter(pl.col("lemma").is_in(nouns.wanted.implode()))
    rows = phrases.join(hits, on="phrase", how="semi")["row"].unique()
    number = pl.int_range(len(texts), dtype=pl.UInt32, eager=True)
    return pl.select(pl.when(texts.is_not_null()).then(number.is_in(rows.implode()))).to_series()


def _words(texts: pl.Series) -> pl.DataFrame:
    """`row` and `phrase`, the words of each text in their order, in small letters and without punctuation around."""
    text = texts.rename("phrase").to_frame().with_row_index("row").drop_nulls()
    split = text.with_columns(pl.col("phrase").str.to_lowercase().str.replace_all(_BREAK, " ").str.split(" "))
    plain = split.explode("phrase").with_columns(pl.col("phrase").str.replace_all(_EDGE, ""))
    return plain.filter(pl.col("phrase") != "")


def _together(words: pl.DataFrame, nouns: Nouns) -> list[pl.DataFrame]:
    """Runs of two to ``LONGEST`` words of a text whose first begins a wanted noun."""
    several = nouns.wanted.filter(nouns.wanted.str.contains(" ", literal=True))
    begins = pl.col("phrase").is_in(several.str.extract(r"^(\S+)").unique().implode())
    found = []
    for length in range(2, LONGEST + 1):
        same = pl.col("row").shift(1 - length) == pl.col("row")
        joined = pl.concat_str([pl.col("phrase").shift(-step) for step in range(length)], separator=" ")
        found.append(words.select("row", pl.when(begins & same).then(joined).alias("phrase")).drop_nulls())
    return found


def singulars(phrases: pl.Series, nouns: Nouns) -> pl.DataFrame:
    """`phrase` and `lemma`: the first of itself, its irregular singular and what ``ENDINGS`` make of it that WordNet
    knows; null where it knows none."""
    phrase, known = pl.col("phrase"), nouns.lemmas.implode()
    regular = ~phrase.str.ends_with("ss") & (phrase.str.len_chars() > 2)
    made = [
        pl.when(regular & phrase.str.ends_with(plural)).then(phrase.str.head(-len(plural)) + ending)
        for plural, ending in ENDINGS
    ]
    single = nouns.irregular.unique("plural", keep="first")
    table = phrases.rename("phrase").to_frame().join(single, how="left", left_on="phrase", right_on="plural")
    forms = [phrase, pl.col("singular"), *made]
    return table.select("phrase", lemma=pl.coalesce(pl.when(form.is_in(known)).then(form) for form in forms))
