"""Languages of captions, by named detectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from paris_assets.errors import UserError
from paris_assets.settings.import_path import load_class
from paris_assets.settings.local_path import local_path
from paris_assets.settings.pool_rows import LanguageDetector
from paris_assets.storage.given_files import content_of

_BREAKS = re.compile(r"[\r\n]+")


class DetectorError(UserError, ValueError):
    """A language detector cannot be loaded; the message says what is missing and what to do."""


class Detector(Protocol):
    """Tells languages. A class of one's own is made with its ``LanguageDetector`` settings."""

    def detect(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The most probable language of each text, as ISO 639-1 (639-3 where that has none), and its probability."""
        ...

    def identity(self) -> dict[str, str | None]:
        """What really ran: ``implementation``, ``version`` and, of a model from a file, its ``sha256``."""
        ...


def languages(texts: pl.Series, by: Detector) -> dict[str, pl.Series]:
    """``language`` and ``language_confidence`` of each text; null for those without a letter, and for null.

    Line breaks are blanks, as in DataComp's filters.
    """
    asked = texts.fill_null("").str.contains(r"\p{L}")
    found = by.detect([_BREAKS.sub(" ", text) for text in texts.filter(asked).to_list()])
    names = pl.Series([name for name, _ in found], dtype=pl.String)
    shares = pl.Series([share for _, share in found], dtype=pl.Float32)
    at = asked.arg_true()
    empty = pl.Series([None], dtype=pl.String), pl.Series([None], dtype=pl.Float32)
    blank_names, blank_shares = (column.new_from_index(0, len(texts)) for column in empty)
    return {"language": blank_names.scatter(at, names), "language_confidence": blank_shares.scatter(at, shares)}


def detector(settings: LanguageDetector) -> Detector:
    """The detector that settings describe, loaded once per process.

    Raises:
        DetectorError: its package or model is not there.
    """
    content = content_of(settings.path) if settings.path else None
    return _loaded(settings.model_dump_json(), content)


@lru_cache(maxsize=4)
def _loaded(settings: str, content: str | None) -> Detector:
    chosen = LanguageDetector.model_validate_json(settings)
    if ":" in chosen.implementation:
        return load_class(chosen.implementation)(chosen)
    return _Py3LangId() if chosen.path is None else _FastText(chosen.path, content)


class _Py3LangId:
    """py3langid: naive Bayes over byte n-grams (Lui and Baldwin 2012); its model is in the package."""

    def __init__(self) -> None:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise DetectorError("py3langid is not installed: pip install 'paris_assets[pool]'") from error
        self._classify = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify

    def detect(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """See ``Detector``."""
        return [self._classify(text) for text in texts]

    def identity(self) -> dict[str, str | None]:
        """See ``Detector``."""
        return {"implementation": "py3langid", "version": version("py3langid")}


class _FastText:
    """fastText (Joulin et al. 2016) with a model file of the user's, such as lid.176.bin or lid.176.ftz."""

    def __init__(self, path: str, sha256: str | None) -> None:
        file = Path(local_path(path) or path)
        if not file.is_file():
            raise DetectorError(
                f"pool.captions: no model {path}: fetch lid.176.bin from fasttext.cc (CC BY-SA 3.0), or use py3langid"
            )
        try:
            import fasttext
        except ImportError as error:
            raise DetectorError("fasttext-predict is not installed: pip install 'paris_assets[pool]'") from error
        try:
            self._model: Any = fasttext.load_model(str(file))
        except ValueError as error:
            raise DetectorError(f"{path} is no model of fastText ({error}): get it anew") from error
        self._sha256 = sha256

    def detect(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """See ``Detector``."""
        found = (self._model.predict(text) for text in texts)
        return [(labels[0].removeprefix("__label__"), min(1.0, float(shares[0]))) for labels, shares in found]

    def identity(self) -> dict[str, str | None]:
        """See ``Detector``."""
        return {"implementation": "fasttext", "version": version("fasttext-predict"), "sha256": self._sha256}
