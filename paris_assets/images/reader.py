"""The images of a root, read from the tars that the ledgers describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from paris_assets.errors import MissingInput
from paris_assets.images.tars import read_images, whole_image
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.shards import Shards


def tar_path(shard: str) -> str:
    """Path of a shard's tar of image bytes, relative to the root."""
    return f"raw_images/{shard}.tar"


@dataclass(frozen=True)
class ShardImages:
    """The images of one shard.

    Attributes:
        shard: key of the shard.
        ledger: its ``raw_images``.
    """

    shard: str
    ledger: pl.LazyFrame
    files: LocalFiles

    def read(self, image_ids: pl.Series | pl.DataFrame) -> Iterator[tuple[str, bytes]]:
        """(image_id, file) of some images, as fetched or as `ingest.encode` made them, sorted by image_id.

        Raises:
            MissingInput: an image is not in the tar.
        """
        ids = image_ids if isinstance(image_ids, pl.DataFrame) else pl.DataFrame({"image_id": image_ids})
        places = _places(self.ledger).unique("image_id").collect()
        wanted = ids.select("image_id").join(places, on="image_id", how="inner").sort("image_id")
        if wanted.height != ids.height:
            lost = ids.height - wanted.height
            raise MissingInput(f"shard {self.shard}: {lost} images are not in {tar_path(self.shard)}")
        yield from read_images(self.files.local(tar_path(self.shard)), wanted)

    def one(self, image_id: str) -> bytes:
        """The file of one image; for a few of them.

        Raises:
            MissingInput: it is not in the tar.
        """
        ((_, data),) = self.read(pl.Series("image_id", [image_id]))
        return data


@dataclass(frozen=True)
class ImageTars:
    """All images of a root."""

    files: LocalFiles

    def of(self, shard: str, raw_images: pl.LazyFrame) -> ShardImages:
        """The images of a shard whose ledger is ``raw_images``."""
        return ShardImages(shard, raw_images, self.files)

    def anywhere(self, raw_images: Shards) -> Callable[[str], bytes]:
        """A function from image_id to its file, for a few images of any shard.

        Raises:
            MissingInput: (the function) the image is in no tar.
        """
        # Shard by shard, and no more than where each image is: one plan over 10,000 ledgers takes minutes to make.
        held = [
            raw_images[shard].filter(_STORED).select("image_id", shard=pl.lit(at, pl.UInt32)).collect()
            for at, shard in enumerate(raw_images.keys)
        ]
        known = pl.concat(held).unique("image_id", keep="first", maintain_order=True).sort("image_id")

        def read(image_id: str) -> bytes:
            row = int(known["image_id"].search_sorted(image_id))
            if row == known.height or known["image_id"][row] != image_id:
                raise MissingInput(f"image {image_id} is in none of the tars of raw_images")
            shard = raw_images.keys[int(known["shard"][row])]
            place = _places(raw_images[shard]).filter(image_id=image_id).collect()
            _, offset, size, sha256 = place.row(0)
            with self.files.location.open(tar_path(shard)) as tar:
                tar.seek(offset)
                return whole_image(image_id, tar.read(size), sha256, tar_path(shard))

        return read


_STORED = pl.col("status") == "ok"


def _places(ledger: pl.LazyFrame) -> pl.LazyFrame:
    return ledger.filter(_STORED).select("image_id", "offset", "stored_bytes", "stored_sha256")
