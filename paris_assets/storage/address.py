"""Addresses of roots: which text means which folder or URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from paris_assets.settings.credentials import AddressError, refuse_credentials
from paris_assets.settings.local_path import local_path

WRITABLE = {"s3", "gs", "gcs", "az", "abfs", "abfss"}
"""Object stores in which polars scans tables and fsspec puts files; S3 is the one that tests run on."""


def parse_address(text: str) -> str:
    """An absolute local path, or a URL without slashes at its end.

    ``~`` is the home folder, ``file://`` a local path. As everywhere in fsspec, nothing in it is percent-encoded.

    Raises:
        AddressError: it holds credentials, names no folder or bucket, is a URL that lacks a slash, or a local path that
            SQLite's addresses cannot hold.
    """
    scheme, separator, rest = refuse_credentials(text).partition("://")
    if not text:
        raise AddressError("an empty address names no folder: write . for the current one")
    if not separator:
        return _local(text)
    if "::" in text and scheme.lower() not in ("file", "local"):
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


def refuse_unscannable(url: str) -> str:
    """A root's local path or URL itself, where polars reads tables and anyone can write.

    Raises:
        AddressError: of a URL of another kind.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in WRITABLE:
        raise AddressError(f"{url} cannot hold a run: a root is a folder, or a URL of {', '.join(sorted(WRITABLE))}")
    return url


def _local(text: str) -> str:
    scheme = re.match(r"[A-Za-z][\w+.-]+:(?=/)", text)
    if scheme:
        url = f"{scheme[0]}{'///' if scheme[0].lower() == 'file:' else '//'}{text[scheme.end() :].lstrip('/')}"
        raise AddressError(f"{text} is neither a path nor a URL: write {url}, or ./{text}")
    path = str(local_path(text))
    if path.startswith("~") and not os.path.lexists(path):
        raise AddressError(f"{text}: there is no such user; write ./{text} for a folder of that name")
    return _absolute(Path(path))


def refuse_for_sqlite(path: str) -> str:
    """A local path itself, when Dagster can put its databases below it.

    Raises:
        AddressError: it would put them elsewhere: it takes a `?` for the end of a path, and `%20` for a space.
    """
    taken = re.search(r"\?|%[0-9A-Fa-f]{2}", path)
    if taken:
        raise AddressError(
            f"{path} cannot hold Dagster's databases, which would be put elsewhere for the {taken[0]!r} in its name: "
            "rename the folder, or give another one"
        )
    return path


def _absolute(path: Path) -> str:
    return refuse_for_sqlite("/" + str(path.absolute()).lstrip("/"))  # pathlib keeps two slashes at the beginning
