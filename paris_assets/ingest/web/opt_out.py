"""What owners do not want to be fetched, by lists: hosts, urls, and images by the sha256 of their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from paris_assets.errors import FileError, UserError, explained
from paris_assets.ingest.web.addresses import host_of
from paris_assets.ingest.web.urls import BadUrl, Url, parse_url
from paris_assets.settings.ingest import OptOutList
from paris_assets.settings.local_path import local_path

OPTED_OUT = "opted_out"
"""Reason of rows that a list names."""

_SHA256 = re.compile("[0-9a-f]{64}")


class OptOutError(UserError, ValueError):
    """A list of what is not to be fetched cannot be used; the message names the file and the line."""


@dataclass(frozen=True)
class OptOuts:
    """What is not fetched.

    Attributes:
        hosts: as ``host_of`` gives them; each with all hosts below it.
        urls: origin and target, without the scheme: http and https are one place.
        sha256: of bytes as fetched, hex.
    """

    hosts: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    sha256: frozenset[str] = frozenset()

    def refuses(self, url: Url) -> bool:
        """Whether a url, or its host, is listed."""
        if self.hosts and any(name in self.hosts for name in _with_parents(url.host)):
            return True
        return bool(self.urls) and _place(url) in self.urls

    def rows(self, rows: pl.DataFrame) -> list[int]:
        """Those of some `source_rows` that a list names by url, or by the sha256 that their source gives."""
        found = list[int]()
        if not (self.hosts or self.urls or self.sha256):
            return found
        for source_row, url, sha256 in rows.select("source_row", "url", _sha256_of(rows)).iter_rows():
            if (sha256 or "").strip().lower() in self.sha256 or (url and self._refuses_text(url)):
                found.append(source_row)
        return found

    def _refuses_text(self, text: str) -> bool:
        try:
            return self.refuses(parse_url(text))
        except BadUrl:  # which is not asked for anyway
            return False


NOTHING = OptOuts()


def opt_outs(lists: Iterable[OptOutList]) -> OptOuts:
    """What some lists name together.

    Raises:
        OptOutError: a line is neither host, url nor sha256; names it.
        FileError: a file cannot be read.
    """
    read = [_read(each.path) for each in lists]
    if len(read) == 1:
        return read[0]
    return OptOuts(
        frozenset().union(*(each.hosts for each in read)),
        frozenset().union(*(each.urls for each in read)),
        frozenset().union(*(each.sha256 for each in read)),
    )


def opt_out_problems(lists: Iterable[OptOutList]) -> list[str]:
    """Why lists cannot be used, each with its file and line; empty where all can."""
    problems = []
    for each in lists:
        try:
            _read(each.path)
        except (OptOutError, FileError) as error:
            problems.append(str(error))
    return problems


def _read(path: str) -> OptOuts:
    file = local_path(path)
    if file is None:
        raise OptOutError(f"{path} is no file of this machine: a list of hosts, urls and sha256 is a text on its disk")
    with explained(path):
        status = Path(file).stat()
        return _read_version(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_version(path: str, _size: int, _changed: int) -> OptOuts:
    hosts, urls, hashes = set[str](), set[str](), set[str]()
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            text = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
            try:
                if "://" in text:
                    urls.add(_place(parse_url(text)))
                elif _SHA256.fullmatch(text.lower()):
                    hashes.add(text.lower())
                elif text:
                    hosts.add(host_of(text.removeprefix("*.").removeprefix(".")))
            except ValueError as error:
                said = f"{path}, line {number}: {text[:200]!r} is no host (photos.example), no url and no sha256"
                raise OptOutError(said) from error
    return OptOuts(frozenset(hosts), frozenset(urls), frozenset(hashes))


def _place(url: Url) -> str:
    return url.origin.partition("://")[2] + url.target


def _with_parents(host: str) -> Iterable[str]:
    yield host
    while (host := host.partition(".")[2]) != "":
        yield host


def _sha256_of(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("source_sha256") if "source_sha256" in rows.columns else pl.lit(None, pl.String)
