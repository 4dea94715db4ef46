"""The small VAE's architecture, and its two halves as plain functions on tensors."""

from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor, nn

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
    with torch.no_grad():
        bias_of(latent_convolutions(network)[0])[ARCHITECTURE["latent_channels"] :] = NARROW_LOG_VARIANCE
    return network


def latent_convolutions(network: AutoencoderKL) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The 1x1 convolutions just before and just after the latents. Raises TypeError when the network lacks one."""
    before, after = network.quant_conv, network.post_quant_conv
    if not (isinstance(before, nn.Conv2d) and isinstance(after, nn.Conv2d)):
        raise TypeError("expected an AutoencoderKL with quant_conv and post_quant_conv")
    return before, after


def bias_of(convolution: nn.Conv2d) -> Tensor:
    """The bias. Raises TypeError when the convolution has none."""
    if convolution.bias is None:
        raise TypeError("expected a convolution with a bias")
    return convolution.bias


def make_channels_last(network: nn.Module) -> None:
    """Lay out the convolution weights as channels_last, in place, as CPUs with AMX want them."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def posterior_of(network: AutoencoderKL, images: Tensor) -> DiagonalGaussianDistribution:
    """The posterior over (B, 4, H/8, W/8) unscaled latents of (B, 3, H, W) images in [-1, 1]."""
    return network.encode(images, return_dict=False)[0]


def decoded(network: AutoencoderKL, latents: Tensor) -> Tensor:
    """(B, 3, H, W) images, about in [-1, 1], from (B, 4, H/8, W/8) unscaled latents."""
    return network.decode(cast(torch.FloatTensor, latents), return_dict=False)[0]
