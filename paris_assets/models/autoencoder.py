"""AutoencoderKL of diffusers (Rombach et al. 2022): latents of Stable Diffusion's kind, and of our own small VAE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import Placement, place, ready
from paris_assets.models.tiles import in_tiles


class Autoencoder:
    """Latent codec from a hub name, a local folder, or ``small-vae``, which ships in this package.

    Options: ``subfolder`` of a pipeline's repository (``vae``); ``scaling_factor``, where the configuration lacks it;
    ``scaled_decode``, see ``protocols.LatentCodec``: by default only ``small-vae``, which has no reference to equal;
    ``tile_rows``: layers are computed so many rows at a time, see ``tiles``, for large pictures in little memory.

    A configuration with ``force_upcast`` says that activations overflow in fp16 (the VAE of SDXL as published): in that
    precision it is computed in fp32, and its identity says so.
    """

    def __init__(
        self,
        model: Model,
        subfolder: str = "",
        scaling_factor: float | None = None,
        scaled_decode: bool | None = None,
        tile_rows: int | None = None,
    ) -> None:
        self.scaled_decode = weights.ships_here(model) if scaled_decode is None else scaled_decode
        self.name, self.batch_size = model.implementation, model.batch_size
        self._folder = weights.pretrained_folder(model, subfolder)
        self._model, self._subfolder = model, subfolder
        self._placement = _without_overflow(place(model), self._folder)
        self.in_flight = self._placement.in_flight
        network: Any
        network, found = AutoencoderKL.from_pretrained(  # type: ignore[misc]
            str(self._folder),
            torch_dtype=self._placement.dtype,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,
            output_loading_info=True,
        )
        weights.require_whole("AutoencoderKL", self._folder, found)
        config = network.config
        self.channels = int(config.latent_channels)
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        self.scaling_factor = float(scaling_factor or config.scaling_factor)
        self.shift_factor = float(getattr(config, "shift_factor", None) or 0.0)
        photos = self._folder / "photos.jsonl"
        self.training_photos: Path | None = photos if photos.is_file() else None
        self._network = ready(network, self._placement)
        if tile_rows is not None:
            in_tiles(self._network, tile_rows)

    def encode(self, pixels: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """See ``protocols.LatentCodec``. Pixels become [-1, 1]."""
        return self._placement.compute(self._latents, pixels, *(() if noise is None else (noise,)))

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """See ``protocols.LatentCodec``."""
        return self._placement.compute(self._pictures, np.asarray(latents, np.float32))

    def _latents(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        # NHWC pixels seen as NCHW are already in channels_last order.
        images = pixels.permute(0, 3, 1, 2)
        posterior = self._network.encode((images.float() / 127.5 - 1).to(self._placement.dtype)).latent_dist
        latents = posterior.mean.float()
        if noise is not None:
            latents = latents + posterior.std.float() * noise.to(latents)
        return ((latents - self.shift_factor) * self.scaling_factor).contiguous()

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        inputs = (latents / self.scaling_factor + self.shift_factor).to(self._placement.dtype)
        images = self._network.decode(inputs.contiguous(memory_format=torch.channels_last)).sample.float()
        return ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision, self._subfolder)


def _without_overflow(placement: Placement, folder: Path) -> Placement:
    """The placement, in fp32 where it is fp16 and the configuration warns of it."""
    config = json.loads((folder / "config.json").read_text())
    if placement.precision == "fp16" and config.get("force_upcast"):
        return placement._replace(dtype=torch.float32, precision="fp32")
    return placement
