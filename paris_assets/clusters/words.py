"""The words that set the captions of one cluster apart."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

WORD = re.compile(r"[^\W\d_]{3,}")


def distinctive_words(captions: Sequence[Sequence[str]], top: int = 6) -> list[list[str]]:
    """Per cluster its most distinctive words, best first.

    A word scores p log(p / q), p being the share of the cluster's captions that hold it and q that of all captions:
    its part of the Kullback-Leibler divergence, so frequent here and rare elsewhere. One more caption without the word
    is assumed on both sides; words of a single caption come last. English stop words, numbers and words of less than
    three letters are left out; ties go by the alphabet.

    Args:
        captions: for each cluster the captions of its images.
    """
    inside = [Counter(word for text in group for word in _words(text)) for group in captions]
    everywhere = sum(inside, Counter())
    total = sum(len(group) for group in captions)
    chosen = []
    for group, counts in zip(captions, inside, strict=True):
        scored = []
        for word, count in counts.items():
            here, overall = count / (len(group) + 1), everywhere[word] / (total + 1)
            if here > overall:
                # A word of one caption says little of a cluster: it comes after those of several.
                scored.append((count == 1, -here * math.log(here / overall), word))
        chosen.append([word for _, _, word in sorted(scored)[:top]])
    return chosen


def _words(text: str) -> set[str]:
    return {word for word in WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS}
