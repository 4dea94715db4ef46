"""Which addresses are paths of this machine."""

from __future__ import annotations

import os
import re

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[a-z][a-z0-9]*::(?=[a-z0-9]+://)")
_USER_HOME = re.compile(r"~[^/]+")


def local_path(address: str) -> str | None:
    """A path, or what a `file://` URL names, with `~` for the home folder; None for another URL.

    Nothing in it is percent-encoded, and `::` chains addresses only where one of them has a scheme.
    """
    path = re.sub(r"^(file|local)://(localhost(?=/))?", "", address, flags=re.IGNORECASE)
    if path == address and _URL.match(address):
        return None
    # A file may be called ~tom; what is called ~ itself is reached as ./~
    return path if _USER_HOME.match(path) and os.path.lexists(path) else os.path.expanduser(path)
