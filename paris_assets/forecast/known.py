"""Which network a setting means, by its implementation, and by `config.json` where its folder is on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paris_assets.config import Model
from paris_assets.forecast.networks import (
    Network,
    autoencoder,
    blip2_opt,
    convolutional,
    text_transformer,
    vision_transformer,
)

SD_WIDTHS, SMALL_WIDTHS = (128, 256, 512, 512), (16, 32, 64, 128)
"""Channels of the levels of Stable Diffusion's autoencoders, and of the small one that ships."""
LAYERS = "by the formulas of its layers"
PUBLISHED = "by its authors' count"
HEAD_FLOPS, HEAD_PARAMETERS = 2e6, 1e6


def network_of(model: Model, tokens: int = 77, side: int = 256) -> Network | None:
    """What a network takes; None of a class of one's own, of which nothing is known before it ran.

    Args:
        tokens: most tokens of a text.
        side: of the square that an autoencoder encodes, pixels.
    """
    made = _KNOWN.get(model.implementation)
    return made(model, tokens, side) if made else None


def _config(model: Model) -> dict[str, Any]:
    """`config.json` of a local folder; empty where there is none, or none that can be read."""
    path = Path(model.path or "", model.options.get("subfolder", ""), "config.json")
    if model.path is None or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):  # said by whoever loads the network
        return {}
    return found if isinstance(found, dict) else {}


def _dinov2(model: Model, tokens: int, side: int) -> Network:
    large = "large" in (model.path or "")
    config = _config(model)
    width = config.get("hidden_size", 1024 if large else 768)
    layers = config.get("num_hidden_layers", 24 if large else 12)
    return vision_transformer(width, layers, 4 * width, config.get("patch_size", 14), 224, LAYERS)


def _vision(width: int, layers: int, inner: int, patch: int, side: int) -> Callable[[Model, int, int], Network]:
    def made(model: Model, _tokens: int, _side: int) -> Network:
        config = _config(model)
        config = config.get("vision_config", config)
        return vision_transformer(
            config.get("hidden_size", width),
            config.get("num_hidden_layers", layers),
            config.get("intermediate_size", inner),
            config.get("patch_size", patch),
            config.get("image_size", side),
            LAYERS,
        )

    return made


def _clip_text(model: Model, tokens: int, _side: int) -> Network:
    config = _config(model)
    config = config.get("text_config", config)
    width = config.get("hidden_size", 768)
    layers, inner = config.get("num_hidden_layers", 12), config.get("intermediate_size", 4 * width)
    return text_transformer(width, layers, inner, tokens, config.get("vocab_size", 49408), LAYERS)


def _t5(model: Model, tokens: int, _side: int) -> Network:
    config, large = _config(model), "large" in (model.path or "")
    width = config.get("d_model", 1024 if large else 2048)
    inner = config.get("d_ff", 2816 if large else 5120)
    return text_transformer(
        width, config.get("num_layers", 24), inner, tokens, config.get("vocab_size", 32128), LAYERS, gated=True
    )


def _blip2(model: Model, _tokens: int, _side: int) -> Network:
    steps = int(model.options.get("max_new_tokens", 50))
    return blip2_opt(steps, f"{LAYERS}, all {steps} tokens written: captions that end sooner cost less")


def _autoencoder(model: Model, _tokens: int, side: int) -> Network:
    if model.path == "small-vae":
        return autoencoder(side, SMALL_WIDTHS, 1, 4, LAYERS, attention=False)
    config = _config(model)
    widths = config.get("block_out_channels", SD_WIDTHS)
    wide = 16 if any(name in (model.path or "").lower() for name in ("z-image", "flux")) else 4
    return autoencoder(side, widths, config.get("layers_per_block", 2), config.get("latent_channels", wide), LAYERS)


def _fixed(network: Network) -> Callable[[Model, int, int], Network]:
    return lambda _model, _tokens, _side: network


def _text(width: int, layers: int, inner: int, gated: bool = False) -> Callable[[Model, int, int], Network]:
    return lambda _model, tokens, _side: text_transformer(width, layers, inner, tokens, 30522, LAYERS, gated)


_EFFICIENTNET = convolutional(0.81, 4.7e6, 224, 224, 1280, PUBLISHED)
_KNOWN: dict[str, Callable[[Model, int, int], Network]] = {
    "efficientnet-lite0": _fixed(_EFFICIENTNET),
    "imagenet-labels": _fixed(_EFFICIENTNET),
    "imagenet-tags": _fixed(_EFFICIENTNET),
    "imagenet-tag-captions": _fixed(_EFFICIENTNET),
    "open-nsfw": _fixed(convolutional(2.1, 6e6, 224, 224, 0, "a ResNet-50 of half the channels")),
    "small-copy-detector": _fixed(convolutional(0.81, 4.8e6, 224, 256, 256, "as EfficientNet-lite0, which it is of")),
    "sscd": _fixed(convolutional(8.2, 24e6, 224, 320, 512, "ResNet-50 at 320 px")),
    "minilm": _text(384, 6, 1536),
    "small-t5": _text(128, 2, 256, gated=True),
    "dinov2": _dinov2,
    "clip-image": _vision(1024, 24, 4096, 14, 224),
    "chinese-clip-image": _vision(1024, 24, 4096, 14, 224),
    "siglip-image": _vision(1152, 27, 4304, 14, 384),
    "vit-classifier": _vision(768, 12, 3072, 16, 224),
    "linear-head": _fixed(Network(HEAD_FLOPS, HEAD_PARAMETERS, "a head on a vector")),
    "mlp-head": _fixed(Network(HEAD_FLOPS, HEAD_PARAMETERS, "a head on a vector")),
    "clip-text": _clip_text,
    "t5": _t5,
    "umt5": _t5,
    "blip-2": _blip2,
    "autoencoder-kl": _autoencoder,
}
