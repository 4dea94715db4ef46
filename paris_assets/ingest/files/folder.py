"""A folder of images, with what describes them: tables of metadata, and captions and JSON beside each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

import polars as pl
from fsspec import AbstractFileSystem

from paris_assets.config import Source
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files import captions_beside, folder_metadata
from paris_assets.ingest.files.image_names import Names
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.listing import Listing
from paris_assets.ingest.files.names import is_named_for_image
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import members_identity
from paris_assets.ingest.lists.columns import texts_in, with_texts
from paris_assets.ingest.lists.records import from_records, unused_texts

PROBE_ROWS = 100
BARE = "images without captions or metadata beside them"  # rows all the same


class Described:
    """The images of a folder, and which files describe them."""

    def __init__(self, listing: Listing) -> None:
        self.images = listing.files
        self._infos = {**listing.files, **listing.beside, **listing.tables}
        self._beside = captions_beside.by_image(listing.files, listing.beside)
        self._tables = listing.tables
        self._described = dict[str, set[str]]()  # by each of the tables that are some

    def check(self, place: Place, source: Source, left_out: LeftOut) -> None:
        """Whether what describes the images can be read and fits them; counts what does not, and
        under `BARE` the images that nothing describes, where others are described.

        Raises:
            SourceError: a table that cannot be read or describes none of the images, or no column that the profile
                names.
        """
        described = set(self._beside)
        if self._tables:
            names = Names(place.base, self.images)
            self._described = folder_metadata.check(place, self._tables, names, source, left_out)
            described = described.union(*self._described.values())
        bare = [image for image in self.images if image not in described] if described else []
        if bare:
            left_out.add(BARE, *bare)

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
        tables = [table for table, images in self._described.items() if not images.isdisjoint(members)]
        captions = {file for member in members for file in self._beside.get(member, ())} if self._beside else set()
        files = [*tables, *sorted(captions)]
        return {"identity": members_identity(self._infos, [*members, *files]), "described_by": files or None}


def read(place: Place, entry: Mapping[str, Any], source: Source, unread: LeftOut) -> pl.DataFrame:
    """The images of one part, normalised; `locator` is the path below the folder.

    A value is that of a table of metadata, else of the JSON beside the image; the texts are those of both, then of
    caption files.

    Args:
        entry: the shard's row of the registry: `members`, `described_by`, `source_row`.
        source: overrides of columns, and the encoding.
        unread: counts captions and JSON files that cannot be read.
    """
    members: list[str] = entry["members"]
    beside, tables = _described_by(entry)
    names = Names(place.base, members, others=lambda path: place.fs.exists(f"{place.base}/{path}"))
    entries = folder_metadata.records(place, tables, names, source) if tables else {}
    rows = from_records([entries.get(image, {}) for image in members], source.columns, entry["source_row"])
    if beside:
        found = [captions_beside.described(place, beside.get(image, ()), source.encoding, unread) for image in members]
        own = from_records([columns for columns, _ in found], source.columns, entry["source_row"])
        texts = (texts_in(rows), texts_in(own), [texts for _, texts in found])
        rows = with_texts(pl.DataFrame([rows[name].fill_null(own[name]) for name in rows.columns]), *texts)
    return rows.with_columns(locator=pl.Series(members, dtype=pl.String))


def left_out(place: Place, entry: Mapping[str, Any], source: Source) -> list[str]:
    """Columns of the first entries of what describes a part that nothing is made of, and whose values look like
    captions."""
    beside, tables = _described_by(entry)
    records: list[Mapping[str, Any]] = []
    for table in tables:
        first = islice(folder_metadata.entries_of(place, table, source.encoding), PROBE_ROWS)
        records += [columns for images in first for _, columns in images[:1]]
    for files in islice(beside.values(), PROBE_ROWS):
        records.append(captions_beside.described(place, files, source.encoding, LeftOut())[0])
    return unused_texts(records, source.columns)


def _described_by(entry: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """(image -> the captions and JSON beside it, tables) of what describes a part."""
    files = entry["described_by"] or ()
    beside = captions_beside.by_image(entry["members"], filter(is_named_for_image, files))
    captions = {file for those in beside.values() for file in those}
    return beside, [file for file in files if file not in captions]


def read_images(fs: AbstractFileSystem, base: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    for source_row, member in enumerate(entry["members"], entry["source_row"]):
        with fs.open(f"{base}/{member}", "rb") as file:
            body = cast(bytes, file.read(max_bytes + 1))
        too_large = len(body) > max_bytes
        yield Fetched.local(source_row, None, "too_large") if too_large else Fetched.local(source_row, body)
