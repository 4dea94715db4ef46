"""Headers of arrays are read as numpy reads them; what is none is refused in one way, whatever numpy makes of it."""

import io

import numpy as np
import pytest

from paris_assets.formats.npy import npy_header, read_npy_header


def header(said: str, version: bytes = b"\1\0") -> bytes:
    size = len(said).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + size + said.encode("latin1")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_headers_of_every_version(version: tuple[int, int]) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asfortranarray(np.ones((2, 3), ">f4")), version)
    found = read_npy_header(file.getvalue())
    assert found == ((2, 3), True, np.dtype(">f4"), len(file.getvalue()) - 24)


def test_our_own_headers() -> None:
    assert read_npy_header(npy_header(np.dtype("<f2"), (4, 0))) == ((4, 0), False, np.dtype("<f2"), 128)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\3\4",
        header("{")[:-1],
        header("{'descr': '<f2', 'fortran_order': False, 'shape': (3,"),  # no token follows
        header("{'descr': '<f2', 'fortran_order': False, 'shape': (3,)} x"),
        header("{'descr': 'nothing', 'fortran_order': False, 'shape': (3,)}"),
        header("(" * 5000),
        header("[" * 300, b"\3\0"),
        header("x" * 70_000, b"\2\0"),
        b"\x93NUMPY\x09\0" + header("{}")[8:],
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_npy_header(data)
