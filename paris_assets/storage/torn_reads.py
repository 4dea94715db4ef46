"""Reads by polars that got other bytes than were stored: it takes what comes, and panics where it is too short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polars.exceptions import PanicException, PolarsError

from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError

SPOILED = "File out of specification"
"""What polars says of bytes that are no Parquet; those of a remote root were sealed when they were written."""


class TornRead(StorageError):
    """A table was not read as it was stored; asked again, the store may give it whole."""


@contextmanager
def torn_reads_told(location: Location) -> Iterator[None]:
    """Say what a panic of polars, which no ``except Exception`` stops, means where tables come over a network.

    Raises:
        TornRead: in place of what polars raises of the bytes of a remote root.
    """
    try:
        yield
    except (PanicException, PolarsError) as error:
        if not location.remote or not (isinstance(error, PanicException) or SPOILED in str(error)):
            raise
        said = str(error).partition("\n")[0][:200]
        raise TornRead(
            f"a table below {location.url} came other than it was stored ({said}); look at the network and what stands "
            "in it, then run again: what is finished stays"
        ) from None
