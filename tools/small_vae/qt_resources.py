"""Read the files inside a Qt resource bundle (`.rcc`), the form in which gcompris ships its pictures.

Source of the layout: Qt's `tools/rcc/rcc.cpp` (format versions 1 to 3; all integers are big-endian).
"""

import struct
import zlib
from collections.abc import Iterator

_HEADER = struct.Struct(">4s4I")
_NAME_AND_FLAGS = struct.Struct(">IH")
_TWO_INTEGERS = struct.Struct(">II")
_INTEGER = struct.Struct(">I")
_COMPRESSED, _DIRECTORY, _COMPRESSED_ZSTD = 1, 2, 4


def iterate_files(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) for every file in the bundle, depth first, in the bundle's own order.

    Raises ValueError when `bundle` is no Qt resource bundle or holds a file compressed with zstd.
    """
    if bundle[:4] != b"qres":
        raise ValueError("not a Qt resource bundle: it does not start with b'qres'")
    _, version, tree, data, names = _HEADER.unpack_from(bundle)
    node_size = 14 if version < 2 else 22

    def name_at(offset: int) -> str:
        (length,) = struct.unpack_from(">H", bundle, names + offset)
        start = names + offset + 6
        return bundle[start : start + 2 * length].decode("utf-16-be")

    def content_at(offset: int, flags: int, path: str) -> bytes:
        (length,) = _INTEGER.unpack_from(bundle, data + offset)
        raw = bundle[data + offset + 4 : data + offset + 4 + length]
        if flags & _COMPRESSED_ZSTD:
            raise ValueError(f"{path} is compressed with zstd, which is not supported")
        return zlib.decompress(raw[4:]) if flags & _COMPRESSED else raw

    def walk(node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        start = tree + node * node_size
        name_offset, flags = _NAME_AND_FLAGS.unpack_from(bundle, start)
        path = folder
        if node:
            path = f"{folder}/{name_at(name_offset)}" if folder else name_at(name_offset)
        if flags & _DIRECTORY:
            count, first_child = _TWO_INTEGERS.unpack_from(bundle, start + 6)
            for child in range(first_child, first_child + count):
                yield from walk(child, path)
        else:
            (offset,) = _INTEGER.unpack_from(bundle, start + 10)
            yield path, content_at(offset, flags, path)

    return walk(0, "")
