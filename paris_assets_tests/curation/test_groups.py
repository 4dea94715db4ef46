"""Duplicate groups of all shards; of copies by vectors, what is compared, and that blank pictures join nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.config import CopyDuplicates, Duplicates
from paris_assets.curation.groups import grouped, without_blank
from paris_assets.curation.near_vectors import Vectors
from paris_assets.curation.schema import COPY_EMBEDDING, DUPLICATE_GROUPS
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets.vectors import cells
from paris_assets_tests.curation.found import duplicates
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
    found = duplicates(table, SETTINGS, vectors=compared(table, vectors))
    alone = {name: {name} for name in ("b0", "b1", "b2", "b3", "b4", "g0", "g1", "p0")}
    assert groups(found) == {**alone, "p1": {"p1", "p2"}}
    assert found.filter(image_id="p2").select("method", "distance").row(0)[0] == "copy_embedding"
    lax = compared(table, vectors, CopyDuplicates(min_contrast=0))
    assert groups(duplicates(table, SETTINGS, vectors=lax))["b0"] == {
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
    found = duplicates(table, SETTINGS, vectors=compared(table, np.tile(BLANK, (3, 1))))
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
    first = duplicates(table, SETTINGS, vectors=compared(table, vectors, copies))
    assert groups(first) == expected
    order = np.random.default_rng(2).permutation(len(names))
    assert duplicates(table[order], SETTINGS, vectors=compared(table[order], vectors[order], copies)).equals(first)


def shards_of(*batches: list[str]) -> dict[str, Shards]:
    """Tables of shards with these images, all alike; a text tells the row."""
    tables: dict[str, dict[str, pl.DataFrame]] = {}
    row = 0
    for number, ids in enumerate(batches):
        rows = pl.Series("source_row", range(row, row := row + len(ids)), dtype=pl.Int64)
        count, key = len(ids), f"{number:05d}"
        ledger = pl.DataFrame({"image_id": pl.Series(ids, dtype=pl.String), "source_row": rows}).with_columns(
            status=pl.lit("ok")
        )
        ledger = ledger.with_columns(width=pl.lit(9), height=pl.lit(8), text="text " + pl.col("source_row").cast(str))
        signals = ledger.select("image_id").unique(maintain_order=True)
        hashes = pl.Series("phash", [int(name, 16) << 32 for name in signals["image_id"]], dtype=pl.UInt64)
        thumbnails = pl.lit([0] * 384, dtype=pl.Array(pl.UInt8, 384))
        verdicts = signals.with_columns(kept=True)
        source = pl.DataFrame({"source_row": rows, "aesthetic": [None] * count, "alt_texts": [[]] * count}).cast(
            {"aesthetic": pl.Float64, "alt_texts": pl.List(pl.String)}
        )
        made = {"rows": source, "ledger": ledger, "verdicts": verdicts}
        made["signals"] = signals.with_columns(hashes, thumbnail=thumbnails)
        for name, table in made.items():
            tables.setdefault(name, {})[key] = table
    return {name: Shards.of(dict(each)) for name, each in tables.items()}


def groups_of_shards(shards: dict[str, Shards], standing: pl.DataFrame | None = None) -> tuple[pl.DataFrame, Output]:
    output = grouped(shards["rows"], shards["ledger"], shards["signals"], shards["verdicts"], None, None, Duplicates())
    assert callable(output.rows)
    return pl.concat(output.rows(None if standing is None else standing.lazy())), output


@pytest.mark.parametrize("slice_rows", [1, 3, 1000])
def test_rows_of_all_shards_come_in_slices_with_texts_and_counts(
    slice_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paris_assets.curation.groups.GROUP_ROWS", slice_rows)
    shards = shards_of(["1", "2", "1"], ["fff", "1"])
    found, output = groups_of_shards(shards)
    assert found["source_row"].to_list() == [0, 1, 2, 3, 4]
    assert found["group_id"].to_list() == ["1", "1", "1", "fff", "1"]
    assert found["keeper"].to_list() == [True, False, False, True, False]
    assert found["alt_texts"].to_list() == [["text 2", "text 4"], [], [], [], []]
    assert (output.rows_in, output.rejects) == (5, {"exact": 2, "phash": 1})
    assert output.facts == {"shards": ["00000", "00001"], "groups_with_copies": 1, "keepers": 2}

    grown, output = groups_of_shards(shards_of(["1", "2", "1"], ["fff", "1"], ["1", "fff", "3"]), found)
    assert grown[:5].equals(found)
    assert grown["alt_texts"].to_list()[5:] == [[], [], []]
    assert grown["group_id"].to_list()[5:] == ["1", "fff", "1"]
    assert (output.rows_in, output.rejects) == (8, {"exact": 4, "phash": 2})
    assert output.facts["groups_with_copies"] == 2


def test_no_image_at_all_is_a_table_without_rows() -> None:
    found, output = groups_of_shards(shards_of([], []))
    assert found.columns == [name for name in DUPLICATE_GROUPS.polars() if name != "cosine"]
    assert found.height == output.rows_in == 0
