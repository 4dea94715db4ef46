"""Three small networks: blur, noise and blocking by statistics of tiles; cast and watermark by convolutions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from paris_assets.models.degradation_statistics import COUNT, statistics

QUALITY = ("blur", "noise", "blocking")
FAR = 5.0  # deviations of training; pictures beyond it are all the same
_LUMA = (0.299, 0.587, 0.114)
_SOFT = 8.0  # grey levels at which a step counts half of the most
_CAST_CELL = 8
_DARK = 0.02  # linear light below which colour is not told
_STRONGEST = 16  # cells of the view that decide whether there is a watermark


class Findings(NamedTuple):
    """Of a network on cells: `values`, pooled, and the `cells` that they were pooled from."""

    values: Tensor
    cells: Tensor


class DegradationNetwork(nn.Module):
    """The three together, as they are stored. Convolutions compute in the dtype that `in_precision` sets, else fp32."""

    def __init__(self) -> None:
        super().__init__()
        self.quality, self.cast, self.watermark = QualityNetwork(), CastNetwork(), WatermarkNetwork()

    def in_precision(self, dtype: torch.dtype) -> DegradationNetwork:
        """Itself, in place."""
        for network in (self.cast, self.watermark):
            network.to(dtype)
            network.head.float()
        self.watermark.scale.data = self.watermark.scale.data.float()
        return self


class QualityNetwork(nn.Module):
    """(B, T, 3, 128, 128) pixels, 0 to 255 -> (B, 3) in 0 to 1: blur, noise, blocking; in fp32.

    Two hidden layers on `degradation_statistics`, which are brought to mean 0 and deviation 1 of training's.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(COUNT))
        self.register_buffer("deviation", torch.ones(COUNT))
        layers = [nn.Linear(COUNT, 256), nn.SiLU(), nn.Dropout(0.1), nn.Linear(256, 128), nn.SiLU(), nn.Dropout(0.1)]
        self.body = nn.Sequential(*layers, nn.Linear(128, len(QUALITY)))

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return self.of(statistics(pixels))

    def of(self, found: Tensor) -> Tensor:
        """(B, COUNT) statistics -> (B, 3)."""
        standard = ((found - self.mean) / self.deviation).clamp(-FAR, FAR)
        return self.body(standard).sigmoid()


class CastNetwork(nn.Module):
    """(B, 3, 448, 448) pixels, 0 to 255 -> (B, 2): the light's log ratios red : green and blue : green.

    What multiplies a channel by a constant moves these ratios alike in every cell, so that cells vote on a shift.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(4, 32, 3, 1), convolution(32, 32, 3, 2), convolution(32, 48, 3, 2), Residual(48)
        )
        self.head = nn.Conv2d(48, 3, 1)

    def forward(self, pixels: Tensor) -> Findings:
        """See the class."""
        planes = colour_planes(pixels)
        cells = self.head(self.body(as_weights(planes, self.body)).float())
        own = functional.avg_pool2d(planes[:, :2], 4, ceil_mode=True, count_include_pad=False)
        votes, sure = cells[:, :2] + own, cells[:, 2:]
        return Findings((votes * sure.flatten(1).softmax(-1).view_as(sure)).sum((2, 3)), votes)


class WatermarkNetwork(nn.Module):
    """(B, 3, S, S) pixels, 0 to 255 -> (B,) logit of a visible watermark, and of each 8 x 8 cell (B, S / 8, S / 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(6, 16, 4, 2), convolution(16, 40, 3, 2), Residual(40))
        self.middle = nn.Sequential(convolution(40, 72, 3, 2), Residual(72), Residual(72))
        self.wide = nn.Sequential(convolution(72, 112, 3, 2), *(Residual(112) for _ in range(3)))
        self.back = nn.Conv2d(112, 72, 1)
        self.joined = Residual(72)
        self.head = nn.Conv2d(72, 1, 1)
        self.scale = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, pixels: Tensor) -> Findings:
        """See the class."""
        middle = self.middle(self.fine(as_weights(fine_planes(pixels), self.fine)))
        wide = functional.interpolate(self.back(self.wide(middle)), scale_factor=2.0)
        cells = self.head(self.joined(middle + wide).float())[:, 0]
        strongest = cells.flatten(1).topk(_STRONGEST).values.mean(1)
        return Findings(strongest * self.scale[0] + self.scale[1], cells)


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution (3 x 3, or 4 x 4 with stride 2), batch normalisation, SiLU; the size divided by `stride`."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class Residual(nn.Module):
    """x + convolution(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = convolution(channels, channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x + self.body(x)


def as_weights(planes: Tensor, body: nn.Module) -> Tensor:
    """The planes in the dtype of a body's weights."""
    return planes.to(next(body.parameters()).dtype)


def fine_planes(pixels: Tensor) -> Tensor:
    """(B, 3, H, W), 0 to 255 -> (B, 6, H, W): luma, two chromas, and of the luma the steps to the left and upwards and
    what a cross of neighbours does not foretell, of which grain and pixels' edges are made; these in -1 to 1."""
    luma = (pixels * pixels.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    chroma = torch.cat([pixels[:, 2:] - luma, pixels[:, :1] - luma], 1)
    around = functional.pad(luma, (1, 1, 1, 1), mode="replicate")
    left, right = around[..., 1:-1, :-2], around[..., 1:-1, 2:]
    above, below = around[..., :-2, 1:-1], around[..., 2:, 1:-1]
    residuals = torch.cat([luma - left, luma - above, luma - (left + right + above + below) / 4], 1)
    return torch.cat([luma / 128 - 1, chroma / 64, residuals / (residuals.abs() + _SOFT)], 1)


def colour_planes(pixels: Tensor) -> Tensor:
    """(B, 3, H, W), 0 to 255 -> (B, 4, H / 8, W / 8): of the light of cells the log ratios red : green and blue :
    green, the logarithm of green, and the share of pixels that are cut at white."""
    light = functional.avg_pool2d((pixels / 255) ** 2.2, _CAST_CELL).clamp_min(0) + _DARK
    red, green, blue = light.log().chunk(3, 1)
    cut = functional.avg_pool2d((pixels.amax(1, keepdim=True) > 250).to(pixels), _CAST_CELL)
    return torch.cat([red - green, blue - green, green / 2 + 1, cut], 1)
