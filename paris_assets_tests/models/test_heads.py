"""Heads on vectors: published files give what their authors' networks give, and only on the encoder that they state."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paris_assets.config import Model
from paris_assets.errors import UserError
from paris_assets.models.batches import BatchStats
from paris_assets.models.carried import WeightsError
from paris_assets.models.head_card import Encoder, encoder_problem, read_card
from paris_assets.models.heads import Cosine, unit
from paris_assets.models.registry import build, requirements
from paris_assets.signals.heads import in_batches
from paris_assets_tests.models import head_files

DIM, ROWS = 48, 11
STATED: dict[str, Any] = {"encoder": {"source": "openai/clip", "revision": "abc"}, "normalisation": "l2"}
VECTORS = (np.random.default_rng(0).standard_normal((ROWS, DIM)) * 9).astype(np.float32)


def _model(kind: str, file: Path, **options: Any) -> Model:
    return Model(implementation=kind, path=str(file), batch_size=4, options=options)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("normalisation", ["l2", "none"])
def test_laions_aesthetic_predictors_give_their_own_scores(tmp_path: Path, suffix: str, normalisation: str) -> None:
    fed = torch.from_numpy(VECTORS if normalisation == "none" else unit(VECTORS))
    for kind, network in (("linear-head", head_files.laion_linear(DIM)), ("mlp-head", head_files.laion_mlp(DIM))):
        file = head_files.publish(network, tmp_path / f"{kind}{suffix}")
        head = build(_model(kind, file, **{**STATED, "normalisation": normalisation}))
        with torch.no_grad():
            expected = network(fed)[:, 0].numpy()
        np.testing.assert_allclose(head.run(VECTORS), expected, rtol=1e-5, atol=1e-5)
        assert head.dim == DIM
        assert expected.std() > 1e-4


@pytest.mark.parametrize("nested", [None, "model_state_dict"])
def test_the_detector_with_batch_normalisation_gives_its_own_probabilities(tmp_path: Path, nested: str | None) -> None:
    network = head_files.aigc_mlp(DIM)
    file = head_files.publish(network, tmp_path / "aigc.pth", nested)
    said = {**STATED, "normalisation": "none", "activation": "relu", "output": "sigmoid"}
    head = build(_model("mlp-head", file, **said))
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(VECTORS)))[:, 0].numpy()
    np.testing.assert_allclose(head.run(VECTORS), expected, rtol=1e-5)
    served_as_unit_vectors = build(_model("mlp-head", file, **{**said, "normalisation": "l2"})).run(VECTORS)
    assert np.abs(served_as_unit_vectors - expected).max() > 0.05, "why the normalisation has to be stated"


def test_a_score_is_the_same_bits_in_any_company(tmp_path: Path) -> None:
    file = head_files.publish(head_files.aigc_mlp(DIM), tmp_path / "aigc.pth")
    head = build(_model("mlp-head", file, **STATED, activation="relu"))
    whole = in_batches(head, VECTORS, BatchStats())
    order = np.random.default_rng(1).permutation(ROWS)
    assert np.array_equal(in_batches(head, VECTORS[order], BatchStats()), whole[order])
    assert np.array_equal(in_batches(head, VECTORS[6:7], BatchStats()), whole[6:7])
    assert len(set(whole.tolist())) == ROWS


def test_a_score_is_the_same_bits_at_any_place_of_a_batch_of_any_size(tmp_path: Path) -> None:
    dim = 1152  # of the published detector: small products are summed in one order
    vectors = np.random.default_rng(2).standard_normal((66, dim)).astype(np.float32)
    said = {**STATED, "normalisation": "none", "activation": "relu", "output": "sigmoid"}
    head = build(_model("mlp-head", head_files.publish(head_files.aigc_mlp(dim), tmp_path / "aigc.pth"), **said))
    whole = head.run(vectors)
    for size in (1, 3, 5, 9, 17, 31, 33, 64, 65):
        order = np.random.default_rng(size).permutation(len(vectors))[:size]
        assert np.array_equal(head.run(vectors[order]), whole[order]), size


def test_a_card_in_the_file_is_enough_and_is_not_contradicted(tmp_path: Path) -> None:
    card = {"encoder": {"sha256": "00ff", "source": "somewhere"}, "normalisation": "l2", "dimension": DIM}
    file = head_files.with_card(head_files.laion_linear(DIM), tmp_path / "head.safetensors", **card)
    assert read_card(_model("linear-head", file)).normalisation == "l2"
    assert build(_model("linear-head", file, normalisation="l2", encoder={"sha256": "00ff"})).dim == DIM
    with pytest.raises(WeightsError, match=r"options say normalisation none, and head.safetensors itself l2"):
        build(_model("linear-head", file, normalisation="none"))
    with pytest.raises(WeightsError, match=r"options say encoder .*11ff.*, and head.safetensors itself sha256 00ff"):
        build(_model("linear-head", file, encoder={"sha256": "11ff"}))


WRONG_CARDS = [
    ({}, "says nothing of its encoder"),
    ({"normalisation": "l2"}, "encoder: Field required"),
    ({"encoder": {"source": "openai/clip"}, "normalisation": "l2"}, "give sha256 of its weights, or source and rev"),
    ({**STATED, "normalisation": "l1"}, "normalisation: Input should be 'l2' or 'none'"),
]


@pytest.mark.parametrize(("options", "said"), WRONG_CARDS, ids=[said[:20] for _, said in WRONG_CARDS])
def test_a_file_that_states_nothing_needs_the_profile_to(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    file = head_files.publish(head_files.laion_linear(DIM), tmp_path / "sa_0_4_vit_l_14_linear.pth")
    with pytest.raises(WeightsError) as error:
        build(_model("linear-head", file, **options))
    for part in (said, "sa_0_4_vit_l_14_linear.pth", "state in `options`"):
        assert part in str(error.value)


def test_an_absent_head_is_named_before_anything_is_read(tmp_path: Path) -> None:
    for path in (tmp_path / "aigc.safetensors", Path("heads/aigc.safetensors")):
        (problem,) = requirements(_model("mlp-head", path))
        assert f"there is no file '{path}'" in problem
    assert "needs `path`" in requirements(Model(implementation="mlp-head"))[0]
    (tmp_path / "aigc.bin").write_bytes(b"")
    assert "is none of .safetensors, .pth, .pt" in requirements(_model("mlp-head", tmp_path / "aigc.bin"))[0]
    (hub,) = requirements(Model(implementation="mlp-head", path="owner/head", revision="abc"))
    assert "owner/head is not in the hub's cache" in hub


def test_files_that_hold_no_head_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\nsize 132\n")
    (tmp_path / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 132\n")
    save_file({"conv.weight": torch.ones(3, 3, 3)}, tmp_path / "conv.safetensors")
    head_files.publish(nn.Linear(DIM, 7), tmp_path / "seven.pth")
    head_files.publish(nn.Sequential(nn.Linear(DIM, 4), nn.BatchNorm1d(4)), tmp_path / "open.pth")
    head_files.publish(head_files.laion_mlp(DIM), tmp_path / "deep.pth")
    card = {**STATED, "dimension": 12}
    head_files.with_card(head_files.laion_linear(DIM), tmp_path / "twelve.safetensors", **card)
    cases = {
        "pointer.pth": "holds no weights that can be read",
        "pointer.safetensors": "cannot be read",
        "conv.safetensors": "neither a linear layer nor batch normalisation",
        "seven.pth": "no single score",
        "open.pth": "no linear layer at its end",
        "deep.pth": "too many layers",
        "twelve.safetensors": "says 12 dimensions, and its weights 48",
    }
    for name, said in cases.items():
        stated = {} if name == "twelve.safetensors" else STATED
        with pytest.raises(UserError, match=said) as error:
            build(_model("linear-head", tmp_path / name, **stated))
        assert name in str(error.value)


def test_pickled_code_in_a_head_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "run",))

    torch.save({"weight": torch.ones(1, DIM), "trap": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match="holds no weights that can be read"):
        build(_model("linear-head", tmp_path / "trap.pth", **STATED))
    assert not (tmp_path / "run").exists()


FOUND = {"implementation": "clip-image", "source": "o/c", "revision": "r1", "sha256": "aa", "hidden_act": "quick_gelu"}


@pytest.mark.parametrize(
    ("stated", "fits"),
    [
        ({"source": "o/c", "revision": "r1"}, True),
        ({"sha256": "aa"}, True),
        ({"source": "o/c", "revision": "r2", "sha256": "aa"}, True),  # another commit, the same weights
        ({"source": "o/c", "revision": "r2"}, False),
        ({"sha256": "bb"}, False),
        ({"sha256": "aa", "hidden_act": "gelu"}, False),
        ({"sha256": "aa", "implementation": "siglip-image"}, False),
    ],
    ids=str,
)
def test_an_encoder_is_known_by_its_weights_or_its_name_and_revision(stated: dict[str, str], fits: bool) -> None:
    problem = encoder_problem(Encoder.model_validate(stated), FOUND)
    assert (problem is None) == fits, problem


def test_cosines_are_those_of_float64_and_each_its_own() -> None:
    other = np.random.default_rng(5).standard_normal((ROWS, DIM)).astype(np.float32)
    found = Cosine(Model(implementation="cosine")).run(VECTORS, other)
    expected = [
        float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(VECTORS.astype(np.float64), other.astype(np.float64), strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for start, stop in itertools.pairwise([0, 1, 4, ROWS]):
        part = Cosine(Model(implementation="cosine")).run(VECTORS[start:stop], other[start:stop])
        assert np.array_equal(part, found[start:stop])
