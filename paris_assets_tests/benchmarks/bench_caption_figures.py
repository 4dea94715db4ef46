"""Captions per second and core of `caption_figures`, each part alone.

python -m paris_assets_tests.benchmarks.bench_caption_figures [rows] [lid.176.bin] [folder of WordNet 3.0]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import polars as pl

from paris_assets.pool.figures import measured
from paris_assets.pool.languages import detector, languages
from paris_assets.pool.wordnet import holds_noun, wanted_nouns
from paris_assets.settings.pool_rows import CaptionFigures, LanguageDetector, WordNet

WORDS = (
    "a", "the", "of", "in", "on", "with", "and", "red", "old", "small", "dogs", "house", "beach", "polar", "bear",
    "sunset", "Katze", "auf", "dem", "Dach", "le", "chat", "noir", "photo", "stock", "shirt", "women's", "kitchen",
    "chairs", "wood", "street", "city", "water", "mountains", "boat", "flowers",
)  # fmt: skip


def captions(rows: int) -> list[str]:
    """Texts of 3 to 20 words, all different."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(3, 21, rows)
    words = generator.choice(WORDS, int(lengths.sum()))
    ends = np.cumsum(lengths)
    return [
        f"{' '.join(words[end - size : end])} {row}" for row, (end, size) in enumerate(zip(ends, lengths, strict=True))
    ]


def main() -> None:
    """Print a line for each part."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    texts = pl.Series("text", captions(rows))
    timed(rows, "py3langid", lambda: languages(texts, detector(LanguageDetector())))
    if len(sys.argv) > 2:
        fasttext = LanguageDetector(implementation="fasttext", path=sys.argv[2])
        timed(rows, "fasttext", lambda: languages(texts, detector(fasttext)))
    if len(sys.argv) > 3:
        with tempfile.TemporaryDirectory() as folder:
            ids = Path(folder) / "ids.txt"
            ids.write_text("n02084071\nn02134084\nn03001627\n")
            nouns = wanted_nouns(WordNet(folder=sys.argv[3], synsets=str(ids)))
        timed(rows, "wordnet", lambda: holds_noun(texts, nouns))
    table = pl.LazyFrame({"source_row": range(rows), "text": texts})
    timed(rows, "all of caption_figures, with py3langid", lambda: measured(table, CaptionFigures()))


def timed(rows: int, name: str, work: Callable[[], object]) -> None:
    """By the clock of the process: others may use the cores as well."""
    start = time.process_time()
    work()
    spent = time.process_time() - start
    print(f"{name:40} {rows / spent:10,.0f} captions/s and core, 1,000,000 in {1e6 * spent / rows:6,.1f} s")


if __name__ == "__main__":
    main()
