"""The text encoder and the VAE of a root, by its manifest: what prompts and drawn latents go through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from paris_assets.config import Model, Text
from paris_assets.errors import UsageError
from paris_assets.formats.codec import decode, encode, read_codecs
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import build
from paris_assets.models.texts import lengths, run_texts
from paris_assets.training.places import find_place


def read_settings(root: str, encoder: str | None, vae: str | None) -> tuple[Text, Model, Mapping[str, Any]]:
    """The text settings and the VAE of a root, by its manifest, and the manifest's `format`.

    Args:
        encoder, vae: the networks' folders, whose last name alone a manifest tells; None: that name.

    Raises:
        UsageError: there is no manifest, or one without these.
    """
    manifest = find_place(root).manifest
    try:
        settings = manifest["settings"]
        text, codec = Text(**settings["text"]), Model(**settings["latents"]["codec"])
    except (KeyError, TypeError, ValidationError) as error:
        raise UsageError(
            f"{root} has no manifest that names a text encoder and a VAE ({error}): name a finished root"
        ) from error
    text = text.model_copy(update={"encoder": _here(text.encoder, encoder)})
    return text, _here(codec, vae), manifest.get("format", {})


def _here(model: Model, path: str | None) -> Model:
    return model.model_copy(update={"device": "auto", "path": path or model.path})


def encode_prompts(prompts: Sequence[str], settings: Text, form: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Prompts as captions are read for training: each alone at its own length, through the codec where there is one.

    Returns:
        (N, positions, dim) float32 with zeros after the end of each, and (N, positions) bool of true tokens.
    """
    encoder, codecs = build(settings.encoder), read_codecs(form["codec"]) if "codec" in form else {}
    states, tokens = list[np.ndarray](), list[int]()
    for prompt in prompts:
        positions = int(lengths(encoder, [prompt], settings).positions[0])
        found = run_texts(encoder, [prompt], positions, [repr(prompt)], settings, BatchStats())
        values = found.states[0]
        states.append(decode(encode(values, codecs["text"]), codecs["text"]) if "text" in codecs else values)
        tokens.append(int(found.tokens[0]))
    text = np.zeros((len(states), max(map(len, states)), states[0].shape[1]), np.float32)
    for row, values in enumerate(states):
        text[row, : len(values)] = values
    return text, np.arange(text.shape[1]) < np.array(tokens)[:, None]
