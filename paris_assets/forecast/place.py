"""What a forecast is of: which profile, source and root, and whether there is such a root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paris_assets.dag.catalog import Catalog


@dataclass(frozen=True)
class Place:
    """What a forecast is of.

    Attributes:
        profile: its name.
        source: path of the rows; None where they are given by their number alone.
        root: as it was asked for.
        lacks: what is not there yet, in words; empty where earlier runs of the root count.
    """

    profile: str
    source: str | None
    root: str
    lacks: str

    def in_words(self, rows: float) -> str:
        """One line, for a reader who may have meant another root: one that is not there yet is no error."""
        source = f"{rows:,.0f} rows{f' of {self.source}' if self.source else ', as given'}"
        return f"profile {self.profile}, {source}, root {self.root}{f' ({self.lacks})' if self.lacks else ''}"

    def as_json(self) -> dict[str, Any]:
        """The same as values."""
        return {"root": self.root, "root_lacks": self.lacks or None, "source": self.source}


def place_of(catalog: Catalog, url: str, named: bool) -> Place:
    """What a forecast is of.

    Args:
        url: of the root, as the command line or the default has it.
        named: whether its rows are those of the profile's source.
    """
    location, profile, lacks = catalog.location, catalog.profile, ""
    if catalog.registry() is None:
        gone = not location.remote and not Path(location.url).exists()
        lacks = "does not exist yet" if gone else "no run has begun there"
        lacks += ": nothing of it is measured"
    return Place(profile.name, profile.source.path if named else None, url, lacks)
