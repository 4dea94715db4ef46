"""Selections that are known to be good are told from those that are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from paris_assets.pool.contrastive import Pairs, trained
from paris_assets.pool.gains import Gain, gain
from paris_assets.pool.probe import PICTURE, compared, sample
from paris_assets.pool.schema import SELECTION_PROBE
from paris_assets.settings.probe import Probe
from paris_assets.settings.section import ProfileError
from paris_assets.storage.shards import Shards
from paris_assets_tests.fixtures.noisy_pairs import Pool, made

QUICK = Probe(rows=1000, samples_seen=3200, batch=64, dim=12, seeds=4, held_out=150, fractions=[0.2, 1.0])
ROWS = 1400


def zero_shot(pool: Pool, subsets: Mapping[str, np.ndarray], seed: int, seen: int) -> dict[str, float]:
    """Accuracy of each subset's training on the generated pictures of the test."""
    pairs = Pairs.of(pool.text, pool.image)
    exam, settings = pool.exam(pairs), Probe(samples_seen=seen)
    with threadpool_limits(1):
        return {name: exam(trained(pairs, np.flatnonzero(held), settings, seed)) for name, held in subsets.items()}


def by_seed(values: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([run[name] for run in values]) for name in values[0]}


def random(rows: int, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 99]).permutation(rows) < size


def test_the_best_scores_beat_random_rows_and_random_rows_do_not() -> None:
    """Measured: 0.53 against 0.26; three seeds, each with another pool."""
    runs = []
    for seed in range(3):
        pool = made(3000, seed)
        top = pool.top(0.3)
        assert (pool.kind[top] == "clean").mean() > (pool.kind == "clean").mean() + 0.15
        chance = {f"random-{number}": random(3000, int(top.sum()), 10 * seed + number) for number in range(3)}
        runs.append(zero_shot(pool, {"top": top, **chance}, seed, 32_000))
    values = by_seed(runs)
    controls = np.array([values["random-0"], values["random-1"]])
    better = gain(values["top"], controls, 0.95)
    assert better.sign == 1
    assert better.difference > 0.15
    assert gain(values["random-2"], controls, 0.95).sign == 0


@pytest.mark.extended
def test_dropping_near_copies_before_scoring_gains_more() -> None:
    """Measured: +0.05 to +0.08 in each of the seeds."""
    runs = []
    for seed in range(8):
        pool = made(6000, seed)
        subsets = {"top": pool.top(0.3), "deduplicated top": pool.top(0.3, pool.deduplicated())}
        runs.append(zero_shot(pool, subsets, seed, 64_000))
    values = by_seed(runs)
    assert gain(values["deduplicated top"], values["top"][None], 0.95).sign == 1


def tables(shuffled: bool = False, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """`source_rows`, `pool_vectors` and `pool_scores` of pairs of which the selected half is right, the others not.

    Args:
        shuffled: whether no text has its own image at all.
    """
    drawn = np.random.default_rng(seed)
    common, right = drawn.standard_normal((ROWS, 12)), drawn.permutation(ROWS) < ROWS // 2
    text = common @ drawn.standard_normal((12, 24)) + 0.1 * drawn.standard_normal((ROWS, 24))
    image = common @ drawn.standard_normal((12, 30)) + 0.1 * drawn.standard_normal((ROWS, 30))
    wrong = np.arange(ROWS) if shuffled else np.flatnonzero(~right)
    image[wrong] = image[drawn.permutation(wrong)]
    rows = pl.DataFrame({"source_row": np.arange(ROWS)})
    vectors = rows.with_columns(
        pl.Series("text", text.astype(np.float16)), pl.Series("image", image.astype(np.float16))
    )
    flags = {f"random-{number}": drawn.permutation(ROWS) < ROWS // 2 for number in range(4)}
    scores = rows.with_columns(
        shard=pl.lit("00000"),
        uid=pl.Series([drawn.bytes(16).hex() for _ in range(ROWS)]),
        selected=pl.Series(right),
        reason=pl.lit(None, pl.String),
        value=pl.lit(None, pl.Float64),
        rank=pl.Series(np.argsort(np.argsort(~right, kind="stable")).astype(np.int64)),
        **{name: pl.Series(held) for name, held in flags.items()},
        few=pl.Series(np.arange(ROWS) < 20),
    )
    return rows.with_columns(text=pl.format("caption {}", pl.col("source_row") % 1200)), vectors, scores


def run(
    folder: Path, parts: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], settings: Probe = QUICK, shards: int = 1
) -> tuple[pl.DataFrame, dict[str, tuple[float, str]], dict[str, object]]:
    """The table, the differences of the selection by what from, and the fact."""

    def split(table: pl.DataFrame) -> Shards:
        size = -(-table.height // shards)
        pieces: dict[str, pl.DataFrame | pl.LazyFrame] = {
            f"{at:05d}": table[at * size : (at + 1) * size] for at in range(shards)
        }
        return Shards.of(pieces)

    sources, vectors, scores = parts
    output = compared(split(sources), split(vectors), scores.lazy(), settings, 1)
    output.scratch = folder
    (table,) = list(output.rows)  # type: ignore[arg-type]
    SELECTION_PROBE.require(table.schema, "selection_probe")
    assert output.files[PICTURE].read_bytes() == output.pictures[PICTURE]
    assert output.pictures[PICTURE].startswith(b"\x89PNG")
    fact = json.loads(json.dumps(output.facts["probe"]))
    own = [one for one in fact["differences"] if one["subset"] == "selection"]
    return table, {one["others"]: (one["low"], one["said"]) for one in own}, fact


def test_a_good_selection_of_a_pool_is_told_from_random_rows(tmp_path: Path) -> None:
    table, found, fact = run(tmp_path, tables())
    low, sentence = found["random rows of its size"]
    assert low > 0
    assert sentence.startswith("selection is better than random rows of its size by 0.")
    few = int(sample(tables()[2].lazy(), QUICK.rows, 1)["few"].sum())
    assert 0 < few <= 20
    assert (fact["seeds"], fact["pool_rows"], fact["too_small"]) == (4, 1000, {"few": few})
    ranked = table.filter(subset="ranked", fraction=0.2)["value"].to_numpy().mean()
    assert ranked > table.filter(subset="random-0", control_of="ranked", fraction=0.2)["value"].to_numpy().mean()
    runs = table.group_by("seed").agg(pl.len())
    assert runs["seed"].sort().to_list() == [0, 1, 2, 3]
    assert runs["len"].n_unique() == 1
    whole = table.filter(subset="ranked", fraction=1.0)["value"]
    assert whole.equals(table.filter(subset="all rows")["value"])


def test_of_shuffled_pairs_no_gain_is_claimed(tmp_path: Path) -> None:
    _, found, _ = run(tmp_path, tables(shuffled=True))
    assert found["random rows of its size"][1].startswith("no gain of selection over random rows of its size is shown")


def test_order_and_shards_change_nothing(tmp_path: Path) -> None:
    quick = QUICK.model_copy(update={"seeds": 3, "samples_seen": 640, "fractions": [0.5]})
    sources, vectors, scores = tables()
    table, _, fact = run(tmp_path, (sources, vectors, scores), quick)
    mixed = [part.sample(fraction=1, shuffle=True, seed=at) for at, part in enumerate((sources, vectors, scores))]
    other, _, again = run(tmp_path, (mixed[0], mixed[1], mixed[2]), quick, shards=3)
    assert table.equals(other)
    assert fact == again


def test_rows_without_a_vector_are_left_out(tmp_path: Path) -> None:
    sources, vectors, scores = tables()
    holes = vectors.with_columns(image=pl.when(pl.col("source_row") >= 300).then("image"))
    quick = QUICK.model_copy(update={"seeds": 3, "samples_seen": 640, "rows": 1400, "fractions": [1.0]})
    _, _, fact = run(tmp_path, (sources, holes, scores), quick)
    assert fact["pool_rows"] == 1100


def test_a_sample_depends_on_uids_and_seed() -> None:
    scores = tables()[2]
    one, again = sample(scores.lazy(), 500, 0), sample(scores.sample(fraction=1, shuffle=True).lazy(), 500, 0)
    assert one.equals(again)
    assert one.height == 500
    assert one["uid"].is_sorted()
    assert set(sample(scores.lazy(), 100, 0)["uid"]) < set(one["uid"])
    assert set(sample(scores.lazy(), 500, 1)["uid"]) != set(one["uid"])
    counted = scores.with_columns(uid=pl.Series([f"{row:016x}{0:016x}" for row in range(scores.height)]))
    backwards = counted.reverse()  # uids that differ in their first half alone
    assert sample(counted.lazy(), 500, 0)["uid"].equals(sample(backwards.lazy(), 500, 0)["uid"])
    shares = one["source_row"].to_numpy() < ROWS / 2
    assert 0.4 < shares.mean() < 0.6


@pytest.mark.parametrize("column", ["image", "text"])
def test_a_pool_without_vectors_of_images_is_refused_before_work(column: str) -> None:
    sources, vectors, scores = tables()
    one = [Shards.of({"00000": table}) for table in (sources, vectors.drop(column))]
    with pytest.raises(ProfileError, match=f"pool_vectors has none of {column}: let pool.vectors name those"):
        compared(one[0], one[1], scores.lazy(), QUICK, 0)
    with pytest.raises(ProfileError, match="pool_vectors has none of text or image"):
        compared(one[0], None, scores.lazy(), QUICK, 0)


def test_what_is_too_small_is_told(tmp_path: Path) -> None:
    sources, vectors, scores = tables()
    few = scores.with_columns(selected=pl.col("source_row") < 50)
    with pytest.raises(ProfileError, match=r"the selection holds 3\d rows that pool.probe can train on, and needs 128"):
        run(tmp_path, (sources, vectors, few))
    same = sources.with_columns(text=pl.format("caption {}", pl.col("source_row") % 60))
    with pytest.raises(ProfileError, match=r"can hold out \d+ pairs that are no copies of others, and needs 20"):
        run(tmp_path, (same, vectors, scores))


def test_the_interval_of_the_selection_is_of_all_its_controls() -> None:
    values = np.array([0.5, 0.52, 0.51])
    found = gain(values, np.array([values - 0.1, values - 0.2]), 0.95)
    assert found.difference == pytest.approx(0.15)
    assert isinstance(found, Gain)
    assert found.sign == 0  # two random subsets that lie so far apart say little
