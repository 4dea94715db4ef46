"""What the segments of a JPEG file say, without decoding it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import islice

import simplejpeg

END = b"\xff\xd9"
SCAN = b"\xff\xda"
# Of a picture of 20 MB whose metadata fills its segments, 300; readers take a time that is the square of their number.
MAX_SEGMENTS = 1000

_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # those with a length; EOI
_APP2, _PROFILE = b"\xff\xe2", b"ICC_PROFILE\0"
_PROFILE_HEAD = len(_PROFILE) + 2  # the part's number and how many there are
_APP1, _METADATA = b"\xff\xe1", (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/")
_SEQUENTIAL_FRAMES = (b"\xff\xc0", b"\xff\xc1")
_HUFFMAN_FRAMES = (*_SEQUENTIAL_FRAMES, b"\xff\xc2")
_QUANTISED_FRAMES = (*_HUFFMAN_FRAMES, b"\xff\xc9", b"\xff\xca")
_DQT = b"\xff\xdb"
_COEFFICIENTS = 64


Segment = tuple[bytes, bytes]  # marker and content, without the length


def head(data: bytes) -> list[Segment]:
    """What stands before the pixels of a JPEG file, up to the head of the first scan; of endless segments the first
    `MAX_SEGMENTS` + 1."""
    found: list[Segment] = []
    for segment in islice(_segments(data), MAX_SEGMENTS + 1):
        found.append(segment)
        if segment[0] == SCAN:
            break
    return found


def is_one_scan(head: list[Segment]) -> bool:
    """Whether the decoder reads one scan, and leaves what follows it aside: all components, each block at once."""
    frame, (marker, scan) = _frame(head, _SEQUENTIAL_FRAMES), head[-1] if head else (b"", b"")
    return marker == SCAN and frame[5:6] == scan[:1] != b""


def has_orientation(head: list[Segment]) -> bool:
    """Whether there is metadata (EXIF or XMP) that may say how the picture is turned."""
    return any(marker == _APP1 and content.startswith(_METADATA) for marker, content in head)


def colour_profile(head: list[Segment]) -> bytes | None:
    """The ICC profile of a JPEG, which may fill several segments (ICC.1:2010, B.4); None where parts are missing."""
    parts = [content for marker, content in head if marker == _APP2 and content.startswith(_PROFILE)]
    numbered = {part[len(_PROFILE)]: part for part in parts if len(part) >= _PROFILE_HEAD}
    count = parts[0][len(_PROFILE) + 1 : _PROFILE_HEAD] if parts else b""
    if not count or sorted(numbered) != list(range(1, count[0] + 1)):
        return None
    return b"".join(numbered[number][_PROFILE_HEAD:] for number in sorted(numbered))


def components(head: Sequence[Segment]) -> list[tuple[int, int, int]]:
    """Of each component of the frame: horizontal and vertical sampling factor, and the number of its quantisation table
    (ITU-T T.81, B.2.2); empty where there is no frame that is quantised."""
    frame = _frame(head, _QUANTISED_FRAMES)
    return [(frame[i] >> 4, frame[i] & 15, frame[i + 1]) for i in range(7, len(frame) - 1, 3)]


def quantisation_tables(head: Sequence[Segment]) -> dict[int, tuple[int, ...]]:
    """Number of a table -> its 64 steps in zigzag order (ITU-T T.81, B.2.4.1); one that is cut short is left out."""
    tables: dict[int, tuple[int, ...]] = {}
    for content in (content for marker, content in head if marker == _DQT):
        while content:
            size = 2 if content[0] >> 4 else 1
            steps, number = content[1 : 1 + 64 * size], content[0] & 15
            if len(steps) == 64 * size:
                tables[number] = struct.unpack(">64B" if size == 1 else ">64H", steps)
            content = content[1 + 64 * size :]
    return tables


def scan_count(data: bytes) -> int:
    """Scans of the first image in a JPEG file; neither its thumbnails nor what follows it count."""
    return sum(marker == SCAN for marker, _ in _segments(data))


def with_end_mark(data: bytes) -> bytes | None:
    """The file with its end mark (EOI), where that is all that it lacks: every coefficient of every component is there.

    Returns:
        None for a file that has the mark, that lacks more than it, or of which that cannot be told (arithmetic coding).
    """
    segments = list(islice(_segments(data), MAX_SEGMENTS + 1))
    if not data.startswith(b"\xff\xd8") or (END, b"") in segments or not _all_bits_sent(segments):
        return None
    whole = data + END
    try:
        # The decoder warns of a scan that ends early; its smallest size reads all of them at the least cost.
        _, _, colorspace, _ = simplejpeg.decode_jpeg_header(whole)
        simplejpeg.decode_jpeg(whole, "CMYK" if colorspace in ("CMYK", "YCCK") else "GRAY", min_height=1, min_width=1)
    except ValueError:
        return None
    return whole


def _segments(data: bytes) -> Iterator[Segment]:
    """(marker, content) of the first image in a file, in order; the last is the end mark where it has one."""
    position = 2
    while marker := _MARKER.search(data, position):
        if marker[0] == END:
            yield END, b""
            return
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        yield marker[0], data[marker.end() + 2 : position]


def _frame(segments: Sequence[Segment], kinds: tuple[bytes, ...]) -> bytes:
    """The content of the frame's head (SOF) where it is of these kinds, else empty."""
    return next((content for marker, content in segments if marker in kinds), b"")


def _all_bits_sent(segments: list[Segment]) -> bool:
    """Whether the scans that were begun send every coefficient to its last bit (ITU-T T.81, B.2.3 and G.1)."""
    frame = _frame(segments, _HUFFMAN_FRAMES)
    missing = {(component, place) for component in frame[6::3] for place in range(_COEFFICIENTS)}
    for content in (content for marker, content in segments if marker == SCAN and len(content) >= 6):
        first, last, bits = content[-3:]
        if bits & 15 == 0:
            sent = {(component, place) for component in content[1:-3:2] for place in range(first, last + 1)}
            missing -= sent
    return bool(frame) and not missing
