"""Write the trained network as `AutoencoderKL.from_pretrained` reads it: whitened latents, float16."""

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from tools.small_vae.network import bias_of, latent_convolutions, new_network, posterior_of


def fold_affine(network: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make channel c of the latents (z - mean[c]) / std[c], in place; decoded images stay as they are.

    Both 1x1 convolutions around the latents are affine, so the change is exact. `mean`, `std`: (latent channels,).
    """
    encoder_end, decoder_start = latent_convolutions(network)
    bias, channels = bias_of(encoder_end), len(mean)
    with torch.no_grad():
        encoder_end.weight[:channels] /= std[:, None, None, None]
        bias[:channels] = (bias[:channels] - mean) / std
        bias[channels:] -= 2 * std.log()
        bias_of(decoder_start).add_(decoder_start.weight[:, :, 0, 0] @ mean)
        decoder_start.weight *= std[None, :, None, None]


def export(state_dict: dict[str, Tensor], crops: Tensor, folder: Path) -> AutoencoderKL:
    """Whiten the latents over `crops`, (N, 3, 256, 256) float32 in [-1, 1], and save config and float16 weights.

    The scaling factor is 1 / standard deviation of the whitened latents over the same crops. Returns the network.
    """
    network = new_network().eval()
    network.load_state_dict(state_dict)
    latents = encoded(network, crops)
    fold_affine(network, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    network.register_to_config(scaling_factor=round(1 / encoded(network, crops).std().item(), 5))
    network.half().save_pretrained(folder)
    return network


@torch.inference_mode()
def encoded(network: AutoencoderKL, crops: Tensor) -> Tensor:
    """(N, 4, 32, 32) posterior means of (N, 3, 256, 256) crops, eight at a time."""
    return torch.cat([posterior_of(network, batch).mode() for batch in crops.split(8)])
