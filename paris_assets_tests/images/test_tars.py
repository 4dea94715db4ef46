from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.images.tars import read_images, write_tar
from paris_assets.storage.checksum import DamagedFile


@settings(deadline=None)
@given(contents=st.lists(st.binary(max_size=2000), max_size=8))
def test_offsets_point_at_the_contents_and_the_bytes_are_stable(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("tar")
    members = [(f"{number:04d}.jpg", content) for number, content in enumerate(contents)]
    offsets = write_tar(folder / "a.tar", iter(members))
    written = (folder / "a.tar").read_bytes()
    assert [
        written[offset : offset + len(content)] for offset, content in zip(offsets, contents, strict=True)
    ] == contents
    assert write_tar(folder / "b.tar", members) == offsets
    assert (folder / "b.tar").read_bytes() == written
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        assert [member.offset_data for member in tar] == offsets


def _id(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _wanted(rows: list[tuple[bytes, int]]) -> pl.DataFrame:
    """What was stored, and where it is said to lie."""
    described = [(_id(content), offset, len(content), hashlib.sha256(content).hexdigest()) for content, offset in rows]
    return pl.DataFrame(described, schema=["image_id", "offset", "stored_bytes", "stored_sha256"], orient="row")


def test_images_are_read_in_the_order_of_the_tar_and_once(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    a, b, c = write_tar(path, [("a.jpg", b"one"), ("b.jpg", b"three"), ("c.jpg", b"seven")])
    one, three, seven = (_id(content) for content in (b"one", b"three", b"seven"))
    wanted = _wanted([(b"seven", c), (b"one", a), (b"seven", c)])
    assert list(read_images(path, wanted)) == [(one, b"one"), (seven, b"seven")]
    assert list(read_images(path, _wanted([(b"three", b)]))) == [(three, b"three")]
    with pytest.raises(DamagedFile, match=rf"t\.tar is damaged \(image {three}\)"):
        list(read_images(path, _wanted([(b"three", c)])))


def test_a_tar_that_ends_too_early_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    [offset] = write_tar(path, [("a.jpg", b"x" * 1000)])
    path.write_bytes(path.read_bytes()[: offset + 10])
    with pytest.raises(DamagedFile, match=r"t\.tar is damaged"):
        list(read_images(path, _wanted([(b"x" * 1000, offset)])))


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="longer than 100"):
        write_tar(tmp_path / "t.tar", [("n" * 101, b"")])
