"""Training of the network for watermarks: on parts, on whole views, on pairs, and a head for the picture at last."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from paris_assets.models.degradation_network import Findings, WatermarkNetwork, summary
from paris_assets.models.degradation_views import VIEW
from tools.degradation.drawing import Drawing
from tools.degradation.pretrained import pretrained
from tools.degradation.samples import Marked, watermark_pair, watermark_sample
from tools.degradation.scenes import Scenes
from tools.degradation.train import BATCH, RATE, ROWS, Batch, as_pixels, batches, fitted

FEWEST_CELLS = 2
STRONGEST = 16
PAIRED = 0.5
PREFIX, NEW = "watermark.", ("shapes.", "near.", "wider.")
HEAD, HEAD_BATCHES, HEAD_EPOCHS = 1, 220, 20


class Phase(NamedTuple):
    """Steps on squares of so many pixels; half of those of a phase of pairs show the same part with and without."""

    name: str
    side: int
    batch: int
    steps: int
    rate: float
    pairs: bool = False


WATERMARK_PHASES = (
    Phase("parts", 224, 8, 12_000, RATE),
    Phase("views", VIEW, 8, 800, RATE / 4),
    Phase("parts again", 224, 8, 7_000, 0.6 * RATE),
    Phase("views again", VIEW, 8, 150, RATE / 8),
    Phase("parts at last", 224, 8, 5_000, 0.6 * RATE),
    Phase("pairs", 224, 8, 2_000, 0.4 * RATE, pairs=True),
    Phase("views at last", VIEW, 8, 100, RATE / 8),
)
"""Warm restarts (Loshchilov and Hutter 2017), each with samples of its own; the card says which of them saw what."""
CONTINUED = (
    Phase("pairs with shapes", 224, 8, 5_000, 0.5 * RATE, pairs=True),
    Phase("views with shapes", VIEW, 8, 250, RATE / 8),
)
"""What the shipped weights had from those before them on, in which `shapes` was new."""


def begun(weights: Path | None = None) -> WatermarkNetwork:
    """A network that begins with EfficientNet's first stages, of which nothing is heard yet.

    Args:
        weights: of degradation networks, which it has for the rest, and of these stages, too, where they have them.

    Raises:
        WeightsError: EfficientNet's file is absent or not the one expected.
        ValueError: the weights are of other networks.
    """
    network = WatermarkNetwork()
    network.shapes = pretrained()
    for unheard in (*network.near.parameters(), *network.wider.parameters()):
        nn.init.zeros_(unheard)
    if weights is not None:
        known = {
            name.removeprefix(PREFIX): each for name, each in load_file(weights).items() if name.startswith(PREFIX)
        }
        missing, unknown = network.load_state_dict({name: each.float() for name, each in known.items()}, strict=False)
        lacks = [name for name in missing if not name.startswith(NEW) and not name.endswith("num_batches_tracked")]
        if lacks or unknown:
            raise ValueError(f"{weights} has no weights {lacks[:3]}, and unknown ones {unknown[:3]}")
    return network


def train_watermark(
    scenes: Scenes,
    drawing: Drawing,
    share: float = 1.0,
    seed: int = 0,
    begin: WatermarkNetwork | None = None,
    phases: Sequence[Phase] = WATERMARK_PHASES,
    after: Callable[[WatermarkNetwork], object] = lambda network: None,
) -> WatermarkNetwork:
    """In bf16: first on parts of 224 pixels, then on whole views, by which
    at last a head for the picture is fitted to what the cells say.

    Args:
        begin: whose training goes on; by default one of ``begun``.
        after: called after each phase.
    """

    def one(sample: Marked, side: int) -> Batch:
        return as_pixels(sample.pixels), torch.from_numpy(sample.cells), torch.tensor(label(sample, side))

    def maker(side: int) -> Callable[[np.random.Generator], Batch]:
        return lambda random: one(watermark_sample(scenes, drawing, random, side), side)

    def pair_maker(side: int) -> Callable[[np.random.Generator], Batch]:
        def make(random: np.random.Generator) -> Batch:
            if random.random() < PAIRED:
                both: Sequence[Marked] = watermark_pair(scenes, drawing, random, side)
            else:
                both = [watermark_sample(scenes, drawing, random, side) for _ in range(2)]
            return tuple(torch.stack(parts) for parts in zip(*(one(sample, side) for sample in both), strict=True))

        return make

    torch.manual_seed(seed)
    pooled = Pooled(begin or begun())
    for number, phase in enumerate(phases):
        steps = max(1, round(phase.steps * share))
        seeds = (seed, phase.side, *([number] if number > 1 else []))
        make, loss, batch = maker(phase.side), watermark_loss, phase.batch
        if phase.pairs:
            make, loss, batch = pair_maker(phase.side), _loss_of_pairs, phase.batch // 2
        made = batches(make, seeds, steps, batch)
        shapes = pooled.network.shapes
        pooled = fitted(pooled, f"watermark, {phase.name}", made, loss, steps, phase.rate, torch.bfloat16, shapes)
        after(pooled.network)
    made = batches(maker(VIEW), (seed, HEAD), max(1, round(HEAD_BATCHES * share)), BATCH)
    return with_picture_head(pooled.network, made, seed)


def _loss_of_pairs(network: nn.Module, *batch: Tensor) -> Tensor:
    return watermark_loss(network, *(part.flatten(0, 1) for part in batch))


class Pooled(nn.Module):
    """While cells are trained: the picture's logit is a scaled mean of the strongest ones."""

    def __init__(self, network: WatermarkNetwork) -> None:
        super().__init__()
        self.network, self.scale = network, nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, pixels: Tensor) -> Findings:
        """(B, 3, S, S) pixels, 0 to 255 -> see the class."""
        cells, _ = self.network.seen(pixels)
        return Findings(cells.flatten(1).topk(STRONGEST).values.mean(1) * self.scale[0] + self.scale[1], cells)


def with_picture_head(network: WatermarkNetwork, made: Iterator[Batch], seed: int) -> WatermarkNetwork:
    """The network with its `picture` fitted to the summaries of views; nothing else of it changes."""
    found, labels = list[Tensor](), list[Tensor]()
    for pixels, _, told in made:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            cells, features = network.eval().seen(pixels.to(memory_format=torch.channels_last))
        found.append(summary(cells.float(), features.float()))
        labels.append(told)
    seen, told = torch.cat(found), torch.cat(labels)
    head = network.picture
    head.mean.copy_(seen.mean(0))
    head.deviation.copy_(seen.std(0).clamp_min(1e-2))
    torch.manual_seed(seed)
    steps = HEAD_EPOCHS * max(1, len(seen) // ROWS)
    order = torch.cat([torch.randperm(len(seen)) for _ in range(HEAD_EPOCHS + 1)])
    rows = ((seen[chosen], told[chosen]) for chosen in order[: steps * ROWS].split(ROWS))

    def loss(head: nn.Module, seen: Tensor, told: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(head(seen), told)

    network.picture = fitted(head, "watermark, picture", rows, loss, steps, RATE / 4)
    return network.eval()


def label(sample: Marked, side: int) -> float:
    """1 where a watermark can be seen, 0 where not, NaN where a part of the picture shows too little of one."""
    if side == VIEW:
        return float(sample.visible)
    if (sample.cells == 1).sum() >= FEWEST_CELLS:
        return 1.0
    return math.nan if sample.visible and np.isnan(sample.cells).any() else 0.0


def watermark_loss(network: nn.Module, pixels: Tensor, cells: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the cells and of the picture; NaN is no question."""
    found = network(pixels)
    asked, told = ~cells.isnan(), ~labels.isnan()
    weight = torch.where(cells[asked] > 0, 3.0, 1.0)
    by_cell = functional.binary_cross_entropy_with_logits(found.cells[asked], cells[asked], weight)
    whole = functional.binary_cross_entropy_with_logits(found.values[told], labels[told])
    return by_cell + 0.2 * whole
