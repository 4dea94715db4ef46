"""Copies by `copy_embeddings`: what is compared, and that blank pictures join nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.config import CopyDuplicates, Duplicates
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.curation.groups import without_blank
from paris_assets.curation.near_vectors import Vectors
from paris_assets.curation.schema import COPY_EMBEDDING
from paris_assets.vectors import cells
from paris_assets_tests.curation.test_duplicates import flats, groups, rows
from paris_assets_tests.curation.test_near_vectors import by_hand, frame, scattered

SETTINGS = Duplicates()
BLANK = np.tile(np.array([[1, 0, 0]], np.float16), (1, 1))


def signals(table: pl.DataFrame) -> pl.LazyFrame:
    return table.lazy().select("image_id", "thumbnail")


def compared(table: pl.DataFrame, vectors: np.ndarray, copies: CopyDuplicates = SETTINGS.copies) -> Vectors:
    stored = frame(table["image_id"].to_list(), vectors).lazy()
    return Vectors([without_blank(stored, signals(table), copies)], copies.cosine, COPY_EMBEDDING, copies.probes)


def web() -> tuple[pl.DataFrame, np.ndarray]:
    """Five blank pictures of different colours and two of a gradient, all of one vector; a dim photo near to that
    vector; and two photos that are copies of each other."""
    random = np.random.default_rng(0)
    blank = flats(np.array([[0, 128, 128], [255, 128, 128], [90, 60, 200], [120, 128, 128], [200, 200, 60]]))
    ramp = np.concatenate([np.repeat(np.arange(0, 160, 10), 16), np.full(128, 128)]).astype(np.uint8)
    photos = random.integers(0, 256, (3, 384), dtype=np.uint8)
    thumbnails = np.concatenate([blank, [ramp, 255 - ramp], photos])
    names = ["b0", "b1", "b2", "b3", "b4", "g0", "g1", "p0", "p1", "p2"]
    hashes = random.integers(0, 2**63, len(names))
    table = rows(
        *({"image_id": n, "thumbnail": t, "phash": int(h)} for n, t, h in zip(names, thumbnails, hashes, strict=True))
    )
    vectors = np.array([[1, 0, 0]] * 7 + [[0.9, 0.43, 0], [0, 0.6, 0.8], [0, 0.62, 0.78]], np.float16)
    return table, vectors


def test_blank_pictures_of_one_vector_join_nothing() -> None:
    table, vectors = web()
    found = find_duplicates(table, SETTINGS, vectors=compared(table, vectors))
    alone = {name: {name} for name in ("b0", "b1", "b2", "b3", "b4", "g0", "g1", "p0")}
    assert groups(found) == {**alone, "p1": {"p1", "p2"}}
    assert found.filter(image_id="p2").select("method", "distance").row(0)[0] == "copy_embedding"
    lax = compared(table, vectors, CopyDuplicates(min_contrast=0))
    assert groups(find_duplicates(table, SETTINGS, vectors=lax))["b0"] == {
        "b0",
        "b1",
        "b2",
        "b3",
        "b4",
        "g0",
        "g1",
        "p0",
    }


def test_blank_pictures_of_one_colour_are_still_copies_by_their_pixels() -> None:
    table = rows(
        *({"image_id": f"b{at}", "thumbnail": flats(np.array([[90 + at, 60, 200]]))[0], "phash": at} for at in range(3))
    )
    found = find_duplicates(table, SETTINGS, vectors=compared(table, np.tile(BLANK, (3, 1))))
    assert groups(found) == {"b0": {"b0", "b1", "b2"}}
    assert found["method"].to_list() == [None, "phash", "phash"]


def test_cells_give_the_groups_of_the_stated_rule_whatever_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is one of a keeper that it is close to itself: no chain drops an image that its keeper is far from."""
    monkeypatch.setattr(cells, "ALL_MEET", 50)
    names, vectors = scattered(500)
    random = np.random.default_rng(1)
    table = rows(
        *(
            {"image_id": name, "phash": int(hashed), "thumbnail": random.integers(0, 256, 384, dtype=np.uint8)}
            for name, hashed in zip(names, random.integers(0, 2**63, len(names)), strict=True)
        )
    )
    copies = CopyDuplicates(cosine=0.9, probes=4)
    expected = by_hand(names, vectors)
    first = find_duplicates(table, SETTINGS, vectors=compared(table, vectors, copies))
    assert groups(first) == expected
    order = np.random.default_rng(2).permutation(len(names))
    assert find_duplicates(table[order], SETTINGS, vectors=compared(table[order], vectors[order], copies)).equals(first)
