"""What the networks of the Paris profile are fed equals the reference processors' output, from file to tensor."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from transformers import (
    BitImageProcessorPil,
    Blip2Processor,
    ChineseCLIPImageProcessorPil,
    CLIPImageProcessorPil,
    SiglipImageProcessorPil,
    ViTImageProcessorPil,
)

from paris_assets.compute import Compute
from paris_assets.config import Latents, Model
from paris_assets.latents.encode import encode
from paris_assets.models.batches import run_batches
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photo

IMAGENET: dict[str, Any] = dict(resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
PHOTO = "explore_world_animals_animals_bison.jpg"


def _file(size: tuple[int, int], mode: str = "RGB", format: str = "JPEG", **options: Any) -> bytes:
    """The photo at another size, in another mode or format."""
    picture = Image.open(io.BytesIO(photo(PHOTO)[1])).convert("RGB").resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.convert(mode).save(file, format, **options)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "landscape": lambda: _file((500, 333)),
    "portrait": lambda: _file((311, 467), quality=60),
    "square": lambda: _file((400, 400), subsampling=0),
    "already square": lambda: _file((256, 256)),
    "tiny": lambda: _file((37, 23)),
    "wide": lambda: _file((900, 301)),
    "grey": lambda: _file((420, 300), "L"),
    "CMYK": lambda: _file((320, 410), "CMYK"),
    "palette": lambda: _file((300, 280), "P", "PNG"),
    "large": lambda: _file((2100, 1500)),
    "progressive": lambda: _file((1201, 899), progressive=True),
}


class Case(NamedTuple):
    network: Any
    reference: Callable[[Image.Image], np.ndarray]
    feed: Callable[[bytes], object]


def _case(name: str, folder: Path, **options: Any) -> Case:
    """The network in fp32 from a folder, and its reference processor."""
    maker = {"dinov2": tiny.dinov2, "blip-2": tiny.blip2, "vit-classifier": tiny.vit_classifier, **tiny.TOWERS}
    path = str(maker.get(name, tiny.autoencoder)(folder / "model"))
    network = build(Model(implementation=name, path=path, precision="fp32", batch_size=1, options=options))
    if name == "autoencoder-kl":
        settings = Latents(upscale=True)
        geometry = BitImageProcessorPil(
            size={"shortest_edge": 256}, crop_size={"height": 256, "width": 256}, resample=3, do_rescale=False,
            do_normalize=False,
        )  # fmt: skip
        values = VaeImageProcessor(do_resize=False)

        def reference(picture: Image.Image) -> np.ndarray:
            square = geometry(picture, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0).astype(np.uint8)
            return np.asarray(values.preprocess(Image.fromarray(square)))[0]

        return Case(
            network, reference, lambda data: list(encode([("0", data)], network, settings, 0, compute=Compute(1)))
        )
    processors: dict[str, Callable[[], Any]] = {
        "dinov2": lambda: BitImageProcessorPil(
            size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, **IMAGENET
        ),
        "blip-2": lambda: Blip2Processor.from_pretrained(path).image_processor,  # type: ignore[attr-defined]
        "vit-classifier": lambda: ViTImageProcessorPil.from_pretrained(path),
        "clip-image": lambda: CLIPImageProcessorPil.from_pretrained(path),
        "siglip-image": lambda: SiglipImageProcessorPil.from_pretrained(path),
        "chinese-clip-image": lambda: ChineseCLIPImageProcessorPil.from_pretrained(path),
    }
    processor = processors[name]()
    return Case(
        network,
        lambda picture: processor(picture, return_tensors="np")["pixel_values"][0],
        lambda data: list(run_batches([("0", data)], network, Compute(1))),
    )


def _fed(case: Case, data: bytes) -> np.ndarray:
    """What reaches the network's first convolution."""
    seen: list[np.ndarray] = []
    first = next(module for module in case.network._network.modules() if isinstance(module, torch.nn.Conv2d))
    hook = first.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0][0].numpy().copy()))
    case.feed(data)
    hook.remove()
    (tensor,) = seen
    return tensor


NETWORKS = ["dinov2", "blip-2", "vit-classifier", "autoencoder-kl", *tiny.TOWERS]


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return _case(request.param, tmp_path_factory.mktemp("preprocessing"))


@pytest.mark.parametrize("kind", FILES)
def test_every_network_is_fed_what_its_reference_processor_makes_of_pillows_pixels(case: Case, kind: str) -> None:
    data = FILES[kind]()
    expected = case.reference(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_allclose(_fed(case, data), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_scaled_decoding_is_a_choice_and_stays_near(name: str, tmp_path: Path) -> None:
    case = _case(name, tmp_path, scaled_decode=True)
    data = FILES["large"]()
    difference = np.abs(_fed(case, data) - case.reference(Image.open(io.BytesIO(data)).convert("RGB")))
    assert 1e-5 < difference.mean() < 0.05


def test_the_shipped_vae_may_decode_scaled_and_another_does_not(tmp_path: Path) -> None:
    assert build(Model(implementation="autoencoder-kl", path="small-vae")).scaled_decode
    assert not build(Model(implementation="autoencoder-kl", path=str(tiny.autoencoder(tmp_path)))).scaled_decode
