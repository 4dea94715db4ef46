"""The members of a stranger's tar, or of several in one file, as tarfile reads their headers, within bounds."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO

from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.lists.encodings import other_content

MAX_HEADER_BYTES = 1 << 20  # of what describes one member
CHUNK_BYTES = 1 << 20
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
# ValueError and IndexError: numbers in headers of sparse files that are none.
BROKEN = (tarfile.TarError, OverflowError, RecursionError, ValueError, IndexError)


class _Info(tarfile.TarInfo):
    """A header; tarfile reads those that describe the next member whole, whatever size they claim."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        # From the end of the last member: headers may describe headers. A negative size would read the whole file.
        until = self.offset + self.size - tar.offset  # type: ignore[attr-defined]  # typeshed lacks it
        if self.type in EXTENDED and (self.size < 0 or until > MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {self.size} bytes at byte {self.offset}")
        return super()._proc_member(tar)  # type: ignore[misc]  # typeshed lacks it


def members(
    handle: IO[bytes], where: str, offset: int = 0, left_out: LeftOut | None = None
) -> Iterator[tarfile.TarInfo]:
    """Headers of all kinds from a byte position on, past the end marks of tars that were put together.

    Args:
        left_out: counts what follows the last end mark and is no tar.

    Raises:
        SourceError: no tar, or a broken one.
    """
    position: int | None = offset
    while position is not None:
        try:
            handle.seek(position)
            yield from _of_one(handle)
            position = _next_tar(handle, where, LeftOut() if left_out is None else left_out)
        except SourceError:
            raise
        except BROKEN as error:
            handle.seek(0)
            content = other_content(handle.read(tarfile.BLOCKSIZE))
            found = f"it is {content} by its content" if content else f"{error}"
            raise SourceError(f"{where} cannot be read as a tar at byte {offset}: {found}") from error


def _of_one(handle: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Headers up to an end mark; the handle then stands where they end."""
    # A name that is no UTF-8 is written as what it is: tables hold no half surrogates.
    with tarfile.open(fileobj=handle, mode="r:", tarinfo=_Info, encoding="utf-8", errors="backslashreplace") as tar:
        while (info := tar.next()) is not None:
            if info.size < 0:  # tarfile would go back and read the same headers for ever
                raise tarfile.ReadError(f"{info.name!r} has {info.size} bytes")
            tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; a large tar keeps every header else
            tar.pax_headers = {}  # those of the whole tar, which a part that is read alone does not see either
            yield info
        handle.seek(tar.offset)


def _next_tar(handle: IO[bytes], where: str, left_out: LeftOut) -> int | None:
    """Where the next tar in a file begins, after an end mark at the handle's position.

    tarfile ends quietly at a header that it cannot read, and at the end of a file that was cut off there.
    """
    position = handle.tell()
    if handle.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise SourceError(f"{where} is broken or cut off at byte {position}: get it anew, or take it away")
    position += tarfile.BLOCKSIZE
    while chunk := handle.read(CHUNK_BYTES):
        zeros = len(chunk) - len(chunk.lstrip(tarfile.NUL))
        if zeros == len(chunk):
            position += zeros
            continue
        position += zeros // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        handle.seek(position)
        try:
            tarfile.TarInfo.frombuf(handle.read(tarfile.BLOCKSIZE), "utf-8", "backslashreplace")
        except tarfile.HeaderError:
            left_out.add("tars with bytes after their end that are no tar", where)
            return None
        return position
    return None
