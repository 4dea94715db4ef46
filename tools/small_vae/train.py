"""Train the small VAE on native crops: 128 px first, 256 px last, for a given number of minutes."""

import copy
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import start_processes

from tools.small_vae.crops import CropSampler
from tools.small_vae.group_norm import fuse_group_norm_and_silu
from tools.small_vae.judge import mean_psnr
from tools.small_vae.muon import Muon
from tools.small_vae.network import decoded, make_channels_last, new_network, posterior_of
from tools.small_vae.photos import Photo

KL_WEIGHT = 1e-6
EMA_DECAY = 0.995
WARM_UP = 0.02


@dataclass(frozen=True)
class Plan:
    """How long and how: minutes of training, peak learning rates, when crops grow to 256 px, seed, threads."""

    minutes: float = 60.0
    muon_lr: float = 2e-3
    adam_lr: float = 2e-3
    large_crops_from: float = 0.6
    seed: int = 0
    workers: int = 2
    small_batch: int = 8
    large_batch: int = 2
    report_every_s: float = 240.0


def learning_rate_factor(progress: float) -> float:
    """Linear warm-up, then a cosine down to zero; `progress` runs from 0 to 1."""
    return min(progress / WARM_UP, 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def loss_of(network: AutoencoderKL, images: Tensor, progress: float, plan: Plan) -> Tensor:
    """Scalar: root of each image's squared error, or its logarithm (as in PSNR) for large crops, and a small KL."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = posterior_of(network, images)
        reconstructed = decoded(network, posterior.sample())
    squared_error = (reconstructed.float() - images).square().mean((1, 2, 3))
    large = progress >= plan.large_crops_from
    reconstruction = (squared_error + 1e-4).log().mean() * 0.1 if large else (squared_error + 1e-6).sqrt().mean()
    return reconstruction + KL_WEIGHT * posterior.kl().float().mean() / images[0].numel()


def optimizers_for(network: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the hidden convolution weights, Adam for biases, norms and the layers at pixels and latents."""
    outer = ("conv_in", "conv_out", "quant_conv")
    hidden, rest = [], []
    for name, parameter in network.named_parameters():
        is_hidden = parameter.dim() == 4 and not (any(word in name for word in outer))
        (hidden if is_hidden else rest).append(parameter)
    return [Muon(hidden, plan.muon_lr), torch.optim.Adam(rest, plan.adam_lr, betas=(0.9, 0.98))]


class TrainingState:
    """The network, its running average, the optimizers, seconds trained and steps done."""

    def __init__(self, network: AutoencoderKL, plan: Plan) -> None:
        fuse_group_norm_and_silu(network)
        make_channels_last(network)
        self.network = network
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizers = optimizers_for(self.network, plan)
        self.peaks = (plan.muon_lr, plan.adam_lr)
        self.elapsed_s, self.steps = 0.0, 0

    @torch.no_grad()
    def update(self, factor: float) -> None:
        """Step the optimizers at `factor` times their peak learning rates and move the average."""
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        decay = min(EMA_DECAY, self.steps / (self.steps + 10))
        for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    def save(self, path: Path) -> None:
        """Write everything that `load` needs; the old file stays whole until the new one is."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "elapsed_s": self.elapsed_s,
            "steps": self.steps,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def load(self, path: Path) -> None:
        """Take up a saved state."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.elapsed_s, self.steps = state["elapsed_s"], state["steps"]


def train(photos: list[Photo], contents: Mapping[str, bytes], plan: Plan, checkpoint: Path) -> None:
    """Train with `plan.workers` processes; the state is saved to `checkpoint` at every report and taken up from it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (photos, contents, plan, checkpoint, f"file://{folder}/rendezvous")
        start_processes(_work, arguments, nprocs=plan.workers, start_method="fork")


def _work(
    rank: int, photos: list[Photo], contents: Mapping[str, bytes], plan: Plan, checkpoint: Path, rendezvous: str
) -> None:
    """One data-parallel worker on one thread: on busy cores, two threads wait for each other at every operator."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=plan.workers)
    torch.manual_seed(plan.seed)
    usable = [photo for photo in photos if photo.excluded_because is None]
    validation = [contents[photo.sha256] for photo in usable if photo.split == "validation"]
    state = TrainingState(new_network(), plan)
    if checkpoint.exists():
        state.load(checkpoint)
    torch.manual_seed(plan.seed * 1_000_003 + state.steps * 97 + rank)
    training = [photo for photo in usable if photo.split == "train"]
    sampler = CropSampler(training, contents, seed=(plan.seed, state.steps, rank))
    next_report = state.elapsed_s + plan.report_every_s
    while state.elapsed_s < plan.minutes * 60:
        side = training_step(state, sampler, plan)
        if state.elapsed_s >= min(next_report, plan.minutes * 60):
            next_report += plan.report_every_s
            if rank == 0:
                state.save(checkpoint)
                psnr = mean_psnr(state.average, validation)
                minutes = state.elapsed_s / 60
                print(f"{minutes:.1f} min, {state.steps} steps, {side} px: validation {psnr:.2f} dB", flush=True)
    distributed.destroy_process_group()


def training_step(state: TrainingState, sampler: CropSampler, plan: Plan) -> int:
    """One step on every worker with averaged gradients and time, so that all stay the same. Returns the crop side."""
    started = time.perf_counter()
    progress = state.elapsed_s / (plan.minutes * 60)
    side, count = (256, plan.large_batch) if progress >= plan.large_crops_from else (128, plan.small_batch)
    loss_of(state.network, sampler.draw(count, side), progress, plan).backward()
    gradients = [parameter.grad for parameter in state.network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= plan.workers
    for gradient, averaged in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(averaged.view_as(gradient))
    state.update(learning_rate_factor(max(progress, 1e-3)))
    timing = torch.tensor([time.perf_counter() - started])
    distributed.all_reduce(timing)
    state.elapsed_s += timing.item() / plan.workers
    return side
