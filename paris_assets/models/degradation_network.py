"""Three small networks: blur, noise and blocking by statistics of tiles; cast and watermark by convolutions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from paris_assets.models.degradation_statistics import COUNT, statistics
from paris_assets.models.inverted_residuals import InvertedResiduals
from paris_assets.models.transfer import numbers

QUALITY = ("blur", "noise", "blocking")
FAR = 5.0  # deviations of training; pictures beyond it are all the same
_LUMA = (0.299, 0.587, 0.114)
_SOFT = 8.0  # grey levels at which a step counts half of the most
_CAST_CELL = 8
_DARK = 0.02  # linear light below which colour is not told
_STRONGEST = (1, 4, 16, 64, 256)  # cells of the view whose means tell of the picture
_ABOUT = 16  # strongest cells whose features do


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
        self.watermark.picture.float()
        return self


class QualityNetwork(nn.Module):
    """(B, T, 3, 128, 128) pixels, 0 to 255 -> (B, 3) logits of blur, noise, blocking; in fp32.

    Two hidden layers on `degradation_statistics`, which are brought to mean 0 and deviation 1 of training's.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(COUNT))
        self.register_buffer("deviation", torch.ones(COUNT))
        layers = [RowLinear(COUNT, 256), nn.SiLU(), nn.Dropout(0.3), RowLinear(256, 128), nn.SiLU(), nn.Dropout(0.3)]
        self.body = nn.Sequential(*layers, RowLinear(128, len(QUALITY)))

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return self.of(statistics(pixels))

    def of(self, found: Tensor) -> Tensor:
        """(B, COUNT) statistics -> (B, 3)."""
        standard = ((found - self.mean) / self.deviation).clamp(-FAR, FAR)
        return self.body(standard)


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
        self.far = nn.Sequential(convolution(112, 160, 3, 2), Residual(160), Residual(160))
        self.across, self.back = nn.Conv2d(160, 112, 1), nn.Conv2d(112, 72, 1)
        self.shapes, self.near, self.wider = InvertedResiduals(), nn.Conv2d(40, 72, 1), nn.Conv2d(112, 72, 1)
        self.joined = nn.Sequential(Residual(72), Residual(72))
        self.head = nn.Conv2d(72, 1, 1)
        self.picture = PictureHead(2 * 72 + len(_STRONGEST) + 4)

    def forward(self, pixels: Tensor) -> Findings:
        """See the class."""
        cells, features = self.seen(pixels)
        return Findings(self.picture(summary(cells, features)), cells)

    def seen(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, (B, 72, S / 8, S / 8), of the cells."""
        middle = self.middle(self.fine(as_weights(fine_planes(pixels), self.fine)))
        wide = self.wide(middle)
        wide = wide + functional.interpolate(self.across(self.far(wide)), scale_factor=2.0)
        close, around = self.shapes(pixels)
        coarse = functional.interpolate(self.back(wide) + self.wider(around), scale_factor=2.0)
        features = self.joined(middle + self.near(close) + coarse).float()
        return self.head(features)[:, 0], features


class PictureHead(nn.Module):
    """(B, F) of `summary` -> (B,) logit of the picture; brought to mean 0 and deviation 1 of training's first."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.body = nn.Sequential(RowLinear(inputs, 64), nn.SiLU(), nn.Dropout(0.3), RowLinear(64, 1))

    def forward(self, found: Tensor) -> Tensor:
        """See the class."""
        return self.body(((found - self.mean) / self.deviation).clamp(-FAR, FAR))[:, 0]


def summary(cells: Tensor, features: Tensor) -> Tensor:
    """(B, h, w) logits and (B, C, h, w) features of cells -> (B, 2 C + 9).

    Of the logits means of the strongest 1 to 256 cells, the strongest means of 3 x 3 and of 7 x 7 cells, mean and
    deviation of all; then the features' means over the strongest 16 cells, and over all.
    """
    flat = cells.flatten(1)
    ordered = flat.sort(dim=1, descending=True, stable=True)
    means = [ordered.values[:, :count].mean(1) for count in _STRONGEST]
    around = [functional.avg_pool2d(cells[:, None], side, 1).flatten(1).amax(1) for side in (3, 7)]
    places = ordered.indices[:, None, :_ABOUT].expand(-1, features.shape[1], -1)
    strongest = features.flatten(2).gather(2, places).mean(2)
    told = torch.stack([*means, *around, flat.mean(1), flat.std(1)], 1)
    return torch.cat([told, strongest, features.flatten(2).mean(2)], 1)


class RowLinear(nn.Linear):
    """A linear layer that sums every row by itself: a matrix product's last bits depend on the row's place in it."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        return (input[:, None] * self.weight).sum(-1) + self.bias


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
    luma = (pixels * numbers(_LUMA, pixels.device).view(3, 1, 1)).sum(1, keepdim=True)
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
