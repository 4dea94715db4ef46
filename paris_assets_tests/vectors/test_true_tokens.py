"""Rows of true tokens come back as they were, and are padded with exact zeros."""

import numpy as np
import polars as pl
import pytest

from paris_assets.vectors.true_tokens import masked_mean, packed, padded, unpacked

GENERATOR = np.random.default_rng(0)
ROWS = [GENERATOR.standard_normal((count, 3)).astype(np.float16) for count in (1, 5, 77, 2)]


def test_bytes_give_back_the_rows() -> None:
    column = packed(ROWS)
    assert column.dtype == pl.Binary
    assert column[1] == ROWS[1].astype("<f2").tobytes()
    found = unpacked(column, pl.Series([1, 5, 77, 2]))
    assert all(np.array_equal(one, other) for one, other in zip(found, ROWS, strict=True))
    assert {row.dtype for row in found} == {np.dtype(np.float16)}


@pytest.mark.parametrize(("data", "count"), [(b"\0" * 10, 4), (b"", 1), (None, 1), (b"\0" * 6, 0)])
def test_bytes_that_are_not_so_many_tokens_are_refused(data: bytes | None, count: int) -> None:
    with pytest.raises(ValueError, match=r"row 1 holds \d+ bytes, which are not"):
        unpacked(pl.Series([b"\0" * 6, data], dtype=pl.Binary), [1, count])


def test_padding_is_exact_zeros_and_the_mask_counts_the_tokens() -> None:
    values, mask = padded(ROWS, 80)
    assert (values.shape, values.dtype, mask.dtype) == ((4, 80, 3), np.float16, bool)
    assert mask.sum(1).tolist() == [1, 5, 77, 2]
    assert not values[~mask].view(np.uint16).any(), "not even minus zero"
    assert all(np.array_equal(values[at, : len(row)], row) for at, row in enumerate(ROWS))
    assert padded(ROWS)[0].shape == (4, 77, 3)


def test_rows_that_cannot_be_one_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="a row has 77 tokens, more than the 64"):
        padded(ROWS, 64)
    with pytest.raises(ValueError, match=r"widths \(3,\), \(4,\)"):
        padded([*ROWS, np.zeros((1, 4), np.float16)])
    with pytest.raises(ValueError, match="no row to pad"):
        padded([])


def test_a_mean_depends_on_its_own_row_alone() -> None:
    alone, among = masked_mean(ROWS[2:3]), masked_mean(ROWS)
    assert np.array_equal(alone[0], among[2])
    np.testing.assert_allclose(among[1], ROWS[1].astype(np.float64).mean(0), atol=1e-7)
