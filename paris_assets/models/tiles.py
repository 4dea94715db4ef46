"""Layers of an AutoencoderKL in tiles of a few rows: what the network makes is the same, in a fraction of the memory.

Tiling the picture itself, as is usual, changes latents: each tile is normalised by its own mean and deviation. Here
every layer sees the whole. A group normalisation takes its figures of all rows before it is applied to some, and a
convolution reads a row beyond its tile on either side; so there are two or three maps of features at a time, and all
else is of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch.nn import functional

Tensor = torch.Tensor
Pointwise = Callable[[Tensor], Tensor]


def in_tiles(network: Any, rows: int) -> None:
    """Let an AutoencoderKL compute its layers in tiles.

    Args:
        network: for inference alone: blocks overwrite what they are given.
        rows: of a tile, at every resolution.

    Raises:
        ValueError: less than one row.
    """
    if rows < 1:
        raise ValueError(f"option tile_rows: {rows} is less than 1")
    for module in [*network.encoder.modules(), *network.decoder.modules()]:
        if isinstance(module, ResnetBlock2D):
            module.forward = partial(_resnet, module, rows)  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(module, Downsample2D):
            module.forward = partial(_halved, module, rows)  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(module, Upsample2D):
            module.forward = partial(_doubled, module, rows)  # pyright: ignore[reportAttributeAccessIssue]
    for part in (network.encoder, network.decoder):
        norm, act = part.conv_norm_out, part.conv_act
        part.conv_norm_out, part.conv_act = torch.nn.Identity(), torch.nn.Identity()
        part.conv_out.forward = partial(_last, norm, act, part.conv_out, rows)


def _resnet(block: Any, rows: int, given: Tensor, temb: None = None) -> Tensor:
    """Two times normalised, activated and convolved, added to what was given; autoencoders embed no time (``temb``)."""
    middle = _convolved(given, block.conv1, rows, _normalised(block.norm1, given, rows, block.nonlinearity))
    before = _normalised(block.norm2, middle, rows, block.nonlinearity)
    shortcut = block.conv_shortcut
    result = given if shortcut is None else torch.empty_like(middle)
    for top, bottom, made in _parts(middle, block.conv2, rows, before):
        kept = given[:, :, top:bottom] if shortcut is None else shortcut(given[:, :, top:bottom])
        result[:, :, top:bottom] = (kept + made) / block.output_scale_factor
    return result


def _last(norm: Any, act: Pointwise, conv: Any, rows: int, given: Tensor) -> Tensor:
    return _convolved(given, conv, rows, _normalised(norm, given, rows, act))


def _halved(module: Any, rows: int, given: Tensor) -> Tensor:
    """Rows and columns 2 n to 2 n + 2, with zeros below and to the right, make row and column n."""

    def parts() -> Iterator[Tensor]:
        for top in range(0, given.shape[2] // 2, rows):
            part = given[:, :, 2 * top : 2 * (top + rows) + 1]
            below = 1 - part.shape[2] % 2
            yield functional.conv2d(functional.pad(part, (0, 1, 0, below)), *_weights(module.conv), stride=2)

    return _joined(parts(), given.shape[2] // 2)


def _doubled(module: Any, rows: int, given: Tensor) -> Tensor:
    """Every pixel becomes four, which are convolved."""

    def parts(height: int) -> Iterator[Tensor]:
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            part = given[:, :, max(top - 1, 0) : bottom + 1]
            large = functional.interpolate(part, scale_factor=2.0, mode="nearest")
            inner = large[:, :, 1 if top else 0 : -1 if bottom < height else None]
            yield _conv(inner, module.conv, above=not top, below=bottom == height)

    return _joined(parts(given.shape[2]), 2 * given.shape[2])


def _convolved(given: Tensor, conv: Any, rows: int, before: Pointwise) -> Tensor:
    return _joined((made for _, _, made in _parts(given, conv, rows, before)), given.shape[2])


def _parts(given: Tensor, conv: Any, rows: int, before: Pointwise) -> Iterator[tuple[int, int, Tensor]]:
    """First row, end, and the convolution there, of what ``before`` makes of the pixels."""
    height = given.shape[2]
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        part = before(given[:, :, max(top - 1, 0) : bottom + 1])
        yield top, bottom, _conv(part, conv, above=not top, below=bottom == height)


def _conv(part: Tensor, conv: Any, above: bool, below: bool) -> Tensor:
    """A convolution of 3 x 3, with zeros to the sides, and above and below where the picture ends."""
    return functional.conv2d(functional.pad(part, (1, 1, int(above), int(below))), *_weights(conv))


def _weights(conv: Any) -> tuple[Tensor, Tensor]:
    return conv.weight, conv.bias


def _normalised(norm: Any, given: Tensor, rows: int, act: Pointwise) -> Pointwise:
    """What a group normalisation by the figures of all rows, and an activation, make of some rows."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for part in given.split(rows, 2):
        values = part.reshape(len(part), norm.num_groups, -1).float()
        added = values.shape[-1]
        spread, centre = torch.var_mean(values, -1, correction=0)
        # Chan, Golub and LeVeque 1979: figures of parts to those of the whole.
        share, apart = added / (count + added), centre - mean if count else torch.zeros_like(centre)
        squares = (squares + spread * added + apart**2 * count * share) if count else spread * added
        mean = mean + apart * share if count else centre
        count += added
    each = norm.num_channels // norm.num_groups
    deviation = (squares / count + norm.eps).rsqrt().repeat_interleave(each, 1)
    scale = deviation * norm.weight.float()
    shift = norm.bias.float() - mean.repeat_interleave(each, 1) * scale
    scale, shift = scale[:, :, None, None], shift[:, :, None, None]
    return lambda part: act((part.float() * scale + shift).to(part.dtype))


def _joined(parts: Iterator[Tensor], height: int) -> Tensor:
    """Parts of one map, one below the other, as they come."""
    first, top = next(parts), 0
    shape = (*first.shape[:2], height, first.shape[3])
    whole = torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=torch.channels_last)
    for part in chain([first], parts):
        whole[:, :, top : top + part.shape[2]] = part
        top += part.shape[2]
    return whole
