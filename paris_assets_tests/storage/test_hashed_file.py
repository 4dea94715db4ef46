"""Files that are hashed while they are written hold what was written, and the hashes are theirs."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xxhash

from paris_assets.storage.hashed_file import BLOCK_BYTES, HashedFile, hashes_of, new_digest


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [BLOCK_BYTES], [BLOCK_BYTES - 1, 2] * 8, [5 * BLOCK_BYTES + 1]])
def test_several_files_at_once_by_few_threads(tmp_path: Path, sizes: list[int]) -> None:
    generator = np.random.default_rng(0)
    parts = [generator.integers(0, 256, size, np.uint8) for size in sizes]
    wanted = b"".join(part.tobytes() for part in parts)
    with ThreadPoolExecutor(2) as threads:
        files = [HashedFile(tmp_path / str(number), ["sha256", "xxh64"], threads) for number in range(3)]
        for part in parts:
            for file in files:
                file.write([part])
        found = [file.close() for file in files]
    hashes = {"sha256": hashlib.sha256(wanted).hexdigest(), "xxh64": xxhash.xxh64(wanted).hexdigest()}
    assert found == [hashes] * 3
    assert hashes_of(wanted, ["sha256", "xxh64"]) == hashes
    assert [(tmp_path / str(number)).read_bytes() == wanted for number in range(3)] == [True] * 3
    assert [file.size_bytes for file in files] == [len(wanted)] * 3


def test_a_hash_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="'crc' is no hash"):
        new_digest("crc")
