"""Figures as cells of tables, and as words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENDS = ("mean", "low", "high")


def names(chosen: list[str], figures: Mapping[str, Any]) -> str:
    """Of the numbers of experts the chosen ones."""
    if len(chosen) == len(figures["experts"]):
        return "every K"
    return f"K = {', '.join(chosen)}" if chosen else "no K"


def above(found: Mapping[str, Any]) -> bool:
    """Whether the whole interval is above 0."""
    return found["low"] is not None and found["low"] > 0


def below(found: Mapping[str, Any]) -> bool:
    """Whether the whole interval is below 0."""
    return found["high"] is not None and found["high"] < 0


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def number(value: float | None, form: str) -> str:
    """In a format, where it is finite."""
    return "no number" if value is None else format(value, form)


def share(value: float | None, digits: int) -> str:
    """In percent."""
    return "no number" if value is None else f"{100 * value:.{digits}f} %"


def percent(found: Mapping[str, Any]) -> str:
    """A share and its interval, in percent with two decimals."""
    mean, low, high = (number(None if found[end] is None else 100 * found[end], ".2f") for end in ENDS)
    return f"{mean} % ({low} to {high})"


def rate(found: Mapping[str, Any]) -> str:
    """The same in whole percent."""
    mean, low, high = (number(None if found[end] is None else 100 * found[end], ".0f") for end in ENDS)
    return f"{mean} % ({low} to {high})"


def signed(found: Mapping[str, Any], whole: float) -> str:
    """The same of a difference, in percent of a whole."""
    mean, low, high = (number(None if found[end] is None else 100 * found[end] / whole, "+.2f") for end in ENDS)
    return f"{mean} % ({low} to {high})"
