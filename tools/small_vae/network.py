"""The small VAE: an `AutoencoderKL`, and its export with whitened latents, in float16."""

from pathlib import Path
from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

ARCHITECTURE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (16, 32, 64, 128),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "mid_block_add_attention": False,
    "latent_channels": 4,
    "sample_size": 256,
}
NARROW_LOG_VARIANCE = -6.0


def new_network() -> AutoencoderKL:
    """The untrained network, 2.6M parameters, (B, 3, 256, 256) -> (B, 4, 32, 32); narrow posteriors (std 0.05)."""
    network = AutoencoderKL(**ARCHITECTURE)
    encoder_end: Any = network.quant_conv
    with torch.no_grad():
        encoder_end.bias[ARCHITECTURE["latent_channels"] :] = NARROW_LOG_VARIANCE
    return network


def posterior_of(network: AutoencoderKL, images: Tensor) -> DiagonalGaussianDistribution:
    """The posterior over (B, 4, H/8, W/8) unscaled latents of (B, 3, H, W) images in [-1, 1]."""
    return network.encode(images, return_dict=False)[0]


def decoded(network: AutoencoderKL, latents: Tensor) -> Tensor:
    """(B, 3, H, W) images, about in [-1, 1], from (B, 4, H/8, W/8) unscaled latents."""
    return network.decode(cast(torch.FloatTensor, latents), return_dict=False)[0]


@torch.no_grad()
def fold_affine(network: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make channel c of the latents (z - mean[c]) / std[c], in place; decoded images stay as they are.

    Both 1x1 convolutions around the latents are affine, so the change is exact. `mean`, `std`: (latent channels,).
    """
    before: Any = network.quant_conv
    after: Any = network.post_quant_conv
    channels = len(mean)
    before.weight[:channels] /= std[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) / std
    before.bias[channels:] -= 2 * std.log()
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= std[None, :, None, None]


@torch.no_grad()
def export(network: AutoencoderKL, crops: Tensor, folder: Path) -> None:
    """Whiten the latents over `crops`, (N, 3, 256, 256) in [-1, 1], and save config and float16 weights to `folder`.

    The network is changed in place. The scaling factor is 1 / standard deviation of the whitened latents of the crops.
    """
    latents = torch.cat([posterior_of(network, batch).mode() for batch in crops.split(8)])
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    fold_affine(network, mean, std)
    whitened = (latents - mean[:, None, None]) / std[:, None, None]
    network.register_to_config(scaling_factor=round(1 / whitened.std().item(), 5))
    network.half().save_pretrained(folder)
