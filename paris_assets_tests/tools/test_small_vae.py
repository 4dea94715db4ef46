"""The shipped small VAE does what its model card says, on photos that it never saw."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import imagehash
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file

from tools.small_vae.export import fold_affine
from tools.small_vae.group_norm import GroupNormSilu
from tools.small_vae.judge import latent_means, native_crop, psnr_per_photo
from tools.small_vae.network import decoded, make_channels_last, new_network, posterior_of
from tools.small_vae.photos import Photo, held_out_by_sha256, near_duplicate_groups, read_photo_list
from tools.small_vae.sources import is_free, parse_credits

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "data" / "sample"
WEIGHTS = REPOSITORY / "paris_assets" / "models" / "weights" / "small_vae"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On cores shared with other tests, two threads spend most of their time waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return read_photo_list(WEIGHTS / "photos.jsonl")


@pytest.fixture(scope="module")
def held_out(photos: list[Photo]) -> list[bytes]:
    return [(SAMPLE / photo.path).read_bytes() for photo in photos if photo.split == "held_out"]


@pytest.fixture(scope="module")
def network() -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(WEIGHTS).eval()


def test_weights_are_small_and_float16() -> None:
    file = WEIGHTS / "diffusion_pytorch_model.safetensors"
    assert file.stat().st_size <= 6_000_000
    assert {weight.dtype for weight in load_file(file).values()} == {torch.float16}


def test_split_follows_the_sha256_of_the_shipped_files(photos: list[Photo]) -> None:
    sample = [photo for photo in photos if photo.package == "sample"]
    assert {photo.path for photo in sample} == {f"images/{file.name}" for file in (SAMPLE / "images").iterdir()}
    for photo in sample:
        assert hashlib.sha256((SAMPLE / photo.path).read_bytes()).hexdigest() == photo.sha256
        native = min(photo.width, photo.height) >= 256
        assert (photo.split == "held_out") == (native and held_out_by_sha256(photo.sha256))
    held_out = [photo for photo in photos if photo.split == "held_out"]
    assert len(held_out) >= 40
    assert all(photo.package == "sample" for photo in held_out)


def test_no_photo_used_in_training_is_near_a_held_out_one(photos: list[Photo]) -> None:
    held_out = [imagehash.hex_to_hash(photo.phash) for photo in photos if photo.split == "held_out"]
    used = [photo for photo in photos if photo.split != "held_out" and photo.excluded_because is None]
    assert len(used) > 300
    for photo in used:
        assert min(imagehash.hex_to_hash(photo.phash) - other for other in held_out) > 10


def test_listed_phashes_are_those_of_the_shipped_files(photos: list[Photo]) -> None:
    for photo in photos:
        if photo.package == "sample":
            with Image.open(SAMPLE / photo.path) as image:
                assert str(imagehash.phash(image.convert("RGB"))) == photo.phash, photo.path


def test_every_photo_names_a_free_licence(photos: list[Photo]) -> None:
    for photo in photos:
        assert is_free(photo.licence) or photo.licence in {"GPL-2+", "LGPL-2.1+", "LGPL-3"}, photo


def test_held_out_psnr(network: AutoencoderKL, held_out: list[bytes]) -> None:
    values = psnr_per_photo(network, held_out)
    assert len(values) == len(held_out) >= 40
    assert np.mean(values) >= 22.5


def test_scaled_latents_have_about_unit_variance(network: AutoencoderKL, held_out: list[bytes]) -> None:
    latents = latent_means(network, held_out) * network.config["scaling_factor"]
    assert latents.shape[1:] == (4, 32, 32)
    assert 0.7 <= latents.var().item() <= 1.4
    assert latents.mean((0, 2, 3)).abs().max() < 0.5


def test_encoding_does_not_depend_on_the_order_of_a_batch(network: AutoencoderKL, held_out: list[bytes]) -> None:
    batch = torch.cat([native_crop(content) for content in held_out[:8]])
    network = AutoencoderKL.from_pretrained(WEIGHTS, torch_dtype=torch.bfloat16).eval()
    make_channels_last(network)
    order = torch.tensor([5, 2, 7, 0, 3, 6, 1, 4])
    with torch.inference_mode():
        straight = posterior_of(network, batch.bfloat16()).mode()
        shuffled = posterior_of(network, batch[order].bfloat16()).mode()
    assert torch.equal(straight[order], shuffled)


def test_folding_an_affine_map_keeps_decoded_images() -> None:
    torch.manual_seed(0)
    network, images = new_network().eval(), torch.rand(2, 3, 64, 64) * 2 - 1
    mean, std = torch.tensor([0.3, -1.0, 2.0, 0.0]), torch.tensor([0.5, 2.0, 1.0, 4.0])
    with torch.inference_mode():
        posterior = posterior_of(network, images)
        before = decoded(network, posterior.mode())
        fold_affine(network, mean, std)
        folded = posterior_of(network, images)
        after = decoded(network, folded.mode())
    expected = (posterior.mode() - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(folded.mode(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(folded.std, posterior.std / std[:, None, None], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [16, 128])
def test_fused_group_norm_and_silu_equals_pytorch(channels: int) -> None:
    torch.manual_seed(0)
    plain, fused = torch.nn.GroupNorm(8, channels), GroupNormSilu(8, channels)
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.normal_()
    fused.load_state_dict(plain.state_dict())
    images = (torch.randn(3, channels, 16, 16) + 0.3).bfloat16().to(memory_format=torch.channels_last)
    towards = torch.randn(images.shape).bfloat16()
    wide, narrow = images.float().requires_grad_(), images.clone().requires_grad_()
    expected, found = torch.nn.functional.silu(plain(wide)), fused(narrow)
    (expected * towards.float()).sum().backward()
    (found.float() * towards.float()).sum().backward()
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.01)
    assert narrow.grad is not None
    torch.testing.assert_close(narrow.grad.float(), wide.grad, atol=0.03, rtol=0.02)
    torch.testing.assert_close(fused.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(fused.bias.grad, plain.bias.grad, atol=1e-3, rtol=1e-4)


def test_near_duplicates_are_grouped_through_chains() -> None:
    assert near_duplicate_groups(["0" * 16, "f" * 16, "00000000000003ff", "00000000000fffff"]) == [0, 1, 0, 0]


def test_credits_are_read_per_block_and_nc_is_not_free() -> None:
    first = "Copyright: A\nLicense: CC-BY-SA 4.0\nFiles:\na.webp\nb/c.webp\n"
    second = "Copyright: B\nLicense: CC-BY-NC-2.0\nFiles: d.webp\n"
    credits = parse_credits(f"{first}\n{second}")
    assert credits["a.webp"] == credits["b/c.webp"] == ("A", "CC-BY-SA 4.0")
    assert credits["d.webp"] == ("B", "CC-BY-NC-2.0")
    assert is_free("CC-BY-SA 4.0")
    assert is_free("Public domain")
    assert not is_free("CC-BY-NC-2.0")
    assert not is_free("All rights reserved")
