"""Training of heads: honest splits and figures, and files that `content_scores` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from paris_assets.config import Model
from paris_assets.heads import fit, train
from paris_assets.heads.fit import calibrate, outputs
from paris_assets.heads.labelled import LabelError, Labelled, read_labels, split
from paris_assets.heads.measures import (
    calibration_error,
    classifier_metrics,
    confounds,
    regressor_metrics,
    threshold_at,
    upper_bound,
)
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.models.head_card import read_card
from paris_assets.models.registry import build
from paris_assets_tests.fixtures import made_up

GROUPS, DIM = 150, 8
ENCODER = {"implementation": "clip-image", "source": "o/c", "revision": "r", "sha256": "aa", "hidden_act": "quick_gelu"}


def _labelled(apart: float, seed: int = 0) -> Labelled:
    """A real image and one of two generators each per group; theirs lie ``apart`` deviations away, or twice that."""
    random = np.random.default_rng(seed)
    rows, vectors = [], []
    for group in range(GROUPS):
        photo = random.standard_normal(DIM)
        for kind, axis, distance in ((None, 0, 0.0), ("far", 0, 2 * apart), ("sideways", 2, apart)):
            rows.append({"label": float(kind is not None), "generator": kind, "group": f"photo {group}"})
            away = distance * np.eye(DIM)[axis] + 5 * np.eye(DIM)[1]
            vectors.append(photo + 0.3 * random.standard_normal(DIM) + away)
    names = made_up.ids(len(rows))
    table = pl.DataFrame(rows, schema_overrides={"generator": pl.String}).with_columns(
        pl.Series("image_id", names), short_side=pl.lit(256.0), bits_per_pixel=pl.lit(2.0)
    )
    table = table.with_columns(pl.Series("part", split(table["group"].to_list(), 0)))
    return Labelled(table, np.array(vectors, np.float32), ENCODER)


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "EPOCHS", 40)


def test_no_photo_is_on_two_sides_and_shares_are_as_said() -> None:
    groups = [f"photo {number % 5000}" for number in range(10_000)]
    parts = pl.DataFrame({"group": groups, "part": split(groups, 1)})
    assert (parts.group_by("group").agg(pl.col("part").n_unique())["part"] == 1).all()
    shares = dict(parts["part"].value_counts(normalize=True).rows())
    assert shares == pytest.approx({"train": 0.6, "validation": 0.2, "test": 0.2}, abs=0.02)
    assert split(groups, 2) != split(groups, 1)


@pytest.mark.parametrize("hidden", [[], [16]], ids=["linear", "layers"])
def test_a_classifier_finds_what_is_there_and_says_so_of_images_that_it_has_not_seen(
    tmp_path: Path, hidden: list[int]
) -> None:
    data = _labelled(apart=3.0)
    trained = train.train(data, "none", hidden, 0.02, 0, "made up")
    found = trained.card.metrics["test"]
    assert found["auc"] > 0.97
    recalls = {name: each["recall"] for name, each in found["recall_per_generator"].items()}
    assert recalls["far"] >= recalls["sideways"] > 0.5
    assert found["false_positive_rate"] < 0.15 < 2 * found["false_positive_rate_at_most"] + 0.15
    unseen = trained.card.metrics["recall_of_unseen_generators"]
    assert max(unseen.values()) < 0.3, "neither tells where the other lies"
    assert found["calibration_error"] < 0.12
    train.write_head(trained, tmp_path / "h.safetensors")
    loaded = build(Model(implementation="mlp-head", path=str(tmp_path / "h.safetensors"), batch_size=4))
    tested = (data.rows["part"] == "test").to_numpy()
    scores, labels = loaded.run(data.vectors[tested]), data.rows["label"].to_numpy()[tested]
    assert roc_auc_score(labels, scores) == pytest.approx(found["auc"], abs=1e-6)
    assert float((scores[labels == 0] > found["threshold"]).mean()) == pytest.approx(found["false_positive_rate"])
    assert (found["real"], found["positive"]) == ((labels == 0).sum(), (labels == 1).sum())


def test_where_there_is_nothing_to_find_the_figures_say_so() -> None:
    found = train.train(_labelled(apart=0.0), "l2", [], 0.01, 0, "").card.metrics["test"]
    assert 0.25 < found["auc"] < 0.75
    assert found["recall"] < 0.3


def test_what_the_file_alone_tells_is_told() -> None:
    data = _labelled(apart=3.0)
    confounded = data.rows.with_columns(short_side=pl.when(pl.col("label") == 1).then(512.0).otherwise(64.0))
    assert confounds(confounded) == {"short_side": 1.0, "bits_per_pixel": 0.5}


def test_the_card_is_that_of_the_vectors_and_fits_no_other_encoder(tmp_path: Path) -> None:
    train.write_head(train.train(_labelled(2.0), "l2", [], 0.01, 0, "made up"), tmp_path / "h.safetensors")
    card = read_card(Model(implementation="linear-head", path=str(tmp_path / "h.safetensors")))
    assert card.encoder.model_dump() == ENCODER
    assert (card.normalisation, card.activation, card.output, card.dimension) == ("l2", "none", "sigmoid", DIM)
    assert card.training is not None
    assert card.training.startswith("made up (train ")
    assert "groups" in card.training


def test_numbers_as_labels_make_a_regressor() -> None:
    data = _labelled(1.0)
    labels = 5 + data.vectors[:, 3] + 0.1 * np.random.default_rng(1).standard_normal(len(data.vectors))
    data = data._replace(rows=data.rows.with_columns(pl.Series("label", labels.astype(np.float64))))
    trained = train.train(data, "none", [], 0.01, 0, "")
    assert trained.card.output == "identity"
    assert trained.card.metrics["test"]["r2"] > 0.9
    assert trained.card.metrics["test"]["spearman"] > 0.9


def test_two_trainings_are_the_same_bits() -> None:
    one, two = (train.train(_labelled(1.0), "none", [8], 0.01, 3, "").network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_too_few_images_of_a_class_are_refused() -> None:
    data = _labelled(2.0)
    few = data.rows["label"].to_numpy() == 0
    with pytest.raises(LabelError, match="the train part has 0 images of label 1, and at least 5 are needed"):
        train.train(data._replace(rows=data.rows.filter(few), vectors=data.vectors[few]), "l2", [], 0.01, 0, "")


def test_no_more_real_images_lie_above_the_threshold_than_allowed() -> None:
    random = np.random.default_rng(0)
    for count, share in ((100, 0.01), (99, 0.01), (40, 0.05), (7, 0.5), (3, 0.0)):
        scores = random.integers(0, 20, 3 * count) / 20  # many ties
        labels = (np.arange(3 * count) >= count).astype(float)
        assert (scores[labels == 0] > threshold_at(scores, labels, share)).sum() <= share * count
    assert threshold_at(np.array([0.4, 0.6, 0.9, 0.1]), np.array([0, 0, 0, 1]), 0.34) == 0.6
    assert threshold_at(np.array([0.4]), np.array([1.0]), 0.1) == np.inf


def test_figures_by_known_answers() -> None:
    rows = pl.DataFrame(
        {
            "label": [0.0, 0.0, 1.0, 1.0, 1.0],
            "score": [0.1, 0.7, 0.9, 0.65, 0.2],
            "generator": [None, None, "a", "a", None],
        }
    )
    found = classifier_metrics(rows, 0.6)
    assert (found["false_positive_rate"], found["recall"]) == (0.5, pytest.approx(2 / 3))
    assert found["recall_per_generator"] == {
        "a": {"images": 2, "recall": 1.0}, "unknown": {"images": 1, "recall": 0.0}
    }  # fmt: skip
    assert found["auc"] == pytest.approx(4 / 6)
    assert upper_bound(np.zeros(299, bool)) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert upper_bound(np.ones(3, bool)) == 1.0
    assert upper_bound(np.zeros(0, bool)) is None
    assert found["brier"] == pytest.approx((0.01 + 0.49 + 0.01 + 0.35**2 + 0.64) / 5)
    assert calibration_error(np.array([1.0, 0.0]), np.array([0.75, 0.71])) == pytest.approx(0.23)
    assert regressor_metrics(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))["r2"] is None
    assert classifier_metrics(rows.filter(pl.col("label") == 1), 0.6)["auc"] is None


def test_calibration_makes_of_a_wrong_scale_a_probability() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((4000, 1)).astype(np.float32)
    labels = (random.uniform(size=4000) < 1 / (1 + np.exp(-2 * vectors[:, 0] - 1))).astype(float)
    network = torch.nn.Sequential(torch.nn.Linear(1, 1))
    torch.nn.init.constant_(network[0].weight, 40.0)  # type: ignore[arg-type]
    before = calibration_error(labels, 1 / (1 + np.exp(-outputs(network, vectors))))
    after = calibration_error(labels, 1 / (1 + np.exp(-outputs(calibrate(network, (vectors, labels)), vectors))))
    assert before is not None
    assert after is not None
    assert after < 0.02 < before


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("labels.txt", "labels are a table, .parquet or .csv"),
        ("none.csv", "none.csv cannot be read"),
        ("columns.csv", "has no column label; it has image_id, score"),
        ("twice.csv", "image a has more than one label"),
        ("empty.csv", "1 labels are empty"),
        ("words.csv", "2 labels are empty or no numbers"),
        ("nan.csv", "1 labels are empty or no numbers"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "columns.csv").write_text("image_id,score\na,1\n")
    (tmp_path / "twice.csv").write_text("image_id,label\na,1\na,0\nb,1\n")
    (tmp_path / "empty.csv").write_text("image_id,label\na,1\nb,\n")
    (tmp_path / "words.csv").write_text("image_id,label\na,real\nb,generated\n")
    (tmp_path / "nan.csv").write_text("image_id,label\na,1\nb,nan\n")
    with pytest.raises(LabelError) as error:
        read_labels(str(tmp_path / file))
    assert said in str(error.value)


def _root(folder: Path, data: Labelled, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root that holds the vectors; the first photo's rows are of one duplicate group, whatever the labels say."""
    encoders = {"clip": {"implementation": "clip-image", "path": "o/c", "revision": "r"}}
    store = made_up.flat_root(folder, picture_embeddings=encoders)
    names = data.rows["image_id"].to_list()
    files = {"status": "ok", "width": 256, "height": 256, "size_bytes": 9000}
    ledger = [{"image_id": name, "source_row": row, **files} for row, name in enumerate(names)]
    store.put("raw_images", RAW_IMAGES.frame(ledger))
    vectors = pl.Series("clip", data.vectors.astype(np.float16))
    rows = pl.DataFrame({"image_id": names, "reason": pl.Series([None] * len(names), dtype=pl.String)})
    facts = {"models": {"picture_embeddings.clip": ENCODER}}
    store.put("picture_embeddings", rows.with_columns(vectors), facts=facts)
    monkeypatch.setattr("paris_assets.heads.labelled.open_catalog", lambda _: store.catalog)
    return folder


@pytest.mark.slow
def test_the_command_trains_from_a_root_and_a_table_of_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _labelled(apart=3.0)
    root = _root(tmp_path / "root", data, monkeypatch)
    data.rows.select("image_id", "label", "generator", "group").write_csv(tmp_path / "labels.csv")
    out = tmp_path / "generated.safetensors"
    arguments = ["--root", str(root), "--on", "clip", "--labels", str(tmp_path / "labels.csv"), "--out", str(out)]
    assert train.main(arguments) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["encoder"] == ENCODER
    assert set(printed["metrics"]["test"]["recall_per_generator"]) == {"far", "sideways"}
    again = train.train(data, "l2", [], 0.01, 0, "").card.metrics["test"]
    assert printed["metrics"]["test"]["auc"] == pytest.approx(again["auc"], abs=0.01), "but for float16"
    assert train.main([*arguments[:3], "siglip", *arguments[4:]]) == 2
    assert "holds no vectors of 'siglip'" in capsys.readouterr().err
    (tmp_path / "a folder.safetensors").mkdir()
    assert train.main([*arguments[:-1], str(tmp_path / "a folder.safetensors")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train.main([*arguments, "--max-false-positives", "1"])
    assert "1 is no share from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(("out", "said"), [("absent/a.safetensors", "there is no folder"), ("a.pth", "a .safetensors")])
def test_a_place_where_no_head_can_be_is_refused_before_work(
    out: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", "absent", "--on", "clip", "--labels", "absent.csv", "--out", str(tmp_path / out)]
    assert train.main(arguments) == 2
    assert said in capsys.readouterr().err
