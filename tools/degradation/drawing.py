"""What overlays are drawn with: fonts, words and families of logos. Training and test share nothing.

The test's fonts are matplotlib's own (DejaVu, STIX, Computer Modern), so that held-out figures need no package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import ImageFont

from tools.degradation.logos import TEST_LOGOS, TRAIN_LOGOS, VALIDATION_LOGOS, Logo

Random = np.random.Generator

NO_LETTERS = ("KarlaTamil", "LinBiolinum_K", "LinLibertine_I")  # another script, keys, initials
TEST_FONTS = (
    "DejaVuSans",
    "DejaVuSerif",
    "DejaVuSansMono",
    "DejaVuSans-Bold",
    "STIXGeneral",
    "STIXGeneralBol",
    "cmss10",
)
_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiouy"
_TEST_WORDS = (
    "preview",
    "stock",
    "archive",
    "copyright",
    "proof",
    "evaluation",
    "editorial",
    "image bank",
    "do not copy",
)


@dataclass(frozen=True)
class Drawing:
    """What is drawn with: font files, words, families of logos; shares of marks that are a text, or a logo, alone."""

    fonts: tuple[Path, ...]
    word: Callable[[Random], str]
    logos: tuple[Logo, ...]
    texts: float = 0.65
    signets: float = 0.2


def train_drawing(fonts: Path) -> Drawing:
    """Of the fonts that were unpacked below a folder."""
    found = sorted((path for path in fonts.rglob("*") if path.suffix in (".ttf", ".otf")), key=lambda path: path.name)
    usable = tuple(path for path in found if not path.stem.startswith(NO_LETTERS))
    if not usable:
        raise RuntimeError(f"no fonts below {fonts}: run `python -m tools.degradation collect`")
    return Drawing(usable, _syllables, TRAIN_LOGOS, texts=0.4, signets=0.4)


def validation_drawing(fonts: Path) -> Drawing:
    """Training's fonts and words, and logos composed as its own are, of which it has none; as many as in the test."""
    return Drawing(train_drawing(fonts).fonts, _syllables, VALIDATION_LOGOS)


def test_drawing() -> Drawing:
    """Of the fonts that come with matplotlib."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return Drawing(tuple(folder / f"{name}.ttf" for name in TEST_FONTS), _stock_words, TEST_LOGOS)


def _syllables(random: Random) -> str:
    parts = [random.choice(list(_CONSONANTS)) + random.choice(list(_VOWELS)) for _ in range(random.integers(2, 5))]
    word = "".join(parts)
    word = (word, word.upper(), word.capitalize())[random.integers(3)]
    forms = ("{}", "{}", "{}", "© {}", "{}.com", "www.{}.net", "{} photo", "@{}", "{} 2019", "{} & {n}", "{n}", "({})")
    return forms[random.integers(len(forms))].format(word, n=random.integers(10, 100_000))


def _stock_words(random: Random) -> str:
    word = str(random.choice(_TEST_WORDS))
    word = (word, word.upper(), word.title())[random.integers(3)]
    return word + ("", " #4711", "™", " / A. Miller")[random.integers(4)]


@lru_cache(256)
def font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """A font file at a size in pixels."""
    return ImageFont.truetype(str(path), size)
