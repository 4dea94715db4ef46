from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Model
from paris_assets.errors import BrokenInvariant
from paris_assets.models.batches import BatchStats
from paris_assets.models.heads import Cosine
from paris_assets.models.registry import build
from paris_assets.signals.heads import OnVectors, head_scores
from paris_assets_tests.models import head_files

VECTORS = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float16)


class Lengths:
    """A text tower: what can be compared with three dimensions."""

    name, batch_size = "lengths", 2

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def run(self, texts: Sequence[str]) -> np.ndarray:
        self.seen.append(list(texts))
        return np.array([[len(text), 1, text.count("a")] for text in texts], np.float32)

    def identity(self) -> dict[str, str | None]:
        return {}


@pytest.fixture
def rows() -> pl.DataFrame:
    texts = ["a", None, "", "  ", "banana", "x", "y", "abc", None]
    table = pl.DataFrame({"image_id": [str(row) for row in range(9)], "scored_text": texts, "clip": pl.Series(VECTORS)})
    return table.with_columns(pl.when(pl.col("image_id") != "4").then("clip").alias("clip"))


def _head(folder: Path, dim: int = 3) -> OnVectors:
    file = head_files.publish(head_files.laion_linear(dim), folder / "head.pth")
    stated = {"encoder": {"sha256": "00"}, "normalisation": "l2"}
    model = Model(implementation="linear-head", path=str(file), batch_size=2, options=stated)
    return OnVectors(build(model), "clip")


def test_a_score_is_unknown_without_vector_and_similarity_without_text_too(tmp_path: Path, rows: pl.DataFrame) -> None:
    tower = Lengths()
    similarity = OnVectors(Cosine(Model(implementation="cosine")), "clip", tower)
    stats = BatchStats()
    table = head_scores(rows, {"aesthetic": _head(tmp_path), "similarity": similarity}, stats)
    assert table.columns == ["image_id", "scored_text", "aesthetic", "similarity"]
    assert table["aesthetic"].is_null().to_list() == [row == 4 for row in range(9)]
    assert table["similarity"].is_not_null().to_list() == [row in (0, 5, 6, 7) for row in range(9)]
    assert sorted(text for batch in tower.seen for text in batch) == ["a", "abc", "x", "y"]
    one = np.array([1.0, 1.0, 1.0])
    vector = VECTORS[0].astype(np.float64)
    expected = vector @ one / np.linalg.norm(vector) / np.linalg.norm(one)
    assert table["similarity"][0] == pytest.approx(expected, abs=1e-6)


def test_no_vector_at_all_gives_the_column(tmp_path: Path, rows: pl.DataFrame) -> None:
    table = head_scores(rows.filter(pl.col("image_id") == "4"), {"aesthetic": _head(tmp_path)})
    assert table["aesthetic"].to_list() == [None]
    assert table.schema["aesthetic"] == pl.Float32


def test_vectors_of_another_size_and_scores_that_are_no_numbers_stop_and_are_named(
    tmp_path: Path, rows: pl.DataFrame
) -> None:
    with pytest.raises(BrokenInvariant, match=r"aesthetic: linear-head reads vectors of 7 dimensions, .* have 3"):
        head_scores(rows, {"aesthetic": _head(tmp_path, dim=7)})
    broken = _head(tmp_path)
    broken.head.run = lambda vectors: np.full(len(vectors), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(BrokenInvariant, match="linear-head gives aesthetic = nan for image 0"):
        head_scores(rows, {"aesthetic": broken})
