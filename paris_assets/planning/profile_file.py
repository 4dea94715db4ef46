"""The resolved profile that a root's first run writes down."""

from __future__ import annotations

from functools import lru_cache

from paris_assets.config import Profile
from paris_assets.profiles import parse_profile
from paris_assets.storage.location import Location

PROFILE_FILE = "profile.yaml"


def stored_profile(root: Location) -> Profile | None:
    """The resolved profile written at the root by its first run, or None."""
    if root.size(PROFILE_FILE) is None:
        return None
    return _parsed(root.read(PROFILE_FILE), root.uri(PROFILE_FILE))


@lru_cache(maxsize=4)
def _parsed(text: bytes, where: str) -> Profile:
    """A command asks for it several times."""
    return parse_profile(text, where)
