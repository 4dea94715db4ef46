"""The sweep over k: figures against plain ones, the elbow on curves with and without a knee, the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from paris_assets.pool.concepts import REPORT, fitted
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.storage.shards import Shards
from paris_assets.vectors.sweep import recommended
from paris_assets_tests.pool.test_concepts import DIM, made, model_of, table, vectors


def curve(ks: list[int], inertia: list[float]) -> list[dict[str, Any]]:
    return [{"k": k, "inertia": value} for k, value in zip(ks, inertia, strict=True)]


def test_a_knee_is_found_where_the_curve_bends() -> None:
    found = recommended(curve([2, 4, 8, 16, 32], [100, 60, 20, 15, 10]), 4, "concepts")
    assert found.k == 8
    assert found.knee == pytest.approx(1 - 0.5 - 10 / 90)
    assert found.reason.startswith("k = 8: from 2 up to it inertia falls by 89% of what 32 concepts save")


@pytest.mark.parametrize("inertia", [[100, 80, 60, 40], [100, 100, 100, 100], [100, 95, 80, 10]])
def test_a_curve_without_a_knee_keeps_the_default(inertia: list[float]) -> None:
    found = recommended(curve([2, 4, 8, 16], inertia), 4, "concepts")
    assert (found.k, found.knee) == (4, None)
    assert "no knee" in found.reason


def test_two_points_have_no_elbow() -> None:
    assert "three numbers" in recommended(curve([2, 4], [9, 1]), 4, "concepts").reason


def test_the_knee_of_planted_groups_is_their_number(tmp_path: Path) -> None:
    _, output = model_of(Shards.of({"0": table(vectors()[0])}), tmp_path, k=12, sweep=[2, 3, 6, 24])
    sweep = output.facts["sweep"]
    assert [row["k"] for row in sweep["figures"]] == [2, 3, 6, 12, 24]
    assert sweep["k"] == 6
    stability = {row["k"]: row["stability"] for row in sweep["figures"]}
    assert stability[6] == 1.0 > stability[24]
    silhouettes = {row["k"]: row["silhouette"] for row in sweep["figures"]}
    assert max(silhouettes, key=lambda k: silhouettes[k]) == 6


def test_inertia_is_that_of_all_rows_not_of_those_fitted_on(tmp_path: Path) -> None:
    found, _ = vectors()
    model, output = model_of(Shards.of({"0": table(found)}), tmp_path, max_train=200, sweep=[6])
    wide = found.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    apart = np.sort(np.linalg.norm(wide[:, None] - model["centroid"].to_numpy(), axis=2), axis=1)
    (row,) = output.facts["sweep"]["figures"]
    assert row["inertia"] == pytest.approx(float(np.square(apart[:, 0]).sum()), rel=1e-6)
    assert row["separation"] == pytest.approx(float((1 - apart[:, 0] / apart[:, 1]).mean()), rel=1e-5)
    assert 0.3 < row["silhouette"] <= 1


def test_silhouette_is_scikit_learns(tmp_path: Path) -> None:
    found, groups = vectors(400)
    _, output = model_of(Shards.of({"0": table(found)}), tmp_path, sweep=[6])
    unit = found.astype(np.float64) / np.linalg.norm(found.astype(np.float64), axis=1, keepdims=True)
    assert output.facts["sweep"]["figures"][0]["silhouette"] == pytest.approx(silhouette_score(unit, groups), abs=1e-5)


def test_the_page_shows_every_k_and_loads_nothing(tmp_path: Path) -> None:
    output = fitted(Shards.of({"0": table(vectors(300)[0])}), ConceptModel(k=5, sweep=[2, 9]), 0)
    made(output, tmp_path)
    page = output.files[REPORT].read_text()
    assert all(f"<td>{k}</td>" in page for k in (2, 5, 9))
    assert output.facts["sweep"]["reason"] in page
    assert page.count("data:image/png;base64,") == 4 == len(output.pictures)
    assert "http" not in page
    assert output.links == {"sweep": REPORT}


def test_without_a_sweep_there_is_no_page(tmp_path: Path) -> None:
    _, output = model_of(Shards.of({"0": table(np.eye(DIM, dtype=np.float16).repeat(9, axis=0))}), tmp_path, k=DIM)
    assert not output.files
    assert "sweep" not in output.facts
