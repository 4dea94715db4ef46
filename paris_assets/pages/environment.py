"""Where pages are made from templates: one file each, no requests, and no script but what stands in the page itself."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def pages(folder: Path) -> Environment:
    """An environment for the templates of a folder, which extend ``page.html.jinja``: its style, light and dark.

    Its filter ``number`` formats by a format specification, ``{{ 0.25|number(".0%") }}``, ``figure`` without one.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, figure=figure)
    return environment


def figure(value: float | None) -> str:
    """A value of any size in four digits, or whole and with its thousands apart."""
    return number(value, ",.0f" if value is not None and abs(value) >= 10_000 else ".4g")


def number(value: float | None, form: str) -> str:
    """Formatted, with a true minus sign and a space before the per cent sign; a dash for None."""
    return "–" if value is None else format(value, form).replace("-", "−").replace("%", "\u202f%")
