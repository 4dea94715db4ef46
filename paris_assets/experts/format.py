"""What the published files hold, as the manifest's `format` says it: names, shapes, types and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.config import Profile
from paris_assets.experts.router import ARRAYS
from paris_assets.experts.samples import sample_columns
from paris_assets.experts.summary import EMPTY_PROMPT, SIDES

FORMAT_VERSION = 1
"""Raised when readers of an earlier one would misread the files."""

METADATA = {
    "aesthetic": "number or null: aesthetic score of the source list",
    "boost": "number: factor of the profile's curation.boost, how much more the image counts, 1 without",
    "caption": "string: as in caption.txt",
    "caption_kind": "string: kind of the caption: source, short, long, tags or ocr",
    "captioner": "string: source_text, or the network that wrote the caption",
    "captions": "object: kind -> caption, of every valid caption of the image",
    "cluster": "integer: expert",
    "concepts": "list of strings: the narrowest concepts seen in the image, which its weight is made of",
    "crop_left": "integer: left edge of the square that was encoded, pixels of the resized image",
    "crop_top": "integer: upper edge of it",
    "distance": "number: Euclidean distance to the expert's centroid, in the space that was clustered",
    "fine_cluster": "integer or null: fine cluster, where there are two stages",
    "image_id": "string: the first 32 hex digits of the sha256 of the image as fetched",
    "original_height": "integer: pixels, after EXIF orientation and before any resizing",
    "original_width": "integer: pixels",
    "second_distance": "number: distance to the nearest other centroid",
    "source_text": "string or null: text of the source list",
    "split": "integer: 0 train, 1 validation",
    "tier": "string: highest tier of the profile's curation.tiers that the image reaches",
    "tokens": "integer: true tokens of the caption, special ones included; later positions of clip_emb.npy are padding",
    "upscaled": "boolean: whether the image was enlarged before encoding",
    "url": "string or null: address of the image",
    "weight": "number: how often to draw the sample, 1 for the usual one; each sample is there once",
}
ROUTER = {
    "latents": "as latent.npy",
    "labels": "expert of the image: what the router learns to tell from a noised latent",
    "embeddings": "image embedding that was clustered, as the embedder gives it: not normalised",
    "clip": "pooled text embedding: one vector per caption, not the sequence of clip_emb.npy",
    "image_ids": "image_id, 32 hex digits in ASCII",
    "split": "0 train, 1 validation",
}
POOLED = {
    "clip-text": "state at the end-of-text token, after the final layer norm and without projection",
    "minilm": "mean of the states of true tokens, L2-normalised",
}


def described(profile: Profile, factors: Mapping[str, Any], models: Mapping[str, Any], consolidated: Mapping[str, Path],
              empty_prompt: Path) -> dict[str, Any]:  # fmt: skip
    """The manifest's `format`; it holds no time, host, absolute path or root.

    Args:
        factors: `scaling_factor` and `shift_factor` of the latents.
        models: setting -> identity of the network that ran.
        consolidated: path -> local file of the joined router arrays.
        empty_prompt: local file of its embedding.
    """
    arrays = {name: _array(_first_part(consolidated, name)) for name in ARRAYS}
    curation = profile.curation
    columns = sample_columns(tiers=bool(curation.tiers), boosts=bool(curation.boost), weighted=profile.concepts.used)
    prompt = _array(empty_prompt)
    rows = {name: {**array, "shape": ["rows", *array["shape"][1:]]} for name, array in arrays.items()}
    latent = {"dtype": arrays["latents"]["dtype"], "shape": arrays["latents"]["shape"][1:]}
    return {
        "version": FORMAT_VERSION,
        "samples": {
            "path": "expert_shards/cluster_{cluster}/{shard}-{part}.tar",
            "container": "WebDataset: members of a sample lie side by side as {image_id}.{member}",
            "order": "ascending image_id within a tar, which is a hash: a uniform shuffle within the image shard",
            "members": {
                "caption.txt": {"encoding": "utf-8", "meaning": "caption"},
                "clip_emb.npy": {**prompt, "meaning": "text embedding of the caption: all token positions"},
                "latent.npy": {**latent, "meaning": "scaled latent of the centre square"},
                "metadata.json": {"fields": {name: METADATA[name] for name in sorted((*columns, "tokens"))}},
            },
        },
        "latents": _latents(profile, factors, models, latent),
        "text": _text(profile, models, prompt),
        "empty_prompt": {**prompt, "path": EMPTY_PROMPT, "meaning": 'embedding of "", for classifier-free guidance'},
        "split": _split(profile),
        "router": {
            "paths": ["router_arrays/{shard}/{array}.npy", "router_training/{array}.npy"],
            "order": "row i is the same image in every array: shard by shard, ascending image_id within a shard",
            "parts": "above experts.consolidate_max_bytes router_training/{array}-{part}.npy, listed in index.json",
            "arrays": {name: {**rows[name], "meaning": ROUTER[name]} for name in ARRAYS},
        },
    }


def _latents(
    profile: Profile, factors: Mapping[str, Any], models: Mapping[str, Any], latent: Mapping[str, Any]
) -> dict[str, Any]:
    resolution = min(profile.latents.resolutions)
    return {
        "codec": models.get("latents.codec"),
        "scaling_factor": factors["scaling_factor"],
        "shift_factor": factors["shift_factor"],
        "scaled": True,
        "encode": "latent = (z - shift_factor) * scaling_factor",
        "decode": "z = latent / scaling_factor + shift_factor",
        "posterior": profile.latents.posterior,
        "resolution": resolution,
        "pixels_per_cell": resolution // latent["shape"][-1],
        "pixels": "RGB / 127.5 - 1; short side resized to the resolution (bicubic), then the centre square",
    }


def _text(profile: Profile, models: Mapping[str, Any], prompt: Mapping[str, Any]) -> dict[str, Any]:
    encoder = models.get("text.encoder")
    ran = encoder if isinstance(encoder, dict) else {}
    return {
        "encoder": encoder,
        "tokenizer": {"source": ran.get("source"), "revision": ran.get("revision"), "meaning": "the encoder's own"},
        "positions": prompt["shape"][0],
        "padding": f"captions are cut or padded on the right to {profile.text.tokens} tokens; mask: position < tokens",
        "pooled": POOLED.get(profile.text.encoder.implementation, "as the encoder gives it"),
    }


def _split(profile: Profile) -> dict[str, Any]:
    return {
        "values": {str(value): name for value, name in enumerate(SIDES)},
        "validation_fraction": profile.experts.validation_fraction,
        "meaning": f"of each expert a share of {profile.experts.validation_fraction:g} of its duplicate groups is held "
        "out, at least one of two; copies are on one side",
        "separate_tars": profile.experts.split_tars,
        "lists": [f"expert_shards/cluster_{{cluster}}/{name}.txt" for name in SIDES if profile.experts.split_tars],
    }


def _array(path: Path) -> dict[str, Any]:
    """dtype and shape of an array, as JSON holds them."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return {"dtype": str(array.dtype).lstrip("|"), "shape": list(array.shape)}


def _first_part(consolidated: Mapping[str, Path], name: str) -> Path:
    whole = f"router_training/{name}.npy"
    return consolidated[whole if whole in consolidated else f"router_training/{name}-00000.npy"]
