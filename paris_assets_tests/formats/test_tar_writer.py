"""Tars are those of webdataset, byte by byte, and their hash is that of the file."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from webdataset.writer import TarWriter

from paris_assets.formats.tar_writer import SampleTar


def members(number: int) -> dict[str, Any]:
    generator = np.random.default_rng(number)
    return {
        "metadata.json": {"é": number, "a": None},
        "caption.txt": "日本語" * number,
        "latent.npy": generator.integers(0, 255, (4, 3, number + 1), np.uint8),
        "clip_emb.npy": generator.standard_normal((number, 5)).astype(np.float16),
    }


@pytest.mark.parametrize("count", [0, 1, 7, 60])
def test_tars_are_those_of_webdataset(tmp_path: Path, count: int) -> None:
    theirs = TarWriter(str(tmp_path / "theirs.tar"), user="", group="", mode=0o644, mtime=0)
    with ThreadPoolExecutor(2) as threads:
        ours = SampleTar(tmp_path / "ours.tar", threads)
        for number in range(count):
            theirs.write({"__key__": f"{number:032x}", **members(number)})
            ours.write(f"{number:032x}", members(number))
        size, sha256 = ours.close()
    theirs.close()
    data = (tmp_path / "ours.tar").read_bytes()
    assert data == (tmp_path / "theirs.tar").read_bytes()
    assert (size, sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_name_that_does_not_fit_a_header_is_refused(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        tar = SampleTar(tmp_path / "a.tar", threads)
        with pytest.raises(ValueError, match="does not fit the header"):
            tar.write("k" * 100, {"caption.txt": "x"})
        tar.abort()
