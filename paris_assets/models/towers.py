"""What the two towers of image-text networks share: one on images, one on texts, whose vectors can be compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.device import place
from paris_assets.models.normalise import normalise
from paris_assets.models.preprocessing import read_preprocessing
from paris_assets.models.transformer import load, load_tokenizer


class ImageTower(ABC):
    """Image encoder of a checkpoint, in the space of its text tower; preprocessing is the checkpoint's own.

    A kind of network says what it is by class attributes and ``vectors``. Options: ``scaled_decode``, see
    ``protocols.ImageNetwork``; ``hidden_act``, the activation that the weights were trained with: weights of OpenAI's
    CLIP under a configuration with another one give other vectors, and nothing else tells.

    Attributes:
        kind: class of the transformers library.
        processor: defaults of its image processor.
        model_types: ``model_type`` of the configurations that it reads.
        text_tower: class of the text encoder of the same checkpoint.

    Raises:
        WeightsError: a checkpoint of another kind, with another activation, or preprocessed as is not done here.
    """

    kind: ClassVar[Any]
    processor: ClassVar[dict[str, Any]]
    model_types: ClassVar[tuple[str, ...]]
    text_tower: ClassVar[Any]

    def __init__(self, model: Model, scaled_decode: bool = False, hidden_act: str | None = None) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        weights.require_kind(self._folder, self.model_types)
        self._network = load(self.kind, self._folder, self._placement)
        config = self._network.config
        vision = getattr(config, "vision_config", config)
        self.hidden_act, self.dim = str(vision.hidden_act), self.width(config)
        if hidden_act not in (None, self.hidden_act):
            raise WeightsError(
                f"{self.name}: config.json of {model.path} has the activation {self.hidden_act!r}, and options "
                f"say that the weights need {hidden_act!r}: take a configuration that fits them"
            )
        self._steps = read_preprocessing(self._folder, int(vision.image_size), self.processor)
        self.min_side = self._steps.resize if scaled_decode else None

    def width(self, config: Any) -> int:
        """Dimensions of a vector."""
        return int(config.projection_dim)

    @abstractmethod
    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, side, side) -> (B, dim), as the network gives them."""

    @property
    def preprocess(self) -> Callable[[np.ndarray], np.ndarray]:
        """(H, W, 3) uint8 -> (side, side, 3) uint8."""
        return self._steps.pixels

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B, dim) float32."""

        def vectors(rows: torch.Tensor) -> torch.Tensor:
            return self.vectors(normalise(rows, self._steps.values).to(self._placement.dtype)).float()

        return self._placement.compute(vectors, batch)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``; with the activation, which the weights do not tell."""
        found = weights.folder_identity(self._model, self._folder, self._placement.precision)
        return {**found, "hidden_act": self.hidden_act}


class TextTower(ABC):
    """Text encoder of a checkpoint, in the space of its image tower; texts are framed as in its training.

    Attributes:
        kind: class of the transformers library.
        tokens: positions of a text; longer ones are cut.
    """

    kind: ClassVar[Any]
    tokens: ClassVar[int]

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = f"{model.implementation} (texts)", model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        self._tokenizer = load_tokenizer(self._folder)
        self._network = load(self.kind, self._folder, self._placement)

    @abstractmethod
    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """Texts -> (B, tokens) int64 ids, and what else ``vectors`` takes."""

    @abstractmethod
    def vectors(self, *ids: torch.Tensor) -> torch.Tensor:
        """What ``ids`` gave -> (B, dim), as the network gives them."""

    def run(self, texts: Sequence[str]) -> np.ndarray:
        """``batch_size`` texts -> (B, dim) float32."""
        return self._placement.compute(lambda *ids: self.vectors(*ids).float(), *self.ids(texts))

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision)
