"""Probes of made-up clusters, and each defect failing its own check at the shipped bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from paris_assets.clusters import checks, copies, probes
from paris_assets.clusters.copies import groups_of, near_copies, split_copies
from paris_assets.clusters.latent_features import GRID, pooled, pooled_latents
from paris_assets.clusters.learnability import learnability
from paris_assets.clusters.probes import accuracy, judged, predicted, ridge
from paris_assets.clusters.reported import Read, Sampled, learnt
from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome
from paris_assets.dag.records import Record
from paris_assets.settings.checks import Checks
from paris_assets.storage import parquet
from paris_assets.storage.parquet import TableWriter
from paris_assets.storage.shards import Shards
from paris_assets_tests.clusters.learnt import LEARNT

N, K, DIM, COPIES = 480, 4, 24, 60
IDS = [f"{row:032x}" for row in range(N)]
SINGLE = pl.LazyFrame({"image_id": IDS, "group_id": IDS})
JUDGES = (
    checks.embeddings_tell_clusters,
    checks.latents_tell_clusters,
    checks.clusters_not_confused,
    checks.copies_together,
)


def vectors() -> tuple[np.ndarray, np.ndarray]:
    """(N, DIM) of K clusters, and these; the last images are copies of the first, all but equal."""
    drawn, labels = np.random.default_rng(0), np.arange(N) % K
    found = 2.5 * np.eye(K, DIM)[labels] + drawn.normal(size=(N, DIM))
    found[-COPIES:] = found[:COPIES] + 0.01 * drawn.normal(size=(COPIES, DIM))
    labels[-COPIES:] = labels[:COPIES]
    return found.astype(np.float32), labels


def latents_of(labels: np.ndarray) -> np.ndarray:
    """(N, 48): weaker, as latents show clusters."""
    drawn = np.random.default_rng(1)
    return (1.2 * np.eye(K, 48)[labels] + drawn.normal(size=(N, 48))).astype(np.float32)


def copies_of(held: np.ndarray) -> pl.DataFrame:
    return near_copies([(IDS[:300], held[:300], None), (IDS[300:], held[300:], None)], IDS, held, 0.95, SINGLE)


def failing(labels: np.ndarray, latents: np.ndarray | None = None) -> list[str]:
    """Checks that do not pass of clusters of the made-up vectors, as errors, at the shipped bounds."""
    held, true = vectors()
    pooled_ = latents_of(true) if latents is None else latents
    found = copies_of(held)
    assigned = pl.LazyFrame({"image_id": IDS, "cluster": labels})
    told = learnability(held, labels, groups_of(IDS, held, 0.95, SINGLE), (np.arange(N), pooled_), 0)
    told["copies"] = {"cosine": 0.95, **split_copies(found, assigned, N)}
    outcomes = [(judge, judge(record(told), Checks())) for judge in JUDGES]
    assert not any(outcome.warns for judge, outcome in outcomes if judge is not checks.copies_together)
    return [judge.__name__ for judge, outcome in outcomes if not outcome.passed]


def record(learnt: dict[str, Any]) -> Record:
    facts = {"learnability": learnt, "k": K}
    return Record(
        asset="cluster_report", shard="all", fingerprint="", rows_fingerprint="", content="", rows=1, facts=facts
    )


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "STEPS", 80)  # of small networks: these clusters are plain


def test_good_clusters_pass() -> None:
    assert failing(vectors()[1]) == []


def test_shuffled_labels_are_not_learnt() -> None:
    shuffled = np.random.default_rng(2).permutation(vectors()[1])
    assert failing(shuffled) == ["embeddings_tell_clusters", "latents_tell_clusters", "copies_together"]


def test_latents_of_other_images_fail_their_own_check() -> None:
    others = latents_of(vectors()[1])[np.random.default_rng(3).permutation(N)]
    assert failing(vectors()[1], others) == ["latents_tell_clusters"]


def test_a_cluster_cut_at_random_is_confused() -> None:
    """Between groups of copies, which stay together: nothing else is wrong."""
    labels = vectors()[1].copy()
    half = np.random.default_rng(4).random(N) < 0.5
    half[-COPIES:] = half[:COPIES]
    labels[(labels == 1) & half] = K
    assert failing(labels, latents_of(vectors()[1])) == ["clusters_not_confused"]


def test_clusters_cut_through_copies() -> None:
    labels = vectors()[1].copy()
    labels[-COPIES:] = (labels[-COPIES:] + 1) % K
    assert failing(labels) == ["copies_together"]


@pytest.mark.parametrize("judge", JUDGES)
def test_what_reports_tell_passes(judge: Callable[[Record, Checks], CheckOutcome]) -> None:
    assert judge(record(LEARNT), Checks()).passed


def test_copies_are_held_out_together_so_that_knowing_them_is_worth_nothing() -> None:
    """Labels that mean nothing, shared by copies: a split by image would let a probe know them."""
    drawn = np.random.default_rng(5)
    held = np.repeat(drawn.normal(size=(100, 300)), 4, axis=0) + 0.01 * drawn.normal(size=(400, 300))
    labels, groups = np.repeat(np.arange(100) % 4, 4), np.repeat(np.arange(100), 4)
    together, apart = judged(labels, groups, 0), judged(labels, np.arange(400), 0)
    assert together
    assert apart
    for group in range(100):
        assert len(set(together.folds[groups == group].tolist())) == 1
    assert accuracy(predicted(held, apart, ridge), apart).low > 0.9
    honest = accuracy(predicted(held, together, ridge), together)
    assert honest.low < together.chance < honest.high
    assert honest.error > 1.5 * accuracy(predicted(held, together, ridge), apart).error  # groups count, not images


def test_ridge_is_the_closed_form_whichever_side_is_shorter() -> None:
    drawn = np.random.default_rng(6)
    taught, labels, asked = drawn.normal(size=(60, 59)), np.arange(60) % 3, drawn.normal(size=(500, 59))
    wider = np.hstack([taught, np.zeros((60, 40))]), np.hstack([asked, np.zeros((500, 40))])
    np.testing.assert_array_equal(ridge(taught, labels, asked), ridge(wider[0], labels, wider[1]))


def test_chance_and_what_can_be_seen() -> None:
    images = judged(np.arange(80) % 2, np.arange(80), 0)
    assert images
    assert images.chance == 0.5
    assert images.chance_error == pytest.approx(np.sqrt(2 * 0.25 / 40) / 2)
    assert images.visible == pytest.approx(0.5 + 2.8 * images.chance_error)
    coin = accuracy(np.random.default_rng(7).integers(2, size=80), images)
    assert coin.low < 0.5 < coin.high


def test_clusters_of_few_groups_are_left_out_and_one_is_too_few() -> None:
    labels = np.repeat([0, 1, 2], [20, 20, 4])
    found = judged(labels, np.arange(44), 0)
    assert found
    assert found.clusters.tolist() == [0, 1]
    assert found.left_out == 1
    assert judged(labels, np.repeat([0, 1, 2], [20, 20, 4]), 0) is None  # one group each
    told = learnability(
        np.eye(44, dtype=np.float32), labels, np.zeros(44, int), (np.array([], int), np.empty((0, 0))), 0
    )
    assert "fewer than two" in told["embeddings"]["refused"]
    assert told["latents"]["images"] == 0


def test_near_copies_are_pairs_of_a_group_and_of_close_vectors() -> None:
    held = np.array([[1, 0], [1, 0.01], [0, 1], [-1, 0]], np.float16)
    names, groups = (
        ["a", "b", "c", "d"],
        pl.LazyFrame({"image_id": ["a", "b", "c", "d"], "group_id": ["1", "2", "3", "3"]}),
    )
    found = near_copies([(names[:2], held[:2], None), (names[2:], held[2:], None)], names, held, 0.95, groups)
    assert found.rows() == [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
    assert groups_of(names, held, 0.95, groups).tolist() == [0, 0, 1, 1]
    assigned = pl.LazyFrame({"image_id": names, "cluster": [0, 1, 2, 2]})
    told = split_copies(found, assigned, 4)
    assert told == {"asked": 4, "images": 4, "split_images": 2, "pairs": 2, "split_pairs": 1}


@pytest.mark.parametrize(("sample", "most_products"), [(200, 10**10), (600, 0)])
def test_copies_of_a_sample_are_held_out_together_however_few_are_looked_for(
    sample: int, most_products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pictures that have more copies than are listed, and in a sample of which not all are asked for copies."""
    monkeypatch.setattr(copies, "PRODUCTS", most_products)
    drawn, pictures = np.random.default_rng(9), np.arange(600) % 12
    held = (np.eye(12)[pictures] + 0.001 * drawn.normal(size=(600, 12))).astype(np.float16)
    names, column = [f"{row:032x}" for row in range(600)], f"latent_{Profile().router_resolution}"
    read = Read(
        image_embeddings=Shards.of({"0": pl.DataFrame({"image_id": names, "embedding": held})}),
        text_embeddings=None,
        cluster_assignments=pl.LazyFrame({"image_id": names, "cluster": pictures % 2}),
        captions=pl.LazyFrame(),
        curated_images=pl.LazyFrame({"image_id": names, "group_id": names}),
        latents=Shards.of({"0": pl.DataFrame({"image_id": names, column: np.zeros((600, 4, 8, 8), np.float16)})}),
    )
    told = learnt(read, Sampled(names, held.astype(np.float32)), names[:sample], 600, Profile())
    assert told["embeddings"]["images"] == sample
    assert told["embeddings"]["groups"] == 12


def test_latents_of_any_size_are_pooled_and_images_without_are_left_out() -> None:
    drawn = np.random.default_rng(8)
    latent = drawn.normal(size=(4, 32, 32)).astype(np.float16)
    expected = latent.astype(np.float64).reshape(4, GRID, 4, GRID, 4).mean((2, 4)).ravel()
    np.testing.assert_allclose(pooled(latent), expected, atol=1e-5)
    assert pooled(drawn.normal(size=(4, 12, 5)).astype(np.float16)).shape == (4 * GRID * 5,)
    table = pl.DataFrame({"image_id": ["b", "a"], "latent_32": pl.Series(np.stack([latent, latent * 2]))})
    shards = Shards.of({"0": table[:1], "1": table[1:]})
    rows, found = pooled_latents(shards, ["a", "aa", "b"], "latent_32")
    assert rows.tolist() == [0, 2]
    np.testing.assert_allclose(found[0], 2 * found[1], rtol=1e-3, atol=1e-3)
    assert pooled_latents(shards, ["x"], "latent_32")[0].size == 0


def test_row_groups_without_an_image_of_the_sample_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1 << 16)
    drawn = np.random.default_rng(10).normal(size=(N, 4, 8, 8)).astype(np.float16)
    file = tmp_path / "latents.parquet"
    writer = TableWriter(file)
    writer.write(pl.DataFrame({"image_id": IDS, "latent_32": drawn}))
    writer.finish([], lambda _: {})
    told = pq.read_metadata(file)
    assert told.num_row_groups > 3
    spoilt = bytearray(file.read_bytes())
    for group in range(1, told.num_row_groups - 1):
        column = told.row_group(group).column(1)
        start, size = column.data_page_offset, column.total_compressed_size
        spoilt[start : start + size] = bytes(size)
    file.write_bytes(spoilt)
    latents = Shards(["0"], lambda _: pl.scan_parquet(file))
    rows, found = pooled_latents(latents, [IDS[0], IDS[3], IDS[-1]], "latent_32")
    assert rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found, drawn[[0, 3, -1]].reshape(3, -1).astype(np.float32))
