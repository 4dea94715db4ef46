"""Judge a VAE: PSNR on native centre crops, moments of its latents, encoding speed."""

import io
import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from tools.small_vae.crops import centre_crop, to_tensor
from tools.small_vae.network import decoded, make_channels_last, posterior_of
from tools.small_vae.photos import NATIVE_SIDE


def native_crop(content: bytes) -> Tensor:
    """(1, 3, 256, 256) float32 in [-1, 1]: the centre of the file at native resolution.

    Raises ValueError when a side of the file is below 256 pixels.
    """
    with Image.open(io.BytesIO(content)) as image:
        return to_tensor([centre_crop(np.asarray(image.convert("RGB")), NATIVE_SIDE)])


def has_native_crop(content: bytes) -> bool:
    """Whether the file's short side reaches 256 pixels."""
    with Image.open(io.BytesIO(content)) as image:
        return min(image.size) >= NATIVE_SIDE


def psnr(reconstructed: Tensor, original: Tensor) -> float:
    """PSNR in dB of one image in [-1, 1] after rounding the reconstructed one to 8 bits; peak 255."""
    as_bytes = (reconstructed.float().clamp(-1, 1) * 127.5 + 127.5).round()
    error = (as_bytes - (original * 127.5 + 127.5)).square().mean().item()
    return 10 * float(np.log10(255**2 / max(error, 1e-10)))


@torch.inference_mode()
def psnr_per_photo(network: AutoencoderKL, contents: Iterable[bytes]) -> list[float]:
    """PSNR in dB for each photo that has a native crop, in the given order.

    Latents are posterior means; images go through one at a time, so that no value depends on the others.
    """
    values = []
    for content in contents:
        if has_native_crop(content):
            crop = native_crop(content)
            values.append(psnr(decoded(network, posterior_of(network, crop).mode()), crop))
    return values


def mean_psnr(network: AutoencoderKL, contents: Sequence[bytes]) -> float:
    """Mean of the per-photo PSNR in dB. Raises ValueError when no photo has a native crop."""
    values = psnr_per_photo(network, contents)
    if not values:
        raise ValueError("no photo has a short side of at least 256 pixels")
    return float(np.mean(values))


@torch.inference_mode()
def latent_means(network: AutoencoderKL, contents: Iterable[bytes]) -> Tensor:
    """(N, 4, 32, 32) unscaled posterior means of the native crops."""
    crops = [native_crop(content) for content in contents if has_native_crop(content)]
    return torch.cat([posterior_of(network, crop).mode() for crop in crops])


@torch.inference_mode()
def images_per_second(
    network: AutoencoderKL, dtype: torch.dtype, channels_last: bool, batch: int = 4, seconds: float = 4.0
) -> float:
    """Encoded 256-pixel images per second on this machine; the network is converted in place."""
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    nn.Module.to(network, dtype)
    if channels_last:
        make_channels_last(network)
    images = torch.rand(batch, 3, NATIVE_SIDE, NATIVE_SIDE).mul_(2).sub_(1).to(dtype).to(memory_format=memory_format)
    for _ in range(2):
        network.encode(images)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        network.encode(images)
        count += batch
    return count / (time.perf_counter() - started)
