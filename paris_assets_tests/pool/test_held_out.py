"""No copy of a held-out pair is trained on, and no subset has a say in what is held out."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.pool.contrastive import Pairs
from paris_assets.pool.held_out import Copies, copies_of, split

ROWS = 400


def images(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, 32)).astype(np.float16)


def pairs(image: np.ndarray) -> Pairs:
    return Pairs.of(image[:, :8], image)


def alone(rows: int = ROWS) -> Copies:
    return Copies(np.arange(rows), np.arange(rows))


def test_captions_are_equal_but_for_case_and_blanks_and_images_bit_by_bit() -> None:
    image = images(6)
    image[3] = image[1]
    image[5, 5:6].view(np.uint16)[:] ^= 1
    captions = pl.Series(["A  dog ", "a cat", "a DOG", "a dog", None, " "])
    copies = copies_of(captions, image)
    assert [(one == other).sum() for one, other in zip(copies, [copies[0][0], copies[1][1]], strict=True)] == [3, 2]
    assert len(set(copies.caption)) == 3
    assert copies.caption[4] == copies.caption[5]
    assert len(set(copies.image)) == 5


def test_an_image_that_differs_by_one_bit_is_another() -> None:
    image = images(40)
    image[20:] = image[:20]
    image[20:, 5].view(np.uint16)[:] ^= 1
    assert len(set(copies_of(pl.Series([f"c{row}" for row in range(40)]), image).image)) == 40


def test_nothing_that_is_held_out_is_trained_on() -> None:
    image = images()
    image[200:300] = image[:100]
    copies = copies_of(pl.Series([f"caption {row % 350}" for row in range(ROWS)]), image)
    found = split(copies, pairs(image), 50, 3)
    assert len(found.test) == 50
    for numbers in copies:
        assert len(set(numbers[found.test])) == 50
        assert not set(numbers[found.test]) & set(numbers[found.train])
    kept_out = np.isin(copies.caption, copies.caption[found.test]) | np.isin(copies.image, copies.image[found.test])
    np.testing.assert_array_equal(kept_out, ~found.train)


def test_wrong_captions_that_join_all_images_leave_enough_to_measure() -> None:
    """Each image with four captions, each caption with several images: in one chain with all others."""
    random = np.random.default_rng(5)
    image = images(100)[random.permutation(np.repeat(np.arange(100), 4))]
    copies = copies_of(pl.Series([f"caption {number}" for number in random.integers(0, 160, 400)]), image)
    found = split(copies, pairs(image), 1000, 1)
    assert len(found.test) == 20
    assert found.train.sum() > 200


def test_at_most_a_fifth_and_none_that_is_frequent() -> None:
    captions = pl.Series(["junk"] * 100 + [f"caption {row}" for row in range(ROWS - 100)])
    copies = copies_of(captions, images())
    for seed in range(20):
        found = split(copies, pairs(images()), 10_000, seed)
        assert len(found.test) == 301 // 5
        assert found.train[:100].all()


def test_runs_hold_out_other_rows_and_the_same_again() -> None:
    one, again, other = (split(alone(), pairs(images()), 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.test, again.test)
    assert len(set(one.test) & set(other.test)) < 25


def test_what_looks_nearly_like_a_row_to_train_on_is_not_measured() -> None:
    image = images()
    image[200:] = image[:200] + 0.01 * np.random.default_rng(2).standard_normal((200, 32)).astype(np.float16)
    found = split(alone(), pairs(image), 80, 1)
    twins = (found.test + 200) % ROWS
    assert len(found.test) < 40  # four of five twins are there to train on
    assert not found.train[twins].any()
