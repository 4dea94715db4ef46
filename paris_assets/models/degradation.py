"""How a picture is damaged, and whether it bears a watermark: small networks of our own, whose weights ship."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from scipy.special import expit, expm1
from torch import Tensor

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.degradation_network import DegradationNetwork
from paris_assets.models.degradation_scales import CAST_LOG
from paris_assets.models.degradation_views import row, views
from paris_assets.models.device import Placement, place, ready

PARTS: tuple[str, ...] = ("blur", "noise", "blocking", "cast", "watermark", "overall")
SHORTEST = 32
FLATTEST = 1.0
OVERALL = {"cast": 0.2, "blur": 0.3, "watermark": 0.25, "noise": 0.25}


class Degradation:
    """Image scorer of six parts, each 0 to 1 and the more the worse, but for `overall`.

    - `blur`, `noise`, `blocking`: of six native tiles of 128 pixels, so that size is none of it. 1 - exp(-x / scale) of the
      deviation of a Gaussian in pixels (scale 2), of the noise in grey levels (15), of libjpeg's scale of its tables in
      percent (200); see `degradation_scales`.
    - `cast`: of the picture at 448 pixels: the light's distance from white in log ratios of red and blue to green (0.5).
    - `watermark`: of the same view: the probability of a visible watermark: something laid over the picture that lets it through.
    - `overall`: 1 - (0.2 cast + 0.3 blur + 0.25 watermark + 0.25 noise), as the webscale pipeline weighs them.

    Unknown: all of pictures with less than 32 pixels on a side, and blur, with it overall, of those without a step.
    `weights/degradation/model_card.md` says how far each can be trusted.
    """  # noqa: E501

    parts = PARTS
    tells_unknown = True
    min_side: int | None = None
    preprocess = staticmethod(row)

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._network = load(carried.DEGRADATION.verified(), self._placement)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, ROW, 3) uint8 -> (B, 6) float32 in the order of `parts`; NaN is unknown."""
        return scores(self._network, batch, self._placement)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return carried.shipped_identity(self._model, carried.DEGRADATION, self._placement.precision)


def load(path: Path, placement: Placement) -> DegradationNetwork:
    """The networks with the weights of a file, ready on their device."""
    network = DegradationNetwork()
    network.load_state_dict(load_file(path))
    return ready(network.in_precision(placement.dtype), placement)


def scores(network: DegradationNetwork, rows: np.ndarray, placement: Placement) -> np.ndarray:
    """See ``Degradation.run``."""
    seen = views(rows)

    def found(tiles: Tensor, view: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _quality(network, tiles), _cast(network, view), _watermark(network, view)

    quality, cast, watermark = placement.compute_all(found, *map(np.ascontiguousarray, (seen.tiles, seen.view)))
    told_quality = _without_flat(_share(quality), seen.tiles)
    told = [*told_quality.T, _strength(cast), _share(watermark)]
    values: dict[str, np.ndarray] = dict(zip(PARTS[:-1], told, strict=True))
    overall = 1 - sum(weight * values[part] for part, weight in OVERALL.items())
    parts = np.stack([*values.values(), overall], 1).astype(np.float32)
    return np.where((seen.short_side >= SHORTEST)[:, None], parts, np.float32(math.nan))


def quality_scores(network: DegradationNetwork, tiles: np.ndarray, placement: Placement) -> np.ndarray:
    """(B, 6, 128, 128, 3) uint8 -> (B, 3) float32: blur, NaN where there is no step, noise and blocking."""
    found = placement.compute(partial(_quality, network), np.ascontiguousarray(tiles))
    return _without_flat(_share(found), tiles)


def cast_scores(network: DegradationNetwork, view: np.ndarray, placement: Placement) -> np.ndarray:
    """(B, 448, 448, 3) uint8 -> (B,) float32."""
    return _strength(placement.compute(partial(_cast, network), np.ascontiguousarray(view)))


def watermark_scores(network: DegradationNetwork, view: np.ndarray, placement: Placement) -> np.ndarray:
    """(B, 448, 448, 3) uint8 -> (B,) float32."""
    return _share(placement.compute(partial(_watermark, network), np.ascontiguousarray(view)))


def _quality(network: DegradationNetwork, tiles: Tensor) -> Tensor:
    return network.quality(_pixels(tiles))


def _without_flat(quality: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Quality with an unknown blur where there is no step."""
    flat = tiles[..., 1].reshape(*tiles.shape[:2], -1).std(-1).max(1) < FLATTEST
    told = quality.copy()
    told[flat, 0] = math.nan
    return told


def _cast(network: DegradationNetwork, view: Tensor) -> Tensor:
    return network.cast(_pixels(view)).values.float().norm(dim=1)


def _watermark(network: DegradationNetwork, view: Tensor) -> Tensor:
    return network.watermark(_pixels(view)).values.float()


def _share(logits: np.ndarray) -> np.ndarray:
    """Their sigmoid, float32. Value by value: torch rounds the last ones of a batch otherwise than the first."""
    return expit(logits.astype(np.float64)).astype(np.float32)


def _strength(shift: np.ndarray) -> np.ndarray:
    """Of a light's distance from white; as ``_share``, value by value."""
    return -expm1(-shift.astype(np.float64) / CAST_LOG).astype(np.float32)


def _pixels(values: Tensor) -> Tensor:
    return values.movedim(-1, -3).float()
