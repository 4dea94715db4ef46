"""Image files damaged in every way, each by the seed alone."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from random import Random

from PIL import Image

from paris_assets_tests.fuzz.originals import originals
from paris_assets_tests.fuzz.parts import PNG, joined, parts
from paris_assets_tests.images.files import chunk, encode
from paris_assets_tests.images.test_decode import bombs

# What a number in a header says when it lies.
NUMBERS = (
    0, 1, 2, 3, 4, 7, 8, 15, 16, 100, 127, 128, 255, 256, 1000, 4095, 16_383, 16_384, 32_767, 32_768, 65_535, 65_536,
    1_000_000, 2**24 - 1, 2**28, 2**31 - 1, 2**31, 2**32 - 1,
)  # fmt: skip
MAX_BYTES = 400_000


class Files:
    """Good files, and a generator that chooses among what can be done to them."""

    def __init__(self, generator: Random, good: Mapping[str, bytes]) -> None:
        self.random, self.good = generator, dict(good)

    def another(self, like: str | None = None) -> bytes:
        """A good file; `like` names one whose format it has."""
        names = [name for name in self.good if like is None or name.split()[0] == like.split()[0]]
        return self.good[self.random.choice(names)]


def mutated(seed: int, count: int) -> list[tuple[str, bytes]]:
    """(what was done, file) of damaged files; bombs first, all of them or one for ten files."""
    files = Files(Random(seed), originals())
    made = [*islice(_bombs(files), count // 10)]
    return [*made, *islice(_damaged(files), count - len(made))]


def _bombs(files: Files) -> Iterator[tuple[str, bytes]]:
    """Small files that ask for much."""
    known = [*bombs().items(), *_more_bombs(files)]
    files.random.shuffle(known)
    yield from ((f"bomb: {name}", data) for name, data in known)


def _damaged(files: Files) -> Iterator[tuple[str, bytes]]:
    names, ways = list(files.good), list(MUTATIONS)
    while True:
        name = files.random.choice(names)
        data, done = files.good[name], list[str]()
        for _ in range(files.random.choice((1, 1, 1, 2, 3))):
            way = files.random.choice(ways)
            data, done = MUTATIONS[way](files, name, data)[:MAX_BYTES], [*done, way]
        yield f"{name}: {', '.join(done)}", data


def _flip_bits(files: Files, name: str, data: bytes) -> bytes:
    changed, most = bytearray(data), files.random.choice((1, 3, 30))
    for _ in range(min(files.random.randint(1, most), len(data))):
        changed[files.random.randrange(len(data))] ^= 1 << files.random.randrange(8)
    return bytes(changed)


def _flip_head_bits(files: Files, name: str, data: bytes) -> bytes:
    return _flip_bits(files, name, data[:200]) + data[200:]


def _set_bytes(files: Files, name: str, data: bytes) -> bytes:
    start, value = files.random.randrange(len(data) + 1), bytes([files.random.choice(b"\0\xff\x7f\x80\x01")])
    length = files.random.choice((1, 2, 4, 40, 400))
    return data[:start] + value * length + data[start + length :]


def _set_number(files: Files, name: str, data: bytes) -> bytes:
    start, number = files.random.randrange(min(len(data), 400) + 1), files.random.choice(NUMBERS)
    code = files.random.choice(("<H", ">H", "<I", ">I"))
    raw = struct.pack(code, number & (0xFFFF if code[1] == "H" else 0xFFFFFFFF))
    return data[:start] + raw + data[start + len(raw) :]


def _cut(files: Files, name: str, data: bytes) -> bytes:
    return data[: files.random.randrange(len(data) + 1)]


def _cut_end(files: Files, name: str, data: bytes) -> bytes:
    return data[: -files.random.randint(1, 40)]


def _cut_start(files: Files, name: str, data: bytes) -> bytes:
    return data[files.random.randrange(1, 64) :]


def _drop(files: Files, name: str, data: bytes) -> bytes:
    start = files.random.randrange(len(data) + 1)
    return data[:start] + data[start + files.random.choice((1, 2, 16, 300)) :]


def _insert(files: Files, name: str, data: bytes) -> bytes:
    start, more = files.random.randrange(len(data) + 1), files.random.randbytes(files.random.choice((1, 2, 16, 300)))
    return data[:start] + more + data[start:]


def _repeat(files: Files, name: str, data: bytes) -> bytes:
    start, length = files.random.randrange(len(data) + 1), files.random.choice((2, 16, 300))
    return data[:start] + data[start : start + length] * files.random.choice((2, 3, 60)) + data[start + length :]


def _splice(files: Files, name: str, data: bytes) -> bytes:
    other = files.another(name if files.random.random() < 0.7 else None)
    return data[: files.random.randrange(len(data) + 1)] + other[files.random.randrange(len(other)) :]


def _concatenate(files: Files, name: str, data: bytes) -> bytes:
    return data + files.another()


def _other_magic(files: Files, name: str, data: bytes) -> bytes:
    length = files.random.choice((2, 4, 8, 12, 26))
    return files.another()[:length] + data[length:]


def _zeros(files: Files, name: str, data: bytes) -> bytes:
    keep = files.random.choice((0, 0, 4, 12, 30))
    return data[:keep] + bytes(files.random.choice((0, 1, 100)) if keep == 0 else max(0, len(data) - keep))


def _in_part(change: Callable[[Files, str, bytes], bytes]) -> Callable[[Files, str, bytes], bytes]:
    """A change within one part of the file, whose checksums and lengths are right again in two of three cases."""

    def within(files: Files, name: str, data: bytes) -> bytes:
        pieces = parts(data)
        place = files.random.randrange(len(pieces))
        if pieces[place]:
            pieces[place] = change(files, name, pieces[place])
        return joined(pieces, files.random.random() < 0.67)

    return within


def _part_dropped(files: Files, name: str, data: bytes) -> bytes:
    pieces = parts(data)
    del pieces[files.random.randrange(len(pieces))]
    return joined(pieces, True)


def _part_repeated(files: Files, name: str, data: bytes) -> bytes:
    pieces = parts(data)
    place = files.random.randrange(len(pieces))
    return joined([*pieces[:place], *[pieces[place]] * files.random.choice((2, 3, 300)), *pieces[place + 1 :]], True)


def _parts_swapped(files: Files, name: str, data: bytes) -> bytes:
    pieces = parts(data)
    first, second = files.random.randrange(len(pieces)), files.random.randrange(len(pieces))
    pieces[first], pieces[second] = pieces[second], pieces[first]
    return joined(pieces, True)


def _part_of_another(files: Files, name: str, data: bytes) -> bytes:
    pieces, other = parts(data), parts(files.another(name))
    place = files.random.randrange(len(pieces))
    pieces[place : place + files.random.randrange(2)] = [files.random.choice(other)]
    return joined(pieces, True)


def _length_lies(files: Files, name: str, data: bytes) -> bytes:
    """The length of a part says more, or less."""
    pieces = parts(data)
    place = files.random.randrange(len(pieces))
    at = 4 if data[:4] == b"RIFF" else 2 if data[:2] == b"\xff\xd8" else 0
    width = 2 if data[:2] == b"\xff\xd8" else 4
    order = "little" if data[:4] == b"RIFF" else "big"
    number = files.random.choice(NUMBERS) & (256**width - 1)
    pieces[place] = pieces[place][:at] + number.to_bytes(width, order) + pieces[place][at + width :]
    return b"".join(pieces)


def _pixels_repacked(files: Files, name: str, data: bytes) -> bytes:
    """The packed rows of a PNG changed, and packed again; other files have their last half flipped."""
    packed = b"".join(piece[8:-4] for piece in parts(data) if piece[4:8] == b"IDAT") if data.startswith(PNG) else b""
    try:
        rows = zlib.decompressobj().decompress(packed, MAX_BYTES)
    except zlib.error:
        rows = b""
    if not rows:
        return data[: len(data) // 2] + _flip_bits(files, name, data[len(data) // 2 :] or b"\0")
    change = files.random.choice((_flip_bits, _cut, _repeat, _set_bytes, _drop))
    pixels = chunk(b"IDAT", zlib.compress(change(files, name, rows)))
    kept = [piece for piece in parts(data) if piece[4:8] != b"IDAT"]
    return joined([*kept[:-1], pixels, kept[-1]], True)


def _size_lies(files: Files, name: str, data: bytes) -> bytes:
    """Width and height in the header say something else."""
    for pattern, code in _SIZES:
        found = re.search(pattern, data, re.DOTALL)
        if found:
            limit = 256 ** (struct.calcsize(code) // 2) - 1
            sides = [files.random.choice(NUMBERS) & limit for _ in range(2)]
            if files.random.random() < 0.4:
                sides = [min(side, 300) for side in sides]
            changed = data[: found.end()] + struct.pack(code, *sides) + data[found.end() + struct.calcsize(code) :]
            return joined(parts(changed), True) if data.startswith(PNG) else changed
    return _set_number(files, name, data)


_SIZES = (
    (rb"^\xff\xd8.*?\xff[\xc0-\xc2]..\x08", ">HH"),
    (rb"^\x89PNG.{12}", ">II"),
    (rb"^GIF8..", "<HH"),
    (rb"^GIF8.*?\x2c....", "<HH"),
    (rb"^RIFF....WEBPVP8 .{4}...\x9d\x01\x2a", "<HH"),
    (rb"^BM.{16}", "<II"),
    (rb"ispe\0\0\0\0", ">II"),
)

_HEADS: dict[str, Callable[[Files, str, bytes], bytes]] = {
    "numbers set": _set_number, "bits flipped": _flip_bits, "head flipped": _flip_head_bits, "bytes set": _set_bytes,
}  # fmt: skip
MUTATIONS: dict[str, Callable[[Files, str, bytes], bytes]] = {
    **_HEADS,
    **{f"{name} in a part": _in_part(change) for name, change in _HEADS.items()},
    "dropped in a part": _in_part(_drop),
    "inserted in a part": _in_part(_insert),
    "cut": _cut, "end cut": _cut_end, "start cut": _cut_start, "dropped": _drop, "inserted": _insert,
    "repeated": _repeat,
    "spliced": _splice, "concatenated": _concatenate, "other magic": _other_magic, "zeros": _zeros,
    "part dropped": _part_dropped, "part repeated": _part_repeated, "parts swapped": _parts_swapped,
    "part of another": _part_of_another, "length lies": _length_lies, "pixels repacked": _pixels_repacked,
    "size lies": _size_lies,
}  # fmt: skip


def _more_bombs(files: Files) -> Iterator[tuple[str, bytes]]:
    good, zeros = files.good, zlib.compress(bytes(50_000_000), 9)
    head, image = good["png rgb"][:33], good["png rgb"][33:]
    texts = [chunk(b"zTXt", b"text %d\0\0" % number + zeros[:4000]) for number in range(60)]
    yield "png texts of nearly the most, many", head + b"".join(texts) + image
    for key, letter in ((b"Dream", b"a"), (b"prompt", b" "), (b"parameters", b"Steps: 1")):
        yield f"png text {key.decode()}", head + chunk(b"zTXt", key + b"\0\0" + zlib.compress(letter * 400_000)) + image
    yield "png pixels without end", head + chunk(b"IDAT", zeros) + image[-12:]
    yield "png of many chunks", head + chunk(b"tEXt", b"a\0b") * 20_000 + image
    yield "png profile", head + chunk(b"iCCP", b"x\0\0" + zeros) + image
    yield "png profiles", head + chunk(b"iCCP", b"x\0\0" + zeros[:3800]) * 90 + image
    yield "png of one row", encode(Image.new("RGB", (3_900_000, 1), (10, 20, 30)), "PNG")
    yield "png of one column", encode(Image.new("RGB", (1, 3_900_000), (10, 20, 30)), "PNG")
    yield "tiff of the most pixels", encode(Image.new("I", (2000, 1990), 7), "TIFF", compression="tiff_adobe_deflate")
    jpeg, scan = good["jpeg baseline"], good["jpeg progressive"]
    yield "jpeg of many segments", jpeg[:2] + b"\xff\xe1\0\x0aExif\0\0ab" * 30_000 + jpeg[2:]
    yield "jpeg profile in 255 parts", jpeg[:2] + _profile_parts(1200) + jpeg[2:]
    last = scan.rindex(b"\xff\xda")
    yield "jpeg of many scans", scan[:-2] + scan[last:-2] * 500 + scan[-2:]
    yield "jpeg of markers", b"\xff\xd8\xff" + b"\xff\xe0\0\2" * 90_000
    yield "gif of many frames", good["gif"][:-1] + b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0" * 20_000 + b";"
    yield "gif comments", good["gif"][:13] + b"\x21\xfe\xff" + b"x" * 255 + b"\0" + good["gif"][13:]


def _profile_parts(size: int) -> bytes:
    segments = (b"ICC_PROFILE\0" + bytes([number, 255]) + bytes(size) for number in range(1, 256))
    return b"".join(b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part for part in segments)
