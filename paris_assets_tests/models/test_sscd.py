"""SSCD: both kinds of files, the authors' preprocessing, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import ResNetConfig, ResNetModel

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models.batches import run_batches
from paris_assets.models.carried import WeightsError
from paris_assets.models.normalise import IMAGENET
from paris_assets.models.registry import ModelError, build, copy_cosine, requirements
from paris_assets.models.resnet import GemResNet50
from paris_assets_tests.models.photos import photos

DIM, WIDTH = 24, 8
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow SSCD of random weights as `model.safetensors`, named as the authors name torchvision's, and traced as
    `model.torchscript.pt`."""
    path, network = tmp_path_factory.mktemp("sscd"), random_network()
    save_file(
        {f"backbone.{name}": value.clone() for name, value in network.state_dict().items()}, path / "model.safetensors"
    )
    whole = nn.Sequential(network, Normalise())
    traced: Any = torch.jit.trace(whole, torch.rand(2, 3, 96, 64), check_trace=False)
    traced.save(str(path / "model.torchscript.pt"))
    return path


class Normalise(nn.Module):
    """The authors' last layer."""

    def forward(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors)


def random_network() -> GemResNet50:
    """With moments of batch normalisation that are not those of no training."""
    torch.manual_seed(0)
    network = GemResNet50(DIM, WIDTH)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features) * 0.1
            layer.running_var = torch.rand(layer.num_features) + 0.5
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return network.eval()


def embedder(path: Path, **options: Any) -> Any:
    batch_size = options.pop("batch_size", 2)
    model = Model(
        implementation="sscd", path=str(path), precision="fp32", device="cpu", batch_size=batch_size, options=options
    )
    return build(model)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_the_trunk_is_resnet_50_as_transformers_has_it() -> None:
    ours = random_network()
    config = ResNetConfig(embedding_size=WIDTH, hidden_sizes=[32, 64, 128, 256], depths=[3, 4, 6, 3])
    theirs = ResNetModel(config).eval()
    theirs.load_state_dict({_renamed(name): value for name, value in ours.state_dict().items() if "fc." not in name})
    pixels = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        maps = theirs(pixels).last_hidden_state
        pooled = maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
        torch.testing.assert_close(ours(pixels), ours.fc(pooled), rtol=1e-4, atol=1e-5)


def _renamed(name: str) -> str:
    """torchvision's name of a parameter -> transformers'."""
    kinds = {"conv": "convolution", "bn": "normalization"}
    *before, layer, last = name.split(".")
    if not before:
        return f"embedder.embedder.{kinds[layer[:-1]]}.{last}"
    block = f"encoder.stages.{int(before[0][-1]) - 1}.layers.{before[1]}"
    if before[2:] == ["downsample"]:
        return f"{block}.shortcut.{('convolution', 'normalization')[int(layer)]}.{last}"
    return f"{block}.layer.{int(layer[-1]) - 1}.{kinds[layer[:-1]]}.{last}"


@pytest.mark.parametrize("options", [{}, {"resize": "small_edge", "batch_size": 1}], ids=["square", "small edge"])
def test_both_files_give_the_same_vectors_of_length_one(folder: Path, options: dict[str, Any]) -> None:
    scripted, ours = (embedder(folder / name, **options) for name in ("model.torchscript.pt", "model.safetensors"))
    assert (scripted.dim, ours.dim) == (DIM, DIM)
    for _, data in photos()[:3]:
        batch = np.stack([ours.preprocess(decode_rgb(data))] * ours.batch_size)
        vectors = ours.run(batch)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(scripted.run(batch), vectors, atol=2e-6)


@pytest.mark.parametrize("name", ["model.torchscript.pt", "model.safetensors"])
def test_place_and_company_change_no_bit_however_often_it_ran(folder: Path, name: str) -> None:
    network, images = embedder(folder / name), photos()[:5]
    found = [
        {image_id: row for ids, rows in run_batches(chosen, network) for image_id, row in zip(ids, rows, strict=True)}
        for chosen in (images, images[::-1], images[1:4], images)
    ]
    assert len({row.tobytes() for row in found[0].values()}) == 5
    for again in found[1:]:
        assert all(np.array_equal(row, found[0][image_id]) for image_id, row in again.items())


def test_the_square_holds_the_whole_picture_by_a_bilinear_antialiased_filter(folder: Path) -> None:
    pixels = picture(500, 200)
    expected = Image.fromarray(pixels).resize((320, 320), Image.Resampling.BILINEAR)
    assert np.array_equal(embedder(folder / "model.safetensors").preprocess(pixels), np.asarray(expected))


def test_a_small_edge_of_288_keeps_the_shape_of_the_picture(folder: Path) -> None:
    small = embedder(folder / "model.safetensors", resize="small_edge", batch_size=1)
    pixels = picture(500, 333)
    expected = Image.fromarray(pixels).resize((288, 432), Image.Resampling.BILINEAR)  # 288 * 500 / 333 is 432.4
    assert np.array_equal(small.preprocess(pixels), np.asarray(expected))
    assert small.preprocess(picture(333, 500)).shape == (288, 432, 3)
    assert small.preprocess(picture(1, 60_000)).shape == (288, 8 * 288, 3)


def test_pixels_are_normalised_as_imagenets(tmp_path: Path) -> None:
    class Means(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels.mean((2, 3))

    torch.jit.script(Means()).save(str(tmp_path / "means.pt"))
    colour = np.array([200, 10, 90], np.uint8)
    (vector,) = embedder(tmp_path / "means.pt", batch_size=1).run(np.tile(colour, (1, 320, 320, 1)))
    expected = (colour / 255 - IMAGENET.mean) / IMAGENET.std
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_it_is_known_by_its_file_and_by_nothing_of_this_machine(folder: Path) -> None:
    file = folder / "model.safetensors"
    assert embedder(file).identity() == {
        "implementation": "sscd",
        "source": "model.safetensors",
        "revision": None,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "precision": "fp32",
    }
    assert copy_cosine(Model(implementation="sscd")) == 0.75
    assert copy_cosine(Model(implementation="dinov2")) is None


def test_what_is_wrong_with_a_file_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"sha256 [0-9a-f]{64}, options expect 00ff: it was not opened. Fetch"):
        embedder(folder / "model.safetensors", sha256="00ff")
    save_file({"fc.weight": torch.zeros(2, 3)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.pt").write_bytes(b"no archive")
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    for name in ("other.safetensors", "broken.pt", "broken.safetensors"):
        with pytest.raises(WeightsError, match=f"^{name} cannot be used: "):
            embedder(tmp_path / name)
    with pytest.raises(ModelError, match="needs `path`: its file"):
        build(Model(implementation="sscd"))
    (absent,) = requirements(Model(implementation="sscd", path=str(tmp_path / "gone.pt")))
    assert "there is no file" in absent
    assert "is none of .safetensors, .pt" in requirements(Model(implementation="sscd", path=__file__))[0]


def test_options_that_cannot_work_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="small_edge keeps each picture's shape: set batch_size to 1"):
        embedder(folder / "model.safetensors", resize="small_edge")
    with pytest.raises(ValueError, match="resize is 'crop'; it is `square` or `small_edge`"):
        embedder(folder / "model.safetensors", resize="crop")
