"""Evidence of concepts against the same by hand, and the same whatever the order of shards and rows."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.pool import tallies
from paris_assets.pool.evidence import WITHOUT_VECTOR, gathered
from paris_assets.pool.schema import CONCEPT_EVIDENCE
from paris_assets.pool.tallies import First, HashCounts, Tally
from paris_assets.pool.text_hash import drawn, text_hash
from paris_assets.settings.judge import Evidence
from paris_assets.storage.output import Output
from paris_assets_tests.pool.made_up import pool_rows, sharded

ROWS = 600


def made_up_rows(seed: int = 0) -> pl.DataFrame:
    """Captions of four concepts, many of them twice, some blank, some rows without a vector, ties in distance."""
    draw = np.random.default_rng(seed)
    words = ["barn", "sea", "dog", "tree", "chair", "boat", "cat", "cloud", "road", "lamp", "fish", "snow"]
    texts: list[str | None] = [" ".join(draw.choice(words, draw.integers(1, 4))) for _ in range(ROWS)]
    for row in draw.choice(ROWS, 40, replace=False):
        texts[row] = [None, "", "  \n ", "IMG_0001.jpg"][row % 4]
    concepts = [None if value == 4 else int(value) for value in draw.integers(0, 5, ROWS)]
    distances = (draw.integers(0, 40, ROWS) / 40).tolist()  # many ties
    scores = [None if row % 7 == 0 else float(value) for row, value in enumerate(draw.normal(0.25, 0.05, ROWS))]
    languages = draw.choice(["en", "en", "de", None], ROWS).tolist()  # type: ignore[arg-type]
    return pool_rows(texts, concepts, distance=distances, similarity=scores, language=languages)


def evidence(rows: pl.DataFrame, sizes: list[int], **settings: Any) -> tuple[pl.DataFrame, Output]:
    output = gathered(*sharded(rows, sizes), Evidence(**settings), seed=7)
    (table,) = output.rows  # type: ignore[misc]
    return table, output


def test_the_figures_are_those_of_a_count_by_hand() -> None:
    rows = made_up_rows()
    table, output = evidence(rows, [250, 1, 349])
    assert table.schema == CONCEPT_EVIDENCE.polars()
    assert table["concept"].to_list() == [0, 1, 2, 3]
    without = rows["concept"].null_count()
    assert (output.rows_in, output.rejects) == (ROWS, {WITHOUT_VECTOR: without})
    assert table["rows"].sum() + without == ROWS
    for found in table.iter_rows(named=True):
        held = rows.filter(concept=found["concept"]).to_dicts()
        captions = [" ".join(row["text"].split()) for row in held if (row["text"] or "").strip()]
        said = [row for row in held if (row["text"] or "").strip()]
        counts = Counter(captions)
        assert (found["rows"], found["captions"], found["distinct"]) == (len(held), len(captions), len(counts))
        assert found["top_share"] == pytest.approx(max(counts.values()) / len(captions))
        assert found["duplicates"] == pytest.approx(1 - len(counts) / len(captions))
        assert found["template_share"] == pytest.approx(max(Counter(r["template"] for r in said).values()) / len(said))
        assert found["file_names"] == pytest.approx(sum(row["file_name"] for row in said) / len(said))
        assert found["mean_words"] == pytest.approx(sum(row["words"] for row in said) / len(said))
        scores = [row["similarity"] for row in held if row["similarity"] is not None]
        assert found["similarity"] == pytest.approx(sum(scores) / len(scores), abs=1e-7)
        assert found["clip_l14"] is None
        spoken = Counter(row["language"] for row in held if row["language"])
        assert found["languages"] == [name for name, _ in spoken.most_common()]
        assert found["language_shares"] == pytest.approx([count / spoken.total() for _, count in spoken.most_common()])


def test_the_captions_shown_are_distinct_over_the_whole_pool_with_their_counts() -> None:
    rows = made_up_rows()
    table, _ = evidence(rows, [250, 1, 349], captions=6)
    for found in table.iter_rows(named=True):
        held = [row for row in rows.filter(concept=found["concept"]).to_dicts() if (row["text"] or "").strip()]
        for row in held:
            row["caption"] = " ".join(row["text"].split())
        counts = Counter(row["caption"] for row in held)
        for name, sign in (("nearest", 1), ("furthest", -1)):
            best: dict[str, tuple[float, str]] = {}
            for row in held:
                place = (sign * row["distance"], row["uid"])
                best[row["caption"]] = min(place, best.get(row["caption"], place))
            expected = sorted(best, key=lambda caption: best[caption])[:6]
            assert found[name] == expected
            assert found[f"{name}_counts"] == [counts[caption] for caption in expected]
            assert found[f"{name}_distances"] == [sign * best[caption][0] for caption in expected]
        drawn = found["random"]
        assert found["random_counts"] == [counts[caption] for caption in drawn]
        assert len(set(drawn)) == 6
        assert set(drawn) <= counts.keys()


def test_random_captions_are_drawn_evenly_from_the_distinct_ones() -> None:
    texts = ["one and the same"] * 900 + [f"caption number {row}" for row in range(99)]
    rows = pool_rows(texts, [0] * 999)
    often = 0
    for seed in range(60):
        (table,) = gathered(*sharded(rows, [999]), Evidence(captions=10), seed).rows  # type: ignore[misc]
        often += "one and the same" in table["random"][0].to_list()
    assert often < 20, "10 of 100 distinct captions: about 6 draws of 60, however often it stands there"


@pytest.mark.parametrize("waiting", [1, 100, 1 << 20])
def test_neither_shards_nor_rows_nor_their_order_change_a_bit(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "KEPT_ROWS", waiting)
    rows = made_up_rows()
    whole, _ = evidence(rows, [ROWS], sample=8)
    mixed = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(source_row=pl.int_range(ROWS))
    for sizes in ([ROWS], [100] * 6, [1, 599], [599, 1]):
        again, _ = evidence(mixed, sizes, sample=8)
        assert again.equals(whole), sizes


def test_rows_without_a_uid_go_by_address_and_text() -> None:
    rows = made_up_rows().with_columns(uid=pl.lit(None, pl.String))
    whole, _ = evidence(rows, [ROWS])
    mixed = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(source_row=pl.int_range(ROWS))
    assert evidence(mixed, [300, 300])[0].equals(whole)


def test_captions_that_repeat_compress_and_words_are_those_of_the_concept() -> None:
    plain = [f"{first} {second} by the water" for first in "abcdefghijklmnop" for second in ("barn", "house")]
    same = [f"buy this product now, free delivery, offer number {row}" for row in range(32)]
    table, _ = evidence(pool_rows([*plain, *same], [0] * 32 + [1] * 32), [64], sample=32)
    joined = "\n".join(same).encode()
    assert table["compression"][1] == pytest.approx(len(joined) / len(zlib.compress(joined, 9)), rel=0.05)
    assert table["compression"][1] > 1.5 * table["compression"][0]
    assert set(table["top_words"][0]) == {"barn", "house", "water"}
    assert {"buy", "product", "delivery"} <= set(table["top_words"][1])
    copies, _ = evidence(pool_rows([*plain, *plain, *plain], [0] * 96), [96], sample=32)
    assert copies["compression"][0] == table["compression"][0], "copies are counted apart: what differs is compressed"


def test_long_captions_are_cut_but_told_apart_by_all_of_them() -> None:
    long = "a barn " * 100
    table, _ = evidence(pool_rows([f"{long}{row}" for row in range(3)], [0] * 3), [3])
    assert table["distinct"][0] == 3
    assert set(table["nearest"][0].str.len_chars()) == {400}


def test_a_pool_without_vectors_has_no_evidence_and_a_concept_without_captions_some() -> None:
    table, output = evidence(pool_rows(["a barn"], [None]), [1])
    assert table.is_empty()
    assert output.rejects == {WITHOUT_VECTOR: 1}
    table, _ = evidence(pool_rows([None, " "], [3, 3]), [2])
    row = table.row(0, named=True)
    assert (row["rows"], row["captions"], row["distinct"], row["top_share"]) == (2, 0, 0, None)
    assert row["nearest"] == row["top_words"] == []


def test_hashes_are_the_published_ones_and_draws_another_order_for_each_seed() -> None:
    def fnv1a(text: str) -> int:
        value = 0xCBF29CE484222325
        for byte in text.encode():
            value = (value ^ byte) * 0x100000001B3 % (1 << 64)
        return value

    def splitmix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) % (1 << 64)
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % (1 << 64)
        value = (value ^ value >> 27) * 0x94D049BB133111EB % (1 << 64)
        return value ^ value >> 31

    assert fnv1a("foobar") == 0x85944171F73967E8  # from the authors' test vectors
    assert splitmix(0) == 0xE220A8397B1DCDAF  # the first number of the generator seeded with 0
    texts = pl.Series(["", "foobar", "ünï", "a" * 1000])
    assert text_hash(texts).tolist() == [splitmix(fnv1a(text)) for text in texts]
    assert text_hash(texts[1:3]).tolist() == text_hash(texts).tolist()[1:3]
    hashes = text_hash(pl.Series([f"{row}" for row in range(1000)]))
    orders = [np.argsort(drawn(hashes, seed)) for seed in range(20)]
    assert len({order[0] for order in orders}) > 15


def test_counts_of_hashes_are_those_of_a_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "KEPT_ROWS", 50)
    draw, counts, expected = np.random.default_rng(1), HashCounts(), Counter[tuple[int, int]]()
    for _ in range(20):
        concepts = draw.integers(0, 3, 30).astype(np.int32) * 2
        hashes = draw.integers(0, 20, 30).astype(np.uint64)
        counts.add(concepts, hashes)
        expected.update(zip(concepts.tolist(), hashes.tolist(), strict=True))
    found = counts.by_concept()
    assert found["concept"].to_list() == [0, 2, 4]
    for concept, distinct, most in found.iter_rows():
        held = [count for (of, _), count in expected.items() if of == concept]
        assert (distinct, most) == (len(held), max(held))
    pairs = list(expected)
    of = counts.of(np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.uint64))
    assert of.tolist() == [expected[pair] for pair in pairs]


def test_a_tally_adds_up_whatever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "KEPT_ROWS", 3)
    tally = Tally(["key"])
    for key in [1, 2, 1, 3, 1, 2]:
        tally.add(pl.DataFrame({"key": [key], "count": [key * 10]}))
    assert tally.total().rows() == [(1, 30), (2, 40), (3, 30)]


def test_what_is_kept_of_many_tables_is_no_more_than_is_shown() -> None:
    texts = ([f"{page} {row} " + "x" * 5000 for row in range(400)] for page in range(20))
    pages = [pl.DataFrame({"concept": 0, "caption": captions}) for captions in texts]
    first = First(2, [pl.col("caption")])
    for page in pages:
        first.add(page)
    kept = first.rows()
    assert kept["caption"].to_list() == sorted(text for page in pages for text in page["caption"])[:2]
    held = kept["caption"].to_arrow(compat_level=pl.CompatLevel.newest())
    assert sum(buffer.size for buffer in held.buffers() if buffer is not None) < 20_000, "no text of other rows"
