"""Images of a root, by shard and anywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from paris_assets.errors import MissingInput
from paris_assets.images.reader import ImageTars, tar_path
from paris_assets.images.tars import write_tar
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets.storage.shards import Shards


def image_id(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


@pytest.fixture
def images(tmp_path: Path) -> tuple[ImageTars, Shards]:
    ledgers = {}
    (tmp_path / "raw_images").mkdir()
    for shard in ("00000", "00001"):
        bodies = sorted((f"{shard} {number}".encode() for number in range(3)), key=image_id)
        offsets = write_tar(tmp_path / tar_path(shard), [(f"{image_id(body)}.jpg", body) for body in bodies])
        ledgers[shard] = pl.DataFrame(
            {
                "image_id": [*map(image_id, bodies), None],
                "offset": [*offsets, None],
                "stored_bytes": [*map(len, bodies), None],
                "stored_sha256": [*(hashlib.sha256(body).hexdigest() for body in bodies), None],
                "status": ["ok"] * 3 + ["failed"],
            }
        )
    return ImageTars(LocalFiles(Location(tmp_path))), Shards.of(ledgers)


def test_images_of_a_shard_come_in_order(images: tuple[ImageTars, Shards]) -> None:
    tars, ledgers = images
    wanted = pl.Series("image_id", [image_id(b"00001 2"), image_id(b"00001 0")])
    found = dict(tars.of("00001", ledgers["00001"]).read(wanted))
    assert found == {name: found[name] for name in sorted(wanted)}
    assert set(found.values()) == {b"00001 0", b"00001 2"}


def test_an_image_of_another_shard_is_named_as_missing(images: tuple[ImageTars, Shards]) -> None:
    tars, ledgers = images
    wanted = pl.Series("image_id", [image_id(b"00000 1")])
    with pytest.raises(MissingInput, match=r"1 images are not in raw_images/00001\.tar"):
        list(tars.of("00001", ledgers["00001"]).read(wanted))


@pytest.mark.parametrize("unknown", ["0" * 32, "f" * 32, "7" * 32])
def test_an_image_of_no_tar_is_a_sentence_wherever_it_sorts(images: tuple[ImageTars, Shards], unknown: str) -> None:
    tars, ledgers = images
    read = tars.anywhere(ledgers)
    assert read(image_id(b"00000 1")) == b"00000 1"
    assert read(image_id(b"00001 1")) == b"00001 1"
    with pytest.raises(MissingInput, match=f"image {unknown} is in none of the tars"):
        read(unknown)
