"""What a file says beside its pixels costs no more than it may."""

from __future__ import annotations

import zlib

from paris_assets.images.blocks import MAX_BLOCKS, MAX_TEXT_BYTES, blocks, png_texts
from paris_assets_tests.images.files import chunk, png


def test_packed_texts_unpack_to_so_much_together() -> None:
    packed = zlib.compress(bytes(MAX_TEXT_BYTES // 3))
    chunks = [chunk(b"zTXt", b"text %d\0\0" % number + packed) for number in range(6)]
    texts = png_texts(blocks(png(1, 8, 0, [b"\0"], *chunks, chunk(b"tEXt", b"plain\0words"))))
    assert sum(map(len, texts.values())) == MAX_TEXT_BYTES + len("words")
    assert texts["text 2"] == "\0" * (MAX_TEXT_BYTES // 3)
    assert "text 4" not in texts
    assert texts["plain"] == "words"


def test_of_endless_blocks_some_are_looked_at() -> None:
    assert len(blocks(png(1, 8, 0, [b"\0"], *[chunk(b"tEXt", b"")] * (MAX_BLOCKS + 9)))) == MAX_BLOCKS
    assert len(blocks(b"RIFF\0\0\0\0WEBP" + b"ICCP\0\0\0\0" * (MAX_BLOCKS + 9))) == MAX_BLOCKS
