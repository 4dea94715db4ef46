"""An image's file, as signals see it: its bytes, and what can be read from them without decoding pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from paris_assets.images import blocks
from paris_assets.images.decode import Header, read_header


@dataclass(frozen=True)
class ImageFile:
    """The bytes of an image as fetched. What is derived is read when it is first asked for, and kept.

    Attributes:
        data: the file.
    """

    data: bytes

    @cached_property
    def header(self) -> Header:
        """Size after EXIF orientation, format and orientation.

        Raises:
            NotAnImage: it is none, or its header is damaged.
        """
        return read_header(self.data)

    @cached_property
    def blocks(self) -> list[blocks.Block]:
        """Its parts beside the pixels, where it is a JPEG, PNG or WebP."""
        return blocks.blocks(self.data)
