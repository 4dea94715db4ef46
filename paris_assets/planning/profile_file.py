"""The resolved profile that a root's first run writes down."""

from __future__ import annotations

from paris_assets.config import Profile
from paris_assets.profiles import parse_profile
from paris_assets.storage.location import Location

PROFILE_FILE = "profile.yaml"


def stored_profile(root: Location) -> Profile | None:
    """The resolved profile written at the root by its first run, or None."""
    if root.size(PROFILE_FILE) is None:
        return None
    return parse_profile(root.read(PROFILE_FILE), root.uri(PROFILE_FILE))
