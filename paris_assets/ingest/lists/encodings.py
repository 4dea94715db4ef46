"""What a text list is encoded in, and its bytes as UTF-8.

Nothing is guessed: a byte-order mark, the zeros of UTF-16 and UTF-32, and UTF-8 itself are certain. Any other encoding
has to be named (`source.encoding`): many decode the same bytes without an error, each to another text.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import IO, Any

from paris_assets.ingest.lists.columns import SourceError

AUTO = "auto"
UTF8 = "utf-8"
HEAD_BYTES = 1 << 20
CHUNK_BYTES = 1 << 18
MARKS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x84\x31\x95\x33": "gb18030",
}
COMMON = ("cp1251", "koi8_r", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1250")
FEW_BYTES = 8  # tell nothing of an encoding
# What files begin with that are no text, whatever they are called.
CONTENTS = {
    b"\x1f\x8b": "gzip (.gz)", b"BZh9": "bzip2 (.bz2)", b"\xfd7zXZ\0": "xz (.xz)", b"\x28\xb5\x2f\xfd": "zstd (.zst)",
    b"PK\x03\x04": "a zip archive, as Excel's .xlsx is", b"PAR1": "Parquet (.parquet)", b"%PDF-": "PDF",
    b"SQLite format 3\0": "SQLite", b"ARROW1": "Arrow", b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
}  # fmt: skip
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_UNREADABLE = "paris_assets.unreadable"  # bytes that an encoding does not know stay such that UTF-8 does not know them
codecs.register_error(_UNREADABLE, lambda error: ("\udcff", getattr(error, "end")))  # noqa: B009  # of every codec


def encoding_of(handle: IO[bytes], where: str, named: str = AUTO) -> str:
    """Codec of a list, by its first MiB: a byte-order mark goes before what the profile names, that before all else.

    Args:
        handle: the list, decompressed; `where` is its name in errors.
        named: `source.encoding` of the profile.

    Raises:
        SourceError: it is no text, or neither UTF-8 nor UTF-16 or UTF-32, and nothing is named.
    """
    handle.seek(0)
    head = handle.read(HEAD_BYTES)
    if content := other_content(head):
        raise SourceError(f"{where} is no text but {content} by its content: name it so, or convert it")
    marked = next((codec for mark, codec in MARKS.items() if head.startswith(mark)), None)
    if marked is not None or named != AUTO:
        return marked or codecs.lookup(named).name
    return _with_zeros(head) or _utf8(head, where)


def other_content(start: bytes) -> str:
    """In words, what a file that begins so is, if it is no text; empty where nothing tells."""
    return next((content for mark, content in CONTENTS.items() if start.startswith(mark)), "")


def decoded(content: bytes, named: str = AUTO) -> str:
    """A short text, such as a caption in a file of its own, in its encoding.

    Args:
        named: `source.encoding` of the profile; a byte-order mark and the zeros of UTF-16 go before it.

    Raises:
        UnicodeDecodeError: it is not in the encoding that is named, or is no UTF-8 and none is.
    """
    mark, codec = next(((mark, codec) for mark, codec in MARKS.items() if content.startswith(mark)), (b"", ""))
    if codec != UTF8 and mark:
        return content.decode(codec).removeprefix("\ufeff")
    codec = codec or _with_zeros(content) or (UTF8 if named == AUTO else named)
    return content[len(mark) :].decode(codec)


def as_utf8(handle: IO[bytes], codec: str) -> Any:
    """The list as UTF-8, to be read from its start on; bytes that its encoding does not know are no UTF-8 here."""
    if codec == UTF8:
        return handle
    return io.BufferedReader(_Recoded(handle, codec), CHUNK_BYTES)


def not_utf8(where: str, place: str, line: bytes) -> SourceError:
    """What to do about a list in an encoding that nobody named.

    Args:
        place: which line it is; `line` are its bytes.
    """
    readings = []
    for codec in COMMON:
        try:
            readings.append(f"{codec} {line.decode(codec).strip()[-60:]!r}")
        except UnicodeDecodeError:
            continue
    fits = f"; it would read as {', '.join(readings)}" if readings else ""
    return SourceError(
        f"{where} is no UTF-8 ({place} is not{fits}): name its encoding, such as `--set source.encoding=cp1251`; with "
        "source.encoding=utf-8 the rows that are no UTF-8 fail as unreadable_row"
    )


def _with_zeros(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, which have zeros, as other texts do not."""
    sample = head[: len(head) // 4 * 4][:4096]
    if 0 not in sample or len(sample) < FEW_BYTES:
        return ""
    zeros = [sample[place::4].count(0) * 4 for place in range(4)]
    most = 0.9 * len(sample)
    if min(zeros[2:]) > most or min(zeros[:2]) > most:
        return "utf-32-le" if zeros[3] > zeros[0] or zeros[2] > most > zeros[0] else "utf-32-be"
    # The upper half of letters is small in every script but those of East Asia: 0 of ASCII, 4 of Cyrillic.
    upper = [sum(byte < 0x20 for byte in sample[half::2]) for half in (0, 1)]
    lower = [len(CONTROL.findall(sample[half::2])) for half in (1, 0)]
    least = (0.25 if len(sample) >= 64 else 0.6) * len(sample) / 2
    fits = [high > least and low < 0.6 * high for high, low in zip(upper, lower, strict=True)]
    return "utf-16-be" if fits[0] else "utf-16-le" if fits[1] else ""


def _utf8(head: bytes, where: str) -> str:
    """UTF-8, if no more than a few signs say otherwise: fewer than those that say so, or one in a hundred lines."""
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head[:-4]
    try:
        head.decode()
    except UnicodeDecodeError as error:
        good = len(SEQUENCE.findall(head))
        bad = head.decode(errors="replace").count("\ufffd") - head.count("\ufffd".encode())
        if bad > max(good, head.count(b"\n") // 100):
            number = head.count(b"\n", 0, error.start) + 1
            raise not_utf8(where, f"line {number}", head.split(b"\n", number)[number - 1][-1000:]) from None
    return UTF8


class _Recoded(io.RawIOBase):
    """Another encoding's bytes as UTF-8; goes to its start only."""

    def __init__(self, handle: IO[bytes], codec: str) -> None:
        super().__init__()
        self._handle, self._codec = handle, codec
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if offset or whence:
            raise io.UnsupportedOperation(f"seek({offset}, {whence}) of a list that is decoded on its way")
        self._handle.seek(0)
        self._decoder = codecs.getincrementaldecoder(self._codec)(_UNREADABLE)
        self._ready, self._ended, self._position = memoryview(b""), False, 0
        return 0

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready and not self._ended:
            chunk = self._handle.read(CHUNK_BYTES)
            self._ended = not chunk
            text = self._decoder.decode(chunk, final=self._ended)
            self._ready = memoryview(text.encode(UTF8, "surrogateescape"))
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        self._position += size
        return size
