"""The source as it was registered: the rows of a shard, and the images that they name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from paris_assets.config import Ingest, Source
from paris_assets.errors import MissingInput
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files.folder import BARE
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import TAR, kind_of
from paris_assets.ingest.lists import source_lists
from paris_assets.ingest.sources import images_of, read_rows, texts_left_out
from paris_assets.ingest.uids import require_uids
from paris_assets.ingest.vectors.beside import Blocks, stored_vectors
from paris_assets.settings.pool_rows import PoolVectors
from paris_assets.storage.location import Location


@dataclass(frozen=True)
class RegisteredSource:
    """A source whose rows have been given to shards.

    Attributes:
        settings: where the source lies and how to read it.
        entry_of: shard -> its row of the registry, or None.
        root: where lists lie that were converted when they were registered.
    """

    settings: Source
    entry_of: Callable[[str], Mapping[str, Any] | None]
    root: Location

    def rows(self, shard: str, unread: LeftOut | None = None) -> pl.DataFrame:
        """The rows of a shard, normalised: columns of ``source_rows``.

        Args:
            unread: counts what describes a row and cannot be read.

        Raises:
            MissingInput: the shard is not registered.
        """
        return read_rows(self.settings, self._entry(shard), self.root, unread)

    def pool_rows(self, shard: str, unread: LeftOut | None = None) -> pl.DataFrame:
        """``rows`` of a shard of a pool: each has a uid that a list of uids can hold, or none.

        Raises:
            SourceError: another uid; names file and row.
        """
        entry = self._entry(shard)
        return require_uids(self.rows(shard, unread), entry)

    def vectors(self, shard: str, settings: PoolVectors) -> dict[str, Blocks]:
        """Vectors of captions and images of a shard's rows, as the source holds them; see ``stored_vectors``."""
        return stored_vectors(self.settings, self._entry(shard), settings, self.root)

    def file(self, shard: str) -> str:
        """The file that the shard's rows lie in, below the source's folder; the source itself for a folder."""
        return self._entry(shard)["file"] or self.settings.path

    def kind(self, shard: str) -> str:
        """What the shard's rows lie in: `folder`, `tar` or `table`."""
        entry = self._entry(shard)
        if entry["members"] is not None:
            return "folder"
        return TAR if kind_of(entry["file"]) == TAR else "table"

    def left_out(self, shard: str) -> LeftOut:
        """What lies among the rows of a shard and is none; for the first one, also what lies beside the files."""
        entry = self._entry(shard)
        found = LeftOut.of(json.loads(found) for found in (entry.get("beside"), entry.get("left_out")) if found)
        found.take_kind(BARE)
        return found

    def reading(self, shard: str) -> dict[str, Any]:
        """How the shard's list was read where that is not plain from its name, and columns that look like captions and
        are not used; what there is to say."""
        entry = self._entry(shard)
        said = {
            "read_as": source_lists.said(self.root, entry["list"]) if entry["list"] is not None else "",
            "unused_text_columns": texts_left_out(self.settings, entry, self.root),
        }
        return {name: value for name, value in said.items() if value}

    def images(self, shard: str, rows: pl.DataFrame, settings: Ingest, server: str | None) -> Iterator[Fetched]:
        """The images of a shard, read from the source where it holds them, else fetched from their urls.

        Args:
            rows: what ``rows`` gave for the shard.
            settings: how to fetch.
            server: ``127.0.0.1:port`` of the loopback web server, if there is one.
        """
        return images_of(self.settings, self._entry(shard), rows, settings, server)

    def _entry(self, shard: str) -> Mapping[str, Any]:
        entry = self.entry_of(shard)
        if entry is None:
            raise MissingInput(
                f"no shard {shard} is registered under {self.root.url}: `paris run` registers the source"
            )
        return entry
