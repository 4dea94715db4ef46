"""What a filter rule is: the shipped one, bounds of a column, and those of your own, by import path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import polars as pl

from paris_assets.config import OwnRule, Rule
from paris_assets.errors import UserError
from paris_assets.rules.listed import Listed
from paris_assets.rules.quantiles import Ranked
from paris_assets.settings.import_path import OWN_ERRORS, ImportPathError, in_words, load_class

Column = pl.Series | Sequence[Any]


class RuleError(UserError, ValueError):
    """A filter rule cannot be used, or fails; the message names it."""


@runtime_checkable
class ImageRule(Protocol):
    """Judges images by what is known of them. To add your own, write such a class anywhere and name it in the profile.

    An instance is made with the rule's ``options``. An image's verdict must depend on its own row alone, so that it is
    the same in any shard.

    Attributes:
        columns: what ``judge`` reads: columns of the file, of signals and, for a rule in ``score_rules``, of scores.
    """

    columns: Sequence[str]

    def judge(self, images: pl.DataFrame) -> tuple[Column, Column]:
        """Judge a shard.

        Args:
            images: ``image_id`` and the columns asked for, in some order of rows; perhaps none. A signal is null where
                it could not be computed.

        Returns:
            For each row whether it is kept (null: cannot be told), and the number recorded as what the rule saw.
        """
        ...


class Bounds:
    """Keeps images whose column lies within [min, max]; NaN is unknown."""

    def __init__(self, settings: Rule) -> None:
        self.columns: Sequence[str] = [settings.column]
        self._low = float("-inf") if settings.min is None else settings.min
        self._high = float("inf") if settings.max is None else settings.max

    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Whether each value is within the bounds, and the value."""
        value = images[self.columns[0]].cast(pl.Float64).fill_nan(None)
        return value.is_between(self._low, self._high), value


AnyRule = Rule | OwnRule | Ranked | Listed


def load_rule(settings: AnyRule) -> ImageRule:
    """The rule that the settings describe.

    Raises:
        RuleError: an import path that leads to no rule, or options that it does not take; names both.
    """
    if isinstance(settings, Rule):
        return Bounds(settings)
    if isinstance(settings, Ranked | Listed):
        return settings
    where = f"rule {settings.name!r} ({settings.implementation})"
    try:
        rule = load_class(settings.implementation)(**settings.options)
    except ImportPathError as error:
        raise RuleError(f"rule {settings.name!r}: {error}") from error
    except OWN_ERRORS as error:
        raise RuleError(f"{where} cannot be made with the options {settings.options}: {in_words(error)}") from error
    if not isinstance(rule, ImageRule) or isinstance(rule.columns, str):
        raise RuleError(f"{where} lacks a list `columns` or a method `judge` (see paris_assets/rules/rule.py)")
    return rule


def apply_rule(settings: AnyRule, rule: ImageRule, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Verdicts (Boolean) and values (Float64) of a rule, one per row.

    Raises:
        RuleError: the rule fails, or gives something else; names the rule.
    """
    try:
        kept, value = (pl.Series(given) for given in rule.judge(images.select("image_id", *rule.columns)))
        # numpy calls an array of nothing Float64.
        verdicts = (pl.Boolean, pl.Null) if images.height else (pl.Boolean, pl.Null, pl.Float64)
        if kept.dtype not in verdicts or not is_number(value.dtype):
            raise TypeError(f"verdicts are {kept.dtype} and values {value.dtype}, not Boolean and numbers")
        if not len(kept) == len(value) == images.height:
            raise ValueError(f"{len(kept)} verdicts and {len(value)} values for {images.height} images")
    except OWN_ERRORS as error:
        code = f" ({settings.implementation})" if isinstance(settings, OwnRule) else ""
        raise RuleError(f"rule {settings.name!r}{code}: {in_words(error)}") from error
    return kept.cast(pl.Boolean), value.cast(pl.Float64).fill_nan(None)


def is_number(dtype: pl.DataType) -> bool:
    """Whether a column of this type can be judged by bounds."""
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
