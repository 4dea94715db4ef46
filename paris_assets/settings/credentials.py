"""Credentials belong into the environment: what a profile or a source names is written to the root and shown to people.

Addresses of sources and roots that carry a password, a token or a signature are refused before anything is written, and
an error shows them without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from paris_assets.errors import UserError
from paris_assets.settings.section import ProfileError

_USER = re.compile(r"(?<=://)[^/?#\\\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_SECRET_NAME = re.compile(r"(token|secret|passw|credential|signature|api.?key|access.?key|^sig$|^key$|^auth)", re.I)
_HINT = (
    "give credentials by the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ...) or fetch the file first: "
    "what stands here is written to the root and shown to everyone who reads it"
)


class AddressError(UserError, ValueError):
    """An address that may not be written down, or that leads nowhere; the message says why and what to give."""


def without_credentials(address: str) -> str:
    """An address as it may be shown: without user, password, query and fragment; a local path stays as it is."""
    return _QUERY.sub("", _USER.sub("", address)) if "://" in address else address


def refuse_credentials(address: str) -> str:
    """The address itself, when it may be written down.

    Raises:
        AddressError: it holds a user with a password, or a user of a web server or bucket, or a query or fragment that
            names a token, a signature or a key.
    """
    for part in address.split("::"):
        scheme, separator, rest = part.partition("://")
        user, at, _ = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")
        named = re.findall(r"[?&#;]([^=&#;]*)=", rest)
        if separator and (
            (at and (":" in user or scheme in ("http", "https", "s3", "gs")))
            or any(_SECRET_NAME.search(name) for name in named)
        ):
            raise AddressError(f"{without_credentials(address)} was given with credentials: {_HINT}")
    return address


def refuse_secret_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options themselves, when none is a key, token or password with a value of its own.

    Raises:
        ProfileError: names the option, not its value.
    """
    named = [name for name, value in options.items() if isinstance(value, str) and _SECRET_NAME.search(name)]
    named = [name for name in named if not name.lower().endswith(("_env", "_file"))]
    if named:
        raise ProfileError(f"{', '.join(named)}: {_HINT}")
    return dict(options)
