"""Drawing by a mixture of experts: weights, guidance and steps by hand, and pictures of networks that were trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from paris_assets.config import Text
from paris_assets.formats.codec import ArrayCodec, codecs_json
from paris_assets.training import sample, train_expert, train_router
from paris_assets.training.mixture import Mixture, Words, integrate, mixture_weights
from paris_assets.training.root_networks import encode_prompts, read_settings
from paris_assets_tests.models.cheap import Letters
from paris_assets_tests.training import separable

CHANCES = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        ("top-1", [[1.0, 0, 0], [0, 0, 1.0]]),
        ("top-2", [[0.625, 0.375, 0], [0, 2 / 9, 7 / 9]]),
        ("full", CHANCES.tolist()),
    ],
)
def test_weights_of_the_likeliest_sum_to_one(mixture: str, expected: list[list[float]]) -> None:
    torch.testing.assert_close(mixture_weights(CHANCES, mixture), torch.tensor(expected))


class Constant(torch.nn.Module):
    """A velocity that is one number, and with words another."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.rows = value, 0

    def forward(self, latent: torch.Tensor, t: torch.Tensor, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.rows += len(latent)
        return torch.ones_like(latent) * self.value + text.mean((1, 2))[:, None, None, None]


class Chances(torch.nn.Module):
    def forward(self, latent: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return CHANCES.log()[: len(latent)]


def words(value: float) -> Words:
    return Words(torch.full((2, 3, 4), value), torch.ones(2, 3, dtype=torch.bool))


def test_velocities_are_mixed_and_guided_within_each_expert() -> None:
    experts = {cluster: Constant(float(10**cluster)) for cluster in range(3)}
    mixture = Mixture(experts, Chances(), "top-2", 3.0, words(0.5), words(0.25))
    found = mixture(torch.zeros(2, 4, 2, 2), 0.5)
    guided = 0.25 + 3.0 * (0.5 - 0.25)
    expected = [0.625 * 1 + 0.375 * 10 + guided, (2 * 10 + 7 * 100) / 9 + guided]
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor(expected))
    # Each of them ran on the rows that it counts for, once with the prompt and once without.
    assert [each.rows for each in experts.values()] == [2, 4, 2]
    torch.testing.assert_close(mixture.mean_weights(), mixture_weights(CHANCES, "top-2"))
    alone = Mixture({5: experts[0]}, None, "top-1", 1.0, words(0.5), words(0.25))
    assert alone(torch.zeros(2, 4, 2, 2), 0.5)[:, 0, 0, 0].tolist() == [1.5, 1.5]


def test_steps_lead_from_noise_to_the_latent() -> None:
    clean, noise = torch.randn(2, 4, 2, 2), torch.randn(2, 4, 2, 2)
    for solver in ("euler", "heun"):
        straight = integrate(lambda latents, t: noise - clean, noise, 7, solver)
        torch.testing.assert_close(straight, clean)
    # dx/dt = x from time 1 to 0 divides by e: Heun is nearer.
    errors = [
        abs(float(integrate(lambda latents, t: latents, torch.ones(1), 10, solver)) - np.exp(-1))
        for solver in ("euler", "heun")
    ]
    assert errors[1] < errors[0] / 10


def test_folders_that_a_manifest_does_not_tell_are_given(tmp_path: Path) -> None:
    networks = {name: {"implementation": name, "path": f"{name}-folder"} for name in ("t5", "autoencoder-kl")}
    settings = {"text": {"encoder": networks["t5"]}, "latents": {"codec": networks["autoencoder-kl"]}}
    (tmp_path / "pipeline_manifest.json").write_text(json.dumps({"files": [], "settings": settings}))
    text, vae, _ = read_settings(str(tmp_path), None, None)
    assert (text.encoder.path, vae.path, vae.device) == ("t5-folder", "autoencoder-kl-folder", "auto")
    text, vae, _ = read_settings(str(tmp_path), "/weights/t5", "/weights/vae")
    assert (text.encoder.path, vae.path, vae.implementation) == ("/weights/t5", "/weights/vae", "autoencoder-kl")


def test_prompts_go_through_what_captions_went_through() -> None:
    settings = Text(**separable.SETTINGS["text"])
    text, mask = encode_prompts(["ab", "a longer one"], settings, {})
    assert text.shape == (2, separable.TOKENS, 8)
    assert mask.sum(1).tolist() == [2, 12]
    coarse = ArrayCodec((0.3,))
    coded, _ = encode_prompts(["ab", "a longer one"], settings, {"codec": codecs_json({"text": coarse})})
    assert set(np.unique(text)) == {0, 1}
    assert np.unique(coded).tolist() == pytest.approx([0, 0.9])


class Wide(Letters):
    """A text encoder of other states than those that experts were trained with."""

    dim = 16


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A root, and two experts and a router that were trained on it."""
    root, out = separable.write_root(tmp_path_factory.mktemp("root")), tmp_path_factory.mktemp("networks")
    for cluster in ("0", "1"):
        assert train_expert.main([*separable.arguments(root, out, steps=20), "--cluster", cluster]) == 0
    assert train_router.main(separable.arguments(root, out, steps=20)) == 0
    return root, out


def draw(trained: tuple[Path, Path], out: Path, *more: str) -> list[dict]:
    root, networks = trained
    assert (
        sample.main(["--root", str(root), "--networks", str(networks), "--out", str(out), "--device", "cpu", *more])
        == 0
    )
    return json.loads((out / "pictures.json").read_text())


def test_pictures_are_listed_with_the_experts_that_drew_them(trained: tuple[Path, Path], tmp_path: Path) -> None:
    how = ["--count", "3", "--steps", "10", "--mixture", "top-1", "--precision", "bf16"]
    told = draw(trained, tmp_path, "picture 1", "picture 2", *how)
    assert [each["file"] for each in told[:4]] == ["000_000.png", "000_001.png", "000_002.png", "001_000.png"]
    assert (told[2]["prompt"], told[3]["prompt"]) == ("picture 1", "picture 2")
    assert told[0]["trained"] == {"0": 20, "1": 20}
    for each in told:
        assert np.asarray(Image.open(tmp_path / each["file"])).shape == (64, 64, 3)
        assert sum(each["experts"].values()) == pytest.approx(1)
        assert all(round(10 * share, 3).is_integer() for share in each["experts"].values())  # one of ten steps each


@pytest.mark.extended
def test_experts_draw_what_they_were_trained_on(tmp_path: Path) -> None:
    root, likeness = separable.write_root(tmp_path / "root"), np.zeros((separable.CLUSTERS, separable.CLUSTERS))
    for cluster in range(separable.CLUSTERS):
        given = separable.arguments(root, tmp_path, steps=400, rate=5e-3, batch_size=16, ema=0.95)
        assert train_expert.main([*given, "--cluster", str(cluster)]) == 0
        how = ["--count", "8", "--steps", "25", "--guidance", "1", "--cluster", str(cluster)]
        for each in draw((root, tmp_path), tmp_path / f"of {cluster}", "picture 8", *how):
            cells = np.asarray(Image.open(tmp_path / f"of {cluster}" / each["file"]), np.float32)[::8, ::8].mean(-1)
            for other in range(separable.CLUSTERS):
                stripes = separable.stripes(other, (1, *cells.shape))[0]
                likeness[cluster, other] += np.corrcoef(cells.ravel(), stripes.ravel())[0, 1] / 8
    assert np.diag(likeness).min() > 0.5
    assert np.abs(likeness - np.diag(np.diag(likeness))).max() < 0.25


def test_the_same_seed_draws_the_same_picture_of_any_size(trained: tuple[Path, Path], tmp_path: Path) -> None:
    more = ("picture 1", "--steps", "4", "--size", "32x96", "--mixture", "full", "--solver", "heun")
    draw(trained, tmp_path / "a", *more, "--count", "2")
    draw(trained, tmp_path / "b", *more)
    draw(trained, tmp_path / "c", *more, "--seed", "1")
    first, again, other = (np.asarray(Image.open(tmp_path / name / "000_000.png")) for name in "abc")
    assert first.shape == (32, 96, 3)
    assert np.abs(first.astype(int) - again).max() <= 1  # batches of other sizes may round otherwise
    assert (first != other).any()


def test_a_mistake_is_named(trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, networks = trained
    given = {"root": str(root), "networks": str(networks), "out": str(tmp_path), "device": "cpu"}
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    wider = tmp_path / "wider"
    wider.mkdir()
    manifest["settings"]["text"]["encoder"]["implementation"] = f"{__name__}:Wide"
    (wider / "pipeline_manifest.json").write_text(json.dumps(manifest))
    mistakes = [
        ({"networks": str(tmp_path)}, f"no checkpoint in {tmp_path}/router: train it, or name one expert by --cluster"),
        ({"cluster": "3"}, "no checkpoint in {networks} of expert 3: train what is missing"),
        ({"root": str(root / "expert_shards" / "cluster_0")}, "has no manifest that names a text encoder and a VAE"),
        (
            {"root": str(wider)},
            f"{wider} makes text_dim 16, and the experts in {{networks}} take 8: name the root that they",
        ),
        ({"size": "30x64"}, "--size 30x64: give HEIGHTxWIDTH in pixels, multiples of 16"),
    ]
    for other, said in mistakes:
        words_given = [word for name, value in {**given, **other}.items() for word in (f"--{name}", value)]
        assert sample.main(["picture", *words_given]) == 2
        assert said.format(networks=networks) in capsys.readouterr().err
