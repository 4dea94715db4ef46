"""Train the small VAE on native crops: 128 px first, 256 px last, for a given number of minutes."""

import math
import time
from typing import cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tools.small_vae.crops import SIDE, CropSampler
from tools.small_vae.network import decoded, new_network, posterior_of

KL_WEIGHT = 1e-6
AVERAGE_DECAY = 0.995
PEAK_LEARNING_RATE = 2e-3
WARM_UP = 0.02
LARGE_CROPS_FROM = 0.6  # of the time
OUTER_LAYERS = ("conv_in", "conv_out", "quant_conv")
REPORT_EVERY_S = 60


def learning_rate(progress: float) -> float:
    """Linear warm-up, then a cosine down to zero; `progress` runs from 0 to 1."""
    return PEAK_LEARNING_RATE * min((progress + 1e-3) / WARM_UP, 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def loss_of(network: AutoencoderKL, images: Tensor, progress: float) -> Tensor:
    """Scalar: root of each image's squared error, or its logarithm (as in PSNR) for large crops, and a small KL."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = posterior_of(network, images)
        reconstructed = decoded(network, posterior.sample())
    squared_error = (reconstructed.float() - images).square().mean((1, 2, 3))
    large = progress >= LARGE_CROPS_FROM
    reconstruction = (squared_error + 1e-4).log().mean() * 0.1 if large else (squared_error + 1e-6).sqrt().mean()
    return reconstruction + KL_WEIGHT * posterior.kl().float().mean() / images[0].numel()


def averaged(average: Tensor, value: Tensor, steps: Tensor | int) -> Tensor:
    """The running average after one more value; it follows quickly at first."""
    return average.lerp(value, max(1 - AVERAGE_DECAY, 10 / (10 + float(steps))))


class Trainer:
    """The network, its running average and its optimizers.

    Muon (Jordan et al. 2024, with the update scale of arXiv 2502.16982) for the hidden convolutions; Adam for biases,
    norms and the layers at pixels and latents.
    """

    def __init__(self, network: AutoencoderKL) -> None:
        self.network = network.train()
        self._average = AveragedModel(network, avg_fn=averaged).eval()
        values = dict(network.named_parameters())
        hidden = [name for name in values if values[name].dim() == 4 and not any(word in name for word in OUTER_LAYERS)]
        self._hidden = [values[name] for name in hidden]
        rest = [values[name] for name in values if name not in hidden]
        # torch's Muon takes matrices only: these are the convolutions' own memory, seen as (out, in * height * width).
        self._matrices = [value.detach().view(len(value), -1) for value in self._hidden]
        muon = torch.optim.Muon(self._matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self._optimizers = (muon, torch.optim.Adam(rest, betas=(0.9, 0.98)))

    def step(self, images: Tensor, progress: float) -> float:
        """Train on (B, 3, S, S) images in [-1, 1] at a share `progress` of the whole training; the loss before it."""
        loss = loss_of(self.network, images, progress)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for matrix, weight in zip(self._matrices, self._hidden, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(progress)
            optimizer.step()
        self.network.zero_grad()
        self._average.update_parameters(self.network)
        return loss.item()

    def averaged_network(self) -> AutoencoderKL:
        """The network with the running average of the weights, for evaluation."""
        return cast(AutoencoderKL, self._average.module)


@torch.no_grad()
def mean_psnr(network: AutoencoderKL, crops: Tensor) -> float:
    """Mean PSNR in dB over (N, 3, 256, 256) crops in [-1, 1], without rounding to 8 bits."""
    errors = [(decoded(network, posterior_of(network, crop).mode()) - crop).square().mean() for crop in crops.split(1)]
    return -10 * (torch.stack(errors) / 4).log10().mean().item()


def train(sampler: CropSampler, validation: Tensor, minutes: float, seed: int = 0) -> AutoencoderKL:
    """Train a new network for `minutes`; returns its running average.

    `validation`, (N, 3, 256, 256) in [-1, 1], is watched: its PSNR is printed every minute.
    """
    torch.manual_seed(seed)
    trainer = Trainer(new_network())
    started, reports, steps = time.monotonic(), 0, 0
    while (seconds := time.monotonic() - started) < 60 * minutes:
        progress = seconds / (60 * minutes)
        count, side = (4, SIDE) if progress >= LARGE_CROPS_FROM else (16, SIDE // 2)
        trainer.step(sampler.draw(count, side), progress)
        steps += 1
        if seconds >= reports * REPORT_EVERY_S:
            reports += 1
            psnr = mean_psnr(trainer.averaged_network(), validation)
            print(f"{seconds / 60:.1f} min, {steps} steps, {side} px: validation {psnr:.2f} dB", flush=True)
    return trainer.averaged_network()
