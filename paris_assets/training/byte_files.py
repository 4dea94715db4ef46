"""Parts of files by position: mapped where they are local, ranges of objects where they are not."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from paris_assets.errors import UserError, explained
from paris_assets.storage.location import Location
from paris_assets.storage.lock import exclusive
from paris_assets.storage.tar_members import Bytes
from paris_assets.training.places import MissingFiles

MAPPED, UNPACKED = 256, 4
"""Files that are mapped at a time, and compressed ones that lie in memory unpacked."""
WINDOW_BYTES = 8 << 20
AT_ONCE = 16
"""Ranges of objects that are asked for at a time."""
Range = tuple[int, int, int]
"""Number of the file, first byte, bytes."""
Unpack = Callable[[int, Any], bytes]
"""Makes the bytes that places count in of (number of a file, what is stored)."""


class ForkedReader(UserError, RuntimeError):
    """A forked process cannot ask an object store."""


class ByteFiles:
    """The bytes of some files of a location, which nothing changes meanwhile.

    Args:
        cache: a local folder for whole copies of remote files, shared by processes and kept; None: remote files are
            read range by range.
        unpack: see ``Unpack``; None where files are read as they are.
    """

    def __init__(
        self, location: Location, paths: Sequence[str], cache: str | Path | None = None, unpack: Unpack | None = None
    ) -> None:
        self._location, self._paths, self._unpack = location, list(paths), unpack
        self._cache = Path(cache) if cache and location.remote else None
        self._views: OrderedDict[int, memoryview] = OrderedDict()
        self._ranges: dict[int, Callable[[int, int], bytes]] = {}
        self._locals: dict[int, Path] = {}
        self._process = os.getpid()

    @property
    def whole(self) -> bool:
        """Whether any byte of a file costs all of it."""
        return self._unpack is not None

    @property
    def mapped(self) -> bool:
        """Whether files are read as local ones."""
        return not self._location.remote or self._cache is not None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_views": OrderedDict(), "_ranges": {}, "_process": None}

    def view(self, number: int) -> memoryview:
        """All bytes of a file.

        Raises:
            MissingFiles: it is not there.
        """
        if number in self._views:
            self._views.move_to_end(number)
            return self._views[number]
        self._views[number] = view = self._opened(number)
        while len(self._views) > (UNPACKED if self.whole else MAPPED):
            self._views.popitem(last=False)  # arrays that still look into it keep it open
        return view

    def scan(self, number: int) -> Bytes:
        """All bytes of a file, to be looked through from its beginning to its end.

        Raises:
            MissingFiles: it is not there.
        """
        if self.mapped or self.whole:
            return self.view(number).obj  # type: ignore[return-value]  # a mmap or bytes, whose slices are bytes
        self._refuse_forked()
        stamp = self._location.stamp(self._paths[number])
        return _Scan(stamp[1] if stamp else 0, self._range_of(number))

    def read(self, wanted: Sequence[Range]) -> list[memoryview]:
        """Parts of files, in the order asked for; fewer bytes where a file ends early."""
        if self.mapped or self.whole:
            return [self.view(number)[start : start + size] for number, start, size in wanted]
        self._refuse_forked()
        for number in {number for number, _, _ in wanted}:
            self._range_of(number)
        if len(wanted) == 1:
            return [self._part(wanted[0])]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(self._part, wanted))

    def _part(self, wanted: Range) -> memoryview:
        number, start, size = wanted
        return memoryview(self._ranges[number](start, size))

    def _range_of(self, number: int) -> Callable[[int, int], bytes]:
        if number not in self._ranges:
            self._ranges[number] = self._found(number, self._location.ranges)
        return self._ranges[number]

    def _opened(self, number: int) -> memoryview:
        if self.mapped:
            path = self._local(number)
            stored = self._found(number, lambda _: _map(path))
        else:
            self._refuse_forked()
            stored = memoryview(self._found(number, self._location.read))
        return memoryview(self._unpack(number, stored)) if self._unpack else stored

    def _local(self, number: int) -> Path:
        """A local file: itself, or the copy of a remote one, which is fetched by the first process that needs it."""
        if number in self._locals:
            return self._locals[number]
        path = self._paths[number]
        found = Path(self._location.uri(path))
        if self._cache:
            self._refuse_forked()
            # An object that was replaced is fetched again: its version is part of the copy's place.
            version = f"{self._location.uri(path)} {self._location.stamp(path)}"
            folder = self._cache / sha256(version.encode()).hexdigest()[:16]
            with exclusive(folder / "lock"), explained(folder, "written", but=(FileNotFoundError,)):
                found = self._found(number, lambda wanted: self._location.fetch(wanted, folder))
        self._locals[number] = found
        return found

    def _found(self, number: int, read: Callable[[str], Any]) -> Any:
        path = self._paths[number]
        try:
            return read(path)
        except FileNotFoundError:
            raise MissingFiles(f"{self._location.uri(path)} is not there: fetch it, or run `paris run` again") from None

    def _refuse_forked(self) -> None:
        if self._process is None:
            self._process = os.getpid()
        if self._location.remote and self._process != os.getpid():
            raise ForkedReader(
                f"{self._location.url} is read by a forked process, in which the object store's client hangs: give "
                "DataLoader multiprocessing_context='forkserver', as paris_assets.training.Loader does"
            )


class _Scan:
    """A remote file as ``Bytes``, of which one window is in memory."""

    def __init__(self, size: int, range_of: Callable[[int, int], bytes]) -> None:
        self._size, self._range, self._start, self._window = size, range_of, 0, b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        if not self._start <= start <= stop <= self._start + len(self._window):
            self._start, self._window = start, self._range(start, max(WINDOW_BYTES, stop - start))
        return self._window[start - self._start : max(stop, start) - self._start]


def _map(path: Path) -> memoryview:
    with explained(path, but=(FileNotFoundError,)), open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
