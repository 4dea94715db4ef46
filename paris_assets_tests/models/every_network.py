"""Every network of the registry that torch runs, small or shipped, with a few rows: for what must hold of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file

from paris_assets.config import Model
from paris_assets.models.batches import BatchStats, only, run_padded
from paris_assets.models.registry import build, text_tower_class
from paris_assets.models.resnet import GemResNet50
from paris_assets_tests.models import tiny

ROWS = 6
TEXTS = [" ".join(["barn", "sea", "old stone bridge", "dog", "a red house"][: count + 1]) for count in range(5)] + [""]
Kind = Literal["images", "tower", "texts", "pixels"]


@dataclass(frozen=True)
class Sample:
    """A network of the registry.

    Attributes:
        weights: saves them in a folder; None: they ship.
        file: that the profile names, in place of the folder.
        kind: what it is given: ``tower``: the texts of an image encoder; ``pixels``: a codec's.
    """

    name: str
    implementation: str
    weights: Callable[[Path], Any] | None = None
    kind: Kind = "images"
    options: dict[str, Any] = field(default_factory=dict)
    file: str = ""

    def load(self, folder: Path, **settings: Any) -> Any:
        """The network, with weights in a folder where it has none of its own."""
        path = None
        if self.weights is not None:
            if not (folder / self.name).exists():
                self.weights(folder / self.name)
            path = folder / self.name / self.file
        given = {"precision": "fp32", "batch_size": ROWS, "options": self.options, **settings}
        model = Model(implementation=self.implementation, path=str(path) if path else None, **given)
        return text_tower_class(model)(model) if self.kind == "tower" else build(model)

    def results(self, network: Any, stats: BatchStats | None = None) -> list[np.ndarray]:
        """What it makes of the rows, as the stages run them."""
        run, rows = self._work(network)
        return list(run_padded(network.name, run, network.batch_size, stats or BatchStats(), rows))

    def _work(self, network: Any) -> tuple[Callable[..., tuple[np.ndarray, ...]], np.ndarray | Sequence[str]]:
        if self.kind == "pixels":
            return only(network.encode), pictures(64)
        if self.kind == "texts":
            return lambda texts: tuple(part for part in network.encode(texts, 16) if part is not None), TEXTS
        if self.kind == "tower":
            return only(network.run), TEXTS
        return only(network.run), np.stack([network.preprocess(rgb) for rgb in pictures(240)])


def pictures(side: int) -> np.ndarray:
    """(ROWS, side, side, 3) uint8: soft patches of colour with grain."""
    source = np.random.default_rng(3)
    patches = source.integers(0, 236, (ROWS, side // 8, side // 8, 3)).repeat(8, 1).repeat(8, 2)
    return (patches + source.integers(0, 20, (ROWS, side, side, 3))).astype(np.uint8)


def _sscd(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    save_file(
        {name: value.clone() for name, value in GemResNet50(24, 8).state_dict().items()}, folder / "model.safetensors"
    )


EVERY = (
    Sample("efficientnet-lite0", "efficientnet-lite0"),
    Sample("imagenet-labels", "imagenet-labels"),
    Sample("imagenet-tags", "imagenet-tags"),
    Sample("imagenet-tag-captions", "imagenet-tag-captions"),
    Sample("degradation", "degradation"),
    Sample("small-copy-detector", "small-copy-detector"),
    Sample("sscd", "sscd", _sscd, file="model.safetensors"),
    Sample("dinov2", "dinov2", tiny.dinov2),
    *(Sample(name, name, make) for name, make in tiny.TOWERS.items()),
    *(Sample(f"{name}-texts", name, make, "tower") for name, make in tiny.TOWERS.items()),
    Sample("vit-classifier", "vit-classifier", tiny.vit_classifier),
    Sample("blip-2", "blip-2", tiny.blip2, options={"max_new_tokens": 4}),
    Sample("minilm", "minilm", kind="texts"),
    Sample("clip-text", "clip-text", tiny.clip_text, "texts"),
    Sample("t5", "t5", lambda folder: tiny.t5(folder, "t5"), "texts"),
    Sample("umt5", "umt5", tiny.t5, "texts"),
    Sample("small-t5", "small-t5", kind="texts"),
    Sample("autoencoder-kl", "autoencoder-kl", tiny.autoencoder, "pixels"),
    Sample("autoencoder-kl-in-tiles", "autoencoder-kl", tiny.autoencoder, "pixels", {"tile_rows": 8}),
)
