"""The model of all shards and what it says of one, as tables."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.clusters.fitting import assigned, fitted
from paris_assets.config import Clusters
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

SETTINGS = Clusters(k=3, restarts=1)


def table(begin: int, end: int, turn: int = 0) -> pl.DataFrame:
    """Embeddings (n, 6) of three groups, the first the largest; ``turn`` makes another the largest."""
    rng = np.random.default_rng(7)
    groups = (rng.choice(3, size=300, p=[0.5, 0.3, 0.2]) + turn) % 3
    vectors = (np.eye(3, 6)[groups] + 0.1 * rng.normal(size=(300, 6))).astype(np.float16)
    ids = [f"{turn}{number:031x}" for number in range(300)]
    columns = {"image_id": ids[begin:end], "embedding": pl.Series(vectors[begin:end])}
    return pl.DataFrame(columns)


def made(output: Output, standing: pl.DataFrame | None = None) -> pl.DataFrame:
    rows = output.rows(standing.lazy() if standing is not None else None) if callable(output.rows) else output.rows
    return pl.concat([pl.DataFrame(chunk) for chunk in rows])


def test_a_later_shard_is_brought_into_the_space_of_the_fit() -> None:
    settings = SETTINGS.model_copy(update={"reduce": "pca", "dims": 2})
    first, later = table(0, 200).lazy(), table(200, 300).lazy()
    model = made(fitted(Shards.of({"0": first}), None, settings, 0))
    alone = made(assigned(later, None, model, settings))
    everything = made(assigned(pl.concat([first, later]), None, model, settings))
    assert alone.equals(everything.filter(pl.col("image_id").is_in(alone["image_id"].to_list())))
    grown = made(fitted(Shards.of({"0": first, "1": later}), None, settings, 0))
    assert not grown.filter(level="mean").equals(model.filter(level="mean")), "another fit has another space"


def test_the_numbers_of_a_new_fit_follow_the_table_that_stands() -> None:
    before, now = Shards.of({"0": table(0, 300).lazy()}), Shards.of({"0": table(0, 300, turn=1).lazy()})
    old = made(fitted(before, None, SETTINGS, 0))
    by_size = made(fitted(now, None, SETTINGS, 0))
    kept = fitted(now, None, SETTINGS.model_copy(update={"keep_numbers": True}), 0)
    rows = made(kept, old)
    cosines = old["centroid"].to_numpy() @ rows["centroid"].to_numpy().T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert (old["centroid"].to_numpy() @ by_size["centroid"].to_numpy().T).argmax(axis=1).tolist() != [0, 1, 2]
    assert kept.facts["sizes"] != sorted(kept.facts["sizes"], reverse=True)
    assert kept.facts["numbers"]["agreement"] == 1


def test_without_a_table_numbers_are_by_size() -> None:
    images = Shards.of({"0": table(0, 300).lazy()})
    kept = fitted(images, None, SETTINGS.model_copy(update={"keep_numbers": True}), 0)
    assert made(kept).equals(made(fitted(images, None, SETTINGS, 0)))
    assert "numbers" not in kept.facts
