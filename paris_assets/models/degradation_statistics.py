"""What fixed filters say of native tiles: of grain, of softness and of the 8 x 8 grid; a network reads these."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from paris_assets.models.transfer import numbers

LAGS = (1, 2, 3, 4, 6, 8, 12)
QUANTILES = (0.02, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.98)
BLOCK = 16
COUNT = 113
"""Statistics of a picture."""
GRID = 8
_LUMA = (0.299, 0.587, 0.114)
_FAINT = 0.05  # grey levels: below it no logarithm tells anything
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
_MIDDLE_HIGH = (0.5, 0.9)
_BANDS = ((1, 2), (3, 4), (5, 6), (7, 9), (10, 14))  # sums of the two frequencies of the cosine transform


def statistics(pixels: Tensor) -> Tensor:
    """(B, T, 3, 128, 128) float32 pixels, 0 to 255 -> (B, F) float32.

    - Over blocks of 16 x 16 of all tiles, quantiles of the logarithms of Immerkaer's noise response, of the deviation of
      the luma, of neighbours' steps by those over eight pixels, and of the response in the chroma.
    - Energies of steps over 1 to 12 pixels, of all and of the third of the blocks with the steepest.
    - The step at each of the eight places of the grid, in each direction, and how many steps are none.
    - How steps over 1 and 2 pixels stand to those over 8 in the directions where that is least and most, of the blocks
      that are steepest in that direction: motion blurs one direction alone.
    - Of the blocks' cosine transform, by bands of frequencies: the median magnitude, and the share that is next to nought.
    """  # noqa: E501
    luma = (pixels * numbers(_LUMA, pixels.device).view(3, 1, 1)).sum(2)
    chroma = torch.stack([pixels[:, :, 2] - luma, pixels[:, :, 0] - luma], 2).flatten(1, 2)
    return torch.cat([_blocks(luma, chroma), _steps(luma), _directions(luma), _phases(luma), _frequencies(luma)], 1)


def _blocks(luma: Tensor, chroma: Tensor) -> Tensor:
    grain, colour = (_block_means(_immerkaer(plane).abs()).flatten(1) for plane in (luma, chroma))
    mean, square = _block_means(luma), _block_means(luma**2)
    deviation = (square - mean**2).clamp_min(0).sqrt().flatten(1)
    near, far = (_block_means(_both_ways(luma, lag)).flatten(1) for lag in (1, 8))
    sharpness = _log(near, 1.0) - _log(far, 1.0)
    steep = far >= far.quantile(0.7, 1, keepdim=True)
    sharpest = torch.where(steep, sharpness, torch.nan)
    planes = (_log(grain), _log(deviation), sharpness, _log(colour))
    quantiles = numbers(QUANTILES, sharpness.device)
    found = [plane.quantile(quantiles, 1).T for plane in planes]
    return torch.cat([*found, sharpest.nanquantile(quantiles, 1).T], 1)


def _steps(luma: Tensor) -> Tensor:
    """Logarithms of mean squared steps, of all blocks and of the steepest."""
    energies = [_block_means(_both_ways(luma, lag)).flatten(1) for lag in LAGS]
    steep = (energies[LAGS.index(8)] >= energies[LAGS.index(8)].quantile(0.7, 1, keepdim=True)).to(luma)
    whole = [_log(energy.mean(1), 1.0) for energy in energies]
    steepest = [_log((energy * steep).sum(1) / steep.sum(1), 1.0) for energy in energies]
    return torch.stack([*whole, *steepest], 1)


def _directions(luma: Tensor) -> Tensor:
    """Quantiles of the logarithm of steps over one and two pixels by those over eight, of the fifth of the blocks with
    the steepest in a direction: the least, the mean and the most of four directions."""
    levels, ratios = numbers(_MIDDLE_HIGH, luma.device), []
    for down, right in _DIRECTIONS:
        one, two, far = (_block_means(_steps_towards(luma, lag * down, lag * right)).flatten(1) for lag in (1, 2, 8))
        steep = far >= far.quantile(0.8, 1, keepdim=True)
        near = torch.stack([one, two], 1)
        sharpness = torch.where(steep[:, None], _log(near, 1.0) - _log(far, 1.0)[:, None], torch.nan)
        ratios.append(sharpness.nanquantile(levels, 2).permute(1, 2, 0).flatten(1))
    each = torch.stack(ratios, 1)  # (B, directions, lags x quantiles)
    return torch.cat([each.amin(1), each.mean(1), each.amax(1)], 1)


def _steps_towards(luma: Tensor, down: int, right: int) -> Tensor:
    """Squared steps over so many pixels downwards (at least 0) and to the right; none beyond the tile."""
    left, right = max(0, -right), max(0, right)
    height, width = luma.shape[-2] - down, luma.shape[-1] - left - right
    steps = luma[..., down:, right : right + width] - luma[..., :height, left : left + width]
    return functional.pad(steps**2, (left, right, 0, down))


def _phases(luma: Tensor) -> Tensor:
    """Of the steps between neighbours at each place of the grid: how they stand out from their mean, the most that one
    does, the share of steps that are none, and how that stands out."""
    found = []
    for plane in (luma, luma.mT):
        steps = (plane[..., 1:] - plane[..., :-1]).abs()
        by_place = functional.pad(steps, (0, 1)).unflatten(-1, (-1, GRID)).mean((1, 2, 3))
        none = functional.pad((steps < 0.5).to(steps), (0, 1)).unflatten(-1, (-1, GRID)).mean((1, 2, 3))
        stands_out = _log(by_place) - _log(by_place.mean(1, keepdim=True))
        found += [stands_out, stands_out.amax(1, keepdim=True), none.mean(1, keepdim=True)]
        found += [none.amax(1, keepdim=True) - none.amin(1, keepdim=True)]
    return torch.cat(found, 1)


def _frequencies(luma: Tensor) -> Tensor:
    blocks = luma.unflatten(-1, (-1, GRID)).unflatten(-3, (-1, GRID)).transpose(-3, -2)  # (B, T, 16, 16, 8, 8)
    basis = _cosines(luma)
    coefficients = (basis @ blocks.flatten(1, 3) @ basis.T).abs()  # (B, blocks, 8, 8)
    places = torch.arange(GRID, device=luma.device)
    sums = places[:, None] + places
    found = []
    for low, high in _BANDS:
        band = coefficients[..., (sums >= low) & (sums <= high)].flatten(1)
        found += [
            _log(band.median(1).values),
            _log(band.mean(1)),
            (band < 1).float().mean(1),
            (band < 3).float().mean(1),
        ]
    return torch.stack(found, 1)


def _cosines(like: Tensor) -> Tensor:
    """(8, 8): the orthonormal cosine transform of type II."""
    places = torch.arange(GRID, device=like.device, dtype=like.dtype)
    basis = torch.cos(math.pi * (places + 0.5) * places[:, None] / GRID) * math.sqrt(2 / GRID)
    basis[0] /= math.sqrt(2)
    return basis


def _immerkaer(planes: Tensor) -> Tensor:
    """(B, P, H, W) -> the same size: a filter to which planes and edges are nought (Immerkaer 1996)."""
    rows = _second(planes)
    return _second(rows.mT).mT * math.sqrt(math.pi / 2) / 6


def _second(planes: Tensor) -> Tensor:
    around = functional.pad(planes, (1, 1, 0, 0), mode="replicate")
    return around[..., :-2] - 2 * planes + around[..., 2:]


def _both_ways(luma: Tensor, lag: int) -> Tensor:
    """Squared steps over so many pixels to the right and downwards; none beyond the tile."""
    return _steps_towards(luma, 0, lag) + _steps_towards(luma, lag, 0)


def _block_means(planes: Tensor) -> Tensor:
    return functional.avg_pool2d(planes, BLOCK)


def _log(values: Tensor, faint: float = _FAINT) -> Tensor:
    return (values + faint).log()
