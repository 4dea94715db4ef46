"""A folder of images, with what describes them: tables of metadata, and captions and JSON beside each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import polars as pl
from fsspec import AbstractFileSystem

from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files import captions_beside, folder_metadata
from paris_assets.ingest.files.folder_metadata import Names
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.listing import Listing
from paris_assets.ingest.files.names import is_metadata
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import members_identity
from paris_assets.ingest.lists.columns import from_records


class Described:
    """The images of a folder, and which files describe them."""

    def __init__(self, listing: Listing) -> None:
        self.images = listing.files
        self._infos = {**listing.files, **listing.beside}
        self._beside = captions_beside.by_image(listing.files, listing.beside)
        self._tables = [file for file in listing.beside if is_metadata(file)]

    def check(self, place: Place, overrides: Mapping[str, str], left_out: LeftOut) -> None:
        """Whether what describes the images can be read and fits them; counts what does not.

        Raises:
            SourceError: an entry of a table that cannot be read, a table that describes none of the images, or one
                without the columns that the profile names.
        """
        described = set(self._beside)
        if self._tables:
            names = Names(place.base, self.images)
            described |= folder_metadata.check(place.fs, place.base, self._tables, names, overrides, left_out)
        bare = [image for image in self.images if image not in described] if described else []
        if bare:
            left_out.add("images that nothing describes, beside others that have captions or metadata", *bare)

    def parts(self, known: pl.DataFrame, size: int) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
        """The known shards of the folder as its files are now, and new ones of the images that are new.

        Args:
            known: rows of the registry, whose images are all there.
            size: images per shard.
        """
        registered = known["members"].explode().drop_nulls()
        seen = [self._of(members) for members in known["members"]]
        now = {
            "identity": pl.Series([each["identity"] for each in seen], dtype=pl.String),
            "described_by": pl.Series([each["described_by"] for each in seen], dtype=pl.List(pl.String)),
        }
        new = sorted(set(self.images).difference(registered))
        found = []
        for first in range(0, len(new), size):
            members = new[first : first + size]
            place = {"file": "", "first_row": len(registered) + first, "rows": len(members), "offset": 0}
            found.append({**place, "members": members, **self._of(members)})
        return known.with_columns(**now), found

    def _of(self, shard: Iterable[str]) -> dict[str, Any]:
        """The files that describe a shard, and a hash that changes when one of its files does."""
        members = list(shard)
        tables = [table for table in self._tables if _any_below(members, table.rpartition("/")[0])]
        captions = {file for member in members for file in self._beside.get(member, ())} if self._beside else set()
        files = [*tables, *sorted(captions)]
        return {"identity": members_identity(self._infos, [*members, *files]), "described_by": files or None}


def read(
    fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], overrides: Mapping[str, str], unread: LeftOut
) -> pl.DataFrame:
    """The images of one part, normalised; `locator` is the path below the folder.

    A value is that of a table of metadata, else of the JSON beside the image; a text is else that of a caption file.

    Args:
        entry: the shard's row of the registry: `members`, `described_by`, `source_row`.
        unread: counts captions and JSON files that cannot be read.
    """
    members, files = list(entry["members"]), list(entry["described_by"] or ())
    tables = [file for file in files if is_metadata(file)]
    names = Names(base, members, others=lambda path: fs.exists(f"{base}/{path}"))
    entries = folder_metadata.records(fs, base, tables, names) if tables else {}
    rows = from_records([entries.get(member, {}) for member in members], overrides, entry["source_row"])
    beside = captions_beside.by_image(members, (file for file in files if file not in tables))
    if beside:
        found = [captions_beside.described(fs, base, beside.get(member, ()), unread) for member in members]
        own = from_records([columns for columns, _ in found], overrides, entry["source_row"])
        texts = pl.Series("text", [text for _, text in found], dtype=pl.String)
        text = pl.coalesce(_filled(rows["text"]), _filled(own["text"]), texts)
        rows = pl.DataFrame([rows[name].fill_null(own[name]) for name in rows.columns]).with_columns(text=text)
    return rows.with_columns(locator=pl.Series(members, dtype=pl.String))


def read_images(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    for source_row, member in enumerate(entry["members"], entry["source_row"]):
        with fs.open(f"{base}/{member}", "rb") as file:
            body = cast(bytes, file.read(max_bytes + 1))
        too_large = len(body) > max_bytes
        yield Fetched.local(source_row, None, "too_large") if too_large else Fetched.local(source_row, body)


def _any_below(members: Iterable[str], folder: str) -> bool:
    return not folder or any(member.startswith(f"{folder}/") for member in members)


def _filled(texts: pl.Series) -> pl.Expr:
    """The texts, and null for what is empty."""
    return pl.lit(texts.set(texts == "", None))
