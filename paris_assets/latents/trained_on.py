"""Whether a codec was trained on a photo, by the list of its training photos."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from paris_assets.images.resize import resized
from paris_assets.models.decoding import decode

# Photos this close are one photo, by the rule that split the codec's training photos.
NEAR_DUPLICATE_BITS = 10
_HASHED_SIDE = 32  # to which imagehash would resize, however narrow the image


class TrainingPhotos:
    """The photos that a codec was trained on.

    Args:
        photos: its list, a JSON line each (``photos.jsonl``).
    """

    def __init__(self, photos: Path) -> None:
        lines = [json.loads(line) for line in photos.read_text().splitlines() if line.strip()]
        train = [photo for photo in lines if photo["split"] == "train" and not photo.get("excluded_because")]
        self._phashes = np.array([int(photo["phash"], 16) for photo in train if photo.get("phash")], np.uint64)
        self._sha256s = frozenset(photo["sha256"] for photo in train)

    def hold(self, image_id: str, data: bytes) -> bool:
        """Whether a training photo has the same bytes, or a pHash within the near-duplicate radius."""
        if sha256(data).hexdigest() in self._sha256s:
            return True
        grey = Image.fromarray(decode(image_id, data, None)).convert("L")
        own = imagehash.phash(resized(grey, (_HASHED_SIDE, _HASHED_SIDE), Image.Resampling.LANCZOS))
        distances = np.bitwise_count(self._phashes ^ np.uint64(int(str(own), 16)))
        return bool((distances <= NEAR_DUPLICATE_BITS).any())
