"""Addresses of roots: which text means which folder or URL."""

from __future__ import annotations

import re
from pathlib import Path

from paris_assets.settings.credentials import AddressError, refuse_credentials


def parse_address(text: str) -> str:
    """An absolute local path, or a URL without slashes at its end.

    ``~`` is the home folder, ``file://`` a local path. As everywhere in fsspec, nothing in it is percent-encoded.

    Raises:
        AddressError: it holds credentials, names no folder or bucket, or is a URL that lacks a slash.
    """
    scheme, separator, rest = refuse_credentials(text).partition("://")
    if not text:
        raise AddressError("an empty address names no folder: write . for the current one")
    if not separator:
        return _local(text)
    if "::" in text:
        return text.rstrip("/")  # several addresses in one, which fsspec takes apart
    if scheme.lower() not in ("file", "local"):
        place = "/".join(part for part in rest.split("/") if part)
        if not place:
            raise AddressError(f"{text} names no bucket or folder: give one, as in {scheme}://bucket/folder")
        return f"{scheme.lower()}://{place}"
    path = rest.removeprefix("localhost")
    if not path.startswith("/"):
        raise AddressError(f"{text} is no absolute path: write file:///folder, or the path without file://")
    return _absolute(Path(path))


def _local(text: str) -> str:
    scheme = re.match(r"[A-Za-z][\w+.-]+:(?=/)", text)
    if scheme:
        url = f"{scheme[0]}{'///' if scheme[0].lower() == 'file:' else '//'}{text[scheme.end() :].lstrip('/')}"
        raise AddressError(f"{text} is neither a path nor a URL: write {url}, or ./{text}")
    try:
        return _absolute(Path(text).expanduser())
    except RuntimeError as error:
        raise AddressError(f"{text}: {error}; write ./{text} for a folder of that name") from None


def _absolute(path: Path) -> str:
    return "/" + str(path.absolute()).lstrip("/")  # pathlib keeps two slashes at the beginning
