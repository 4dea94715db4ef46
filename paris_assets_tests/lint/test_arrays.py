"""Arrays are read as numpy reads them, and their values judged, whatever their type and order."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.lint.arrays import BadArray, fault_of, read_npy
from paris_assets.lint.contents import Seen, faults
from paris_assets_tests.lint.made import npy

DTYPES = ("<f2", ">f2", "<f4", "<f8", ">i4", "|u1", "<i8", "|b1")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_arrays_are_those_of_numpy(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for array in (values, np.asfortranarray(values)):
        data = npy(array)
        assert np.array_equal(read_npy(data), np.load(io.BytesIO(data)))
        assert fault_of(read_npy(data)) is None


@given(st.sampled_from(["<f2", ">f2", "<f4", "<f8"]), st.integers(0, 11), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_value_that_is_not_finite_is_found(dtype: str, place: int, value: float) -> None:
    array = np.ones((3, 4), dtype)
    array.flat[place] = value
    for order in (array, np.asfortranarray(array)):
        assert fault_of(read_npy(npy(order))) == ("not_finite", "1 of 12 values are not finite")


def test_large_values_are_no_fault() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        assert fault_of(np.full((100, 100), np.finfo(dtype).max, dtype)) is None
    assert fault_of(np.zeros(3)) == ("all_zero", "all 3 values are zero")
    assert fault_of(np.zeros(1)) is None, "a label may be 0"
    assert fault_of(np.array([0, 0, 1])) is None


def test_what_is_no_array() -> None:
    whole = npy(np.ones(3))
    for data in (
        b"",
        b"PK\x03\x04",
        whole[:9],
        whole[:40],
        whole[:-1],
        whole + b"\0",
        b"\x93NUMPY\x09\x00" + whole[8:],
    ):
        with pytest.raises(BadArray):
            read_npy(data)
    for shape in ("(2**70,)", "(-2, -3)", "(8589934592, 8589934592)", "(-1,)"):
        said = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}}}".replace("2**70", str(2**70)).encode()
        for values in (b"", bytes(12)):
            with pytest.raises(BadArray):
                read_npy(b"\x93NUMPY\1\0" + len(said).to_bytes(2, "little") + said + values)
    with pytest.raises(BadArray, match="Python objects") as error:
        read_npy(npy(np.array([{}])))
    assert error.value.kind == "object_array"


def test_archives_that_are_encrypted_or_packed_in_an_unknown_way() -> None:
    file = io.BytesIO()
    np.savez(file, latent=np.ones(3))
    whole = file.getvalue()
    central = whole.index(b"PK\1\2")
    assert list(faults("a.npz", whole, Seen())) == []
    for first, second, value in ((6, central + 8, 1), (8, central + 10, 99)):  # flags, and the method
        broken = bytearray(whole)
        broken[first] = broken[second] = value
        ((kind, said),) = faults("a.npz", bytes(broken), Seen())
        assert (kind, said.partition(" (")[0]) == ("unreadable_member", "a.npz is no .npz archive")
