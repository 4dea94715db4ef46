from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file, save_file

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError, sha256
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.autoencoder(tmp_path_factory.mktemp("vae") / "tiny-vae")


def _build(folder: Path, **options: object):
    return build(
        Model(implementation="autoencoder-kl", path=str(folder), precision="fp32", batch_size=2, options=options)
    )


def _reference(folder: Path) -> Any:
    return AutoencoderKL.from_pretrained(folder).eval()  # type: ignore[attr-defined]


def test_latents_are_the_scaled_posterior_mean_or_a_sample(folder: Path) -> None:
    codec, reference = _build(folder), _reference(folder)
    with torch.no_grad():
        posterior = reference.encode(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist
    noise = np.random.default_rng(1).standard_normal((2, 4, 4, 6), np.float32)
    np.testing.assert_allclose(codec.encode(PIXELS), 0.5 * posterior.mean.numpy(), atol=1e-5)
    sample = 0.5 * (posterior.mean + posterior.std * torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(codec.encode(PIXELS, noise), sample, atol=1e-5)
    assert (codec.channels, codec.factor, codec.scaling_factor) == (4, 8, 0.5)


def test_decoding_divides_by_the_scaling_factor(folder: Path) -> None:
    codec, reference = _build(folder), _reference(folder)
    latents = np.random.default_rng(2).standard_normal((2, 4, 4, 4), np.float32)
    with torch.no_grad():
        pixels = reference.decode(torch.from_numpy(latents) / 0.5).sample
    expected = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    difference = codec.decode(latents).astype(int) - expected
    assert np.abs(difference).max() <= 1
    assert codec.decode(latents).shape == (2, 32, 32, 3)


def test_the_scaling_factor_can_be_given_where_the_configuration_lacks_it(folder: Path) -> None:
    np.testing.assert_allclose(_build(folder, scaling_factor=2.0).encode(PIXELS), 4 * _build(folder).encode(PIXELS))


def test_a_subfolder_of_a_pipeline_is_read(folder: Path, tmp_path: Path) -> None:
    tiny.autoencoder(tmp_path / "pipeline/vae")
    nested = _build(tmp_path / "pipeline", subfolder="vae")
    assert np.array_equal(nested.encode(PIXELS), _build(folder).encode(PIXELS))
    assert nested.identity()["source"] == "pipeline"


def test_the_identity_names_the_weights_and_no_machine_path(folder: Path) -> None:
    identity = _build(folder).identity()
    weights = sha256(folder / "diffusion_pytorch_model.safetensors")
    assert identity == {
        "implementation": "autoencoder-kl",
        "source": "tiny-vae",
        "revision": None,
        "sha256": weights,
        "precision": "fp32",
    }


def test_training_photos_are_found_beside_the_weights(tmp_path: Path) -> None:
    assert _build(tiny.autoencoder(tmp_path)).training_photos is None
    (tmp_path / "photos.jsonl").write_text(json.dumps({"sha256": "00", "split": "train"}))
    assert _build(tmp_path).training_photos == tmp_path / "photos.jsonl"


def test_attention_under_its_old_names_is_read_as_sd_vae_ft_mse_holds_it(tmp_path: Path) -> None:
    blocks: dict[str, Any] = dict(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
    )  # fmt: skip
    AutoencoderKL(**blocks).save_pretrained(tmp_path)
    expected = _build(tmp_path).encode(PIXELS)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, value in load_file(file).items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}", f"attentions.0.{before}")
        renamed[name] = value
    assert any("proj_attn" in name for name in renamed)
    save_file(renamed, file, metadata={"format": "pt"})
    assert np.array_equal(_build(tmp_path).encode(PIXELS), expected)


def test_weights_that_lack_a_parameter_are_refused(tmp_path: Path) -> None:
    tiny.autoencoder(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["decoder.conv_out.bias"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack decoder\.conv_out\.bias of AutoencoderKL"):
        _build(tmp_path)


@pytest.mark.parametrize("warned", [True, False])
def test_weights_that_overflow_in_fp16_are_computed_in_fp32_where_the_configuration_warns(
    folder: Path, tmp_path: Path, warned: bool
) -> None:
    """As SDXL's VAE as published (`force_upcast`), and its fp16 fix, which needs no such care."""
    network: Any = AutoencoderKL.from_pretrained(folder)
    with torch.no_grad():
        network.encoder.conv_in.weight.mul_(2e4)
        network.encoder.conv_in.bias.fill_(65_000)
    network.register_to_config(force_upcast=warned)
    network.save_pretrained(tmp_path)
    half, full = (
        build(Model(implementation="autoencoder-kl", path=str(tmp_path), device="cpu", precision=name, batch_size=2))
        for name in ("fp16", "fp32")
    )
    assert half.identity()["precision"] == ("fp32" if warned else "fp16")
    assert np.isfinite(half.encode(PIXELS)).all() == warned
    assert np.isfinite(full.encode(PIXELS)).all()
    if warned:
        assert np.array_equal(half.encode(PIXELS), full.encode(PIXELS))


def test_sixteen_channels_and_a_shift(tmp_path: Path) -> None:
    """Shaped as the autoencoders of SD3 and Flux."""
    torch.manual_seed(0)
    blocks: dict[str, Any] = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "norm_num_groups": 4,
    }
    network: Any = AutoencoderKL(
        **blocks, latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False,
        use_post_quant_conv=False,
    )  # fmt: skip
    network.save_pretrained(tmp_path)
    codec = _build(tmp_path)
    with torch.no_grad():
        mean = network.eval().encode(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist.mean
    assert (codec.channels, codec.factor) == (16, 2)
    np.testing.assert_allclose(codec.encode(PIXELS), (mean.numpy() - 0.1159) * 0.3611, atol=1e-5)
    assert codec.decode(codec.encode(PIXELS)).shape == PIXELS.shape
