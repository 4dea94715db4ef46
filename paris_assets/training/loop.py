"""The loop that trains an expert or the router: steps, averages of weights, checkpoints, a log, and going on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from paris_assets.errors import UserError
from paris_assets.training.checkpoints import Checkpoint, CheckpointError, latest, save
from paris_assets.training.flow import generator
from paris_assets.training.loader import Loader
from paris_assets.training.networks import build
from paris_assets.training.step_log import StepLog
from paris_assets.training.task import Recipe, Task

LOG = "log.jsonl"
BETAS = (0.9, 0.95)
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Diverged(UserError, ArithmeticError):
    """A loss or gradient that is no number."""


@contextmanager
def ranks(device: torch.device) -> Iterator[torch.device]:
    """The device of this process; under torchrun one of several that train together."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    own = torch.device(device.type, int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device
    if own.type == "cuda":
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield own
    finally:
        distributed.destroy_process_group()


def train(task: Task, recipe: Recipe, folder: Path, device: torch.device, say: Callable[[str], None]) -> None:
    """Train up to the recipe's steps, from the last checkpoint in the folder on.

    Every random number follows from seed, step and rank, so that a training that was stopped gives what an unbroken one
    gives, on one machine to the bit.

    Raises:
        CheckpointError: the folder has one of another network.
        UsageError: its position is one in other files, or in another order.
        Diverged: the loss or its gradient is no number.
        FileError: the folder cannot be written.
    """
    run = _Run(task, recipe, folder, device)
    if run.main:
        log = StepLog(folder / LOG, run.step, say)
        if run.step >= recipe.steps:
            say(f"{folder} has {run.step} steps already: give more --steps to go on")
    batches, losses, started = _endless(task.loader), list[torch.Tensor](), time.perf_counter()
    while run.step < recipe.steps:
        loss, norm = run.take_step(batches)
        losses.append(loss)
        logs, saves, validates = map(run.due, (recipe.log_every, recipe.save_every, recipe.validate_every))
        if logs or saves:
            mean = _mean(losses)
            if not math.isfinite(mean) or not math.isfinite(norm):
                raise Diverged(
                    f"the loss is {mean} and its gradient {float(norm)} at step {run.step}: run again with a smaller "
                    f"--rate, which goes on from the last checkpoint in {folder}"
                )
        if logs and run.main:
            took, started = time.perf_counter() - started, time.perf_counter()
            figures = {"loss": mean, "gradient": float(norm), "rate": run.rate, "steps_per_s": len(losses) / took}
            log.add(run.step, epoch=task.loader.dataset.position.epoch, **figures)
        if logs:
            losses.clear()
        if validates and run.main and task.validate:
            log.add(run.step, validation=run.validated(task.validate))
        if saves and run.main:
            run.save()


@dataclass
class _Run:
    """Weights, averages and moments between two steps."""

    task: Task
    recipe: Recipe
    folder: Path
    device: torch.device
    step: int = 0
    rate: float = 0.0
    main: bool = field(init=False)

    def __post_init__(self) -> None:
        together = distributed.is_initialized()
        self.rank = distributed.get_rank() if together else 0
        self.main = self.rank == 0
        found = latest(self.folder)
        if found:
            self._require_same(found)
        torch.manual_seed(self.recipe.seed)
        self.network = build({**self.task.design, **self.task.options}).to(self.device)
        self.average = deepcopy(self.network).requires_grad_(False)
        # The fused kernel makes no copies of all moments, which would not fit beside the largest network.
        fused = True if self.device.type == "cuda" else None
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), self.recipe.rate, BETAS, weight_decay=self.recipe.decay, fused=fused
        )
        if found:
            self._go_on(found)
        self.trained = (
            nn.parallel.DistributedDataParallel(self.network, gradient_as_bucket_view=True)
            if together
            else self.network
        )

    def due(self, every: int) -> bool:
        """Whether what is done every so many steps, and at the end, is done now; 0: never."""
        return bool(every) and (self.step == self.recipe.steps or self.step % every == 0)

    def take_step(self, batches: Iterator[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and the gradient's norm of one more step."""
        recipe, source = self.recipe, generator(self.device, self.recipe.seed, self.step, self.rank)
        self.rate = recipe.rate * min(1.0, (self.step + 1) / max(1, recipe.warmup))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        losses = []
        for _ in range(recipe.accumulate):
            batch = on_device(next(batches), self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.bf16):
                loss = self.task.loss(self.trained, batch, source)
            (loss / recipe.accumulate).backward()
            losses.append(loss.detach())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        kept = min(recipe.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - kept)
        return torch.stack(losses).mean(), norm

    def validated(self, validate: Callable[[nn.Module], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Figures of the averaged network."""
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            return validate(self.average)

    def save(self) -> None:
        """Write a checkpoint."""
        moments = {
            f"{moment}.{name}": self.optimiser.state[parameter][moment]
            for name, parameter in self.network.named_parameters()
            for moment in MOMENTS
        }
        files = {"weights": self.network.state_dict(), "ema": self.average.state_dict(), "optimiser": moments}
        state = {
            "step": self.step,
            "network": dict(self.task.design),
            **self.task.told,
            "position": self.task.loader.state_dict(),
        }
        save(self.folder, self.step, files, state, self.recipe.keep)

    def _require_same(self, found: Checkpoint) -> None:
        there, here = found.state["network"], dict(self.task.design)
        if there != here:
            other = [
                f"{key} {there.get(key)} there and {here[key]} here" for key in here if there.get(key) != here[key]
            ]
            raise CheckpointError(
                f"{found.folder} is of another network ({', '.join(other)}): name another --out, or train that one"
            )

    def _go_on(self, found: Checkpoint) -> None:
        self.task.loader.load_state_dict(found.state["position"])
        self.step = found.state["step"]
        self.network.load_state_dict(found.tensors("weights", self.device))
        self.average.load_state_dict(found.tensors("ema", self.device))
        moments, state = found.tensors("optimiser"), self.optimiser.state_dict()
        names = [name for name, _ in self.network.named_parameters()]
        state["state"] = {
            number: {moment: moments[f"{moment}.{name}"] for moment in MOMENTS} for number, name in enumerate(names)
        }
        self.optimiser.load_state_dict(state)


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch with its tensors there; numbers that are no integers as float32."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        there = tensor.to(device, non_blocking=True)
        return there.float() if there.is_floating_point() else there

    return {name: moved(value) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def _endless(loader: Loader) -> Iterator[dict[str, Any]]:
    while True:
        yield from loader


def _mean(losses: list[torch.Tensor]) -> float:
    """Over steps and ranks."""
    mean = torch.stack(losses).mean()
    if distributed.is_initialized():
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
    return mean.item()
