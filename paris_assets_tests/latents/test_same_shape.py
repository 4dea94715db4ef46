"""Crops of many shapes come together in batches of one, and little of them waits."""

import weakref
from collections import deque
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.latents.crops import Crops
from paris_assets.latents.places import Placed, square_place
from paris_assets.latents.same_shape import Batch, Row, same_shape

SHAPES = [(8, 8), (8, 16), (16, 8)]
PIXELS = st.lists(st.dictionaries(st.sampled_from([8, 16]), st.sampled_from(SHAPES)), max_size=40)


def images(shapes: list[dict[int, tuple[int, int]]]) -> Iterator[tuple[str, Crops]]:
    for number, sizes in enumerate(shapes):
        places = {size: square_place(64, 64, size) for size in sizes}
        pixels = {size: np.full((*shape, 3), number, np.uint8) for size, shape in sizes.items()}
        yield f"{number:032x}", Crops(Placed(places), pixels)


def run(shapes: list[dict[int, tuple[int, int]]], size: int, held: int) -> tuple[list[Batch], deque[Row]]:
    rows = deque[Row]()
    return list(same_shape(images(shapes), rows, lambda resolution: size, 64, held)), rows


@settings(max_examples=100, deadline=None)
@given(shapes=PIXELS, size=st.integers(1, 5), held=st.sampled_from([0, 2000, 1 << 20]))
def test_every_crop_is_in_one_batch_with_its_like(shapes: list, size: int, held: int) -> None:
    batches, rows = run(shapes, size, held)
    found = [(row.image_id, batch.resolution) for batch in batches for row in batch.rows]
    assert sorted(found) == [(f"{number:032x}", key) for number, sizes in enumerate(shapes) for key in sorted(sizes)]
    assert [row.image_id for row in rows] == [f"{number:032x}" for number in range(len(shapes))]
    for batch in batches:
        assert 1 <= len(batch.rows) <= size
        assert len({crop.shape for crop in batch.pixels}) == 1
        assert [f"{crop[0, 0, 0]:032x}" for crop in batch.pixels] == [row.image_id for row in batch.rows]


def test_batches_are_full_while_there_is_room_to_wait() -> None:
    shapes = [{8: SHAPES[number % 3]} for number in range(24)]
    assert [len(batch.rows) for batch in run(shapes, 4, 1 << 20)[0]] == [4] * 6
    assert {len(batch.rows) for batch in run(shapes, 4, 0)[0]} == {1}


def test_a_rare_shape_holds_back_no_more_than_is_allowed() -> None:
    held = 20 * 64
    shapes = [{8: (16, 8)}, *[{8: (8, 8)}] * 200]
    waiting = most = 0
    rows = deque[Row]()
    for batch in same_shape(images(shapes), rows, lambda resolution: 4, 64, held):
        for row in batch.rows:
            row.latents[8] = np.zeros(0)
        while rows and rows[0].done:
            rows.popleft()
        most = max(most, len(rows))
        waiting += len(batch.rows)
    assert waiting == 201
    assert most <= 20 + 4


def test_a_crop_that_waits_holds_none_of_those_that_it_came_with() -> None:
    """As rows of another process do, which lie side by side in one block of memory."""
    together = np.zeros((16, 8, 8, 3), np.uint8)
    gone = weakref.ref(together)
    crop = together[3]
    del together

    def alone() -> Iterator[tuple[str, Crops]]:
        nonlocal crop
        given = Crops(Placed({8: square_place(64, 64, 8)}), {8: crop})
        del crop
        yield "0", given
        del given
        yield from images([{8: (8, 16)}] * 2)
        assert gone() is None

    batches = list(same_shape(alone(), deque(), lambda resolution: 4, 64))
    assert [len(batch.rows) for batch in batches] == [1, 2]
