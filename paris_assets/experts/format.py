"""What the published files hold, as the manifest's `format` says it: names, shapes, types and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.config import Profile
from paris_assets.experts.latent_format import field, latent_members, latents_said, member
from paris_assets.experts.mds.columns import MEANINGS
from paris_assets.experts.router import ARRAYS
from paris_assets.experts.samples import sample_columns
from paris_assets.experts.summary import EMPTY_PROMPT, SIDES

FORMAT_VERSION = 1
"""Raised when readers of an earlier one would misread the files."""

METADATA = {
    "aesthetic": "number or null: aesthetic score of the source list",
    "boost": "number: factor of the profile's curation.boost, how much more the image counts, 1 without",
    "bucket": "string: height x width of its bucket in the table's own size; those of a batch are of one",
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
    "group_id": "string: duplicate group: what is not to be parted by a hold-out",
    "image_id": "string: the first 32 hex digits of the sha256 of the image as fetched",
    "original_height": "integer: pixels, after EXIF orientation and before any resizing",
    "original_width": "integer: pixels",
    "ratio_error": "number: |log| of the image's ratio of sides by its bucket's; 1 - exp(-it) was cropped away",
    "resized_height": "integer: pixels of the whole image, resized, before cropping",
    "resized_width": "integer: of its width",
    "second_distance": "number: distance to the nearest other centroid",
    "source_text": "string or null: text of the source list",
    "split": "integer: 0 train, 1 validation",
    "target_height": "integer: pixels that were encoded",
    "target_width": "integer: of their width",
    "tier": "string: highest tier of the profile's curation.tiers that the image reaches",
    "tokens": "integer: true tokens of the caption, special ones included; mask of clip_emb.npy: position < tokens",
    "truncated": "integer or null: tokens that were cut from the caption; null where the encoder cannot count",
    "uid": "string or null: the source list's own id of the row that the image stands for",
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
CODEC_FILES = ["{folder}/codec.json in expert_shards, router_arrays, router_training and expert_mds"]
CODED = {
    "latents": [
        "latent.npy and latent_{resolution}.npy of tars",
        "latents.npy of the router",
        "latent_{resolution} of MDS",
    ],
    "text": ["clip_emb.npy of tars", "empty_prompt.npy", "text of MDS"],
}
"""Kind of a codec -> where its arrays are."""
POOLED = {
    "clip-text": "state at the end-of-text token, after the final layer norm and without projection",
    "minilm": "mean of the states of true tokens, L2-normalised",
}
MASKED_MEAN = "mean of the states of true tokens as they are stored, not normalised"
OWN_STATES = ("clip-text", "minilm")
"""Text encoders whose padded positions hold states; those of T5 are zeros."""


def described(
    profile: Profile,
    factors: Mapping[str, Any],
    models: Mapping[str, Any],
    lengths: Mapping[str, Any],
    consolidated: Mapping[str, Path],
    empty_prompt: Path,
    codec: Mapping[str, Any] | None,
    mds: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The manifest's `format`; it holds no time, host, absolute path or root.

    Args:
        factors: `scaling_factor` and `shift_factor` of the latents.
        models: setting -> identity of the network that ran.
        lengths: of the captions, see ``texts.lengths.lengths_of``.
        consolidated: path -> local file of the joined router arrays.
        empty_prompt: local file of its embedding.
        codec: what `codec.json` holds, where arrays are coded.
        mds: set of sizes -> column -> encoding of MDS files.
    """
    parts = {name: part for name in ARRAYS if (part := _first_part(consolidated, name))}
    arrays = {name: _array(part) for name, part in parts.items()}
    curation = profile.curation
    columns = sample_columns(
        tiers=bool(curation.tiers),
        boosts=bool(curation.boost),
        weighted=profile.concepts.used,
        placed=profile.latents.placed,
    )
    fields = {name: field(profile.latents, name, METADATA) for name in sorted((*columns, "tokens", "truncated"))}
    prompt = _array(empty_prompt)
    text = prompt if profile.text.stored == "padded" else {**prompt, "shape": ["tokens", *prompt["shape"][1:]]}
    meant = f"text embedding of the caption: {'all token positions' if text is prompt else 'its true tokens alone'}"
    rows = {name: {**array, "shape": ["rows", *array["shape"][1:]]} for name, array in arrays.items()}
    latents = latent_members(profile, arrays["latents"])
    router = {**ROUTER, "latents": f"as {member(profile.latents, profile.router_resolution)}"}
    return {
        "version": FORMAT_VERSION,
        "written_as": profile.experts.formats,
        **({"codec": {**codec, "files": CODEC_FILES, "arrays": CODED}} if codec else {}),
        **({"mds": _mds(profile, mds)} if "mds" in profile.experts.formats else {}),
        "samples": {
            "path": "expert_shards/cluster_{cluster}/{shard}-{part}.tar",
            "container": "WebDataset: members of a sample lie side by side as {image_id}.{member}",
            "order": "ascending image_id within a tar, which is a hash: a uniform shuffle within the image shard",
            "members": {
                "caption.txt": {"encoding": "utf-8", "meaning": "caption"},
                "clip_emb.npy": {**text, "meaning": meant},
                **latents,
                "metadata.json": {"fields": fields},
            },
        },
        "latents": latents_said(profile, factors, models, arrays["latents"]),
        "text": _text(profile, models, prompt, "clip" in arrays, lengths),
        "empty_prompt": {**prompt, "path": EMPTY_PROMPT, "meaning": 'embedding of "", for classifier-free guidance'},
        "split": _split(profile),
        "router": {
            "paths": ["router_arrays/{shard}/{array}.npy", "router_training/{array}.npy"],
            "order": "row i is the same image in every array: shard by shard, ascending image_id within a shard",
            "parts": "above experts.consolidate_max_bytes router_training/{array}-{part}.npy, listed in index.json",
            "arrays": {name: {**row, "meaning": router[name]} for name, row in rows.items()},
        },
    }


def _mds(profile: Profile, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    side = "/{side}" if profile.experts.split_tars else ""
    return {
        "path": f"expert_mds/cluster_{{cluster}}/{{sizes}}{side}/{{shard}}-{{part}}.mds",
        "index": "index.json in each folder, for StreamingDataset(local=FOLDER); it lists all files with their hashes",
        "sizes": "resolutions of the latents that the samples of a folder have, joined by -",
        "compression": profile.experts.mds.compression,
        "hashes": profile.experts.mds.hashes,
        "columns": {
            sizes: {
                name: {"encoding": encoding, "meaning": _meaning(name)} for name, encoding in sorted(encodings.items())
            }
            for sizes, encodings in columns.items()
        },
    }


def _meaning(column: str) -> str:
    if column.startswith("latent_"):
        return f"scaled latent at {column.removeprefix('latent_')} px"
    return MEANINGS.get(column) or METADATA.get(column) or "as in metadata"


def _text(
    profile: Profile, models: Mapping[str, Any], prompt: Mapping[str, Any], pooled: bool, lengths: Mapping[str, Any]
) -> dict[str, Any]:
    settings, encoder = profile.text, models.get("text.encoder")
    ran, implementation = encoder if isinstance(encoder, dict) else {}, settings.encoder.implementation
    padded = settings.stored == "padded"
    own_states = padded and (implementation in OWN_STATES or ":" in implementation)
    its = POOLED.get(implementation, "as the encoder gives it") if settings.pooled == "encoder" else MASKED_MEAN
    return {
        "encoder": encoder,
        "tokenizer": {
            **{name: ran.get(name) for name in ("source", "revision")},
            "sha256": ran.get("tokenizer_sha256"),
            "meaning": "the encoder's own",
        },
        "stored": settings.stored,
        "max_tokens": settings.tokens,
        "positions": prompt["shape"][0] if padded else None,
        "padding": f"captions are cut or padded on the right to {settings.tokens} tokens; mask: position < tokens"
        if padded
        else f"captions are cut to {settings.tokens} tokens and stored without padding: whoever loads them pads them "
        "on the right with zeros; mask: position < tokens",
        "pad": {"side": "right", "value": "states of the encoder" if own_states else 0},
        "pooled": its if pooled else None,
        "lengths": dict(lengths),
        "dropout": "none was made: at load, the empty prompt stands in for the text of captions that are dropped",
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


def _first_part(consolidated: Mapping[str, Path], name: str) -> Path | None:
    return consolidated.get(f"router_training/{name}.npy") or consolidated.get(f"router_training/{name}-00000.npy")
