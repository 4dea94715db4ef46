"""Which networks do the work of which kind of setting, and what a class of one's own must offer there."""

from __future__ import annotations

from paris_assets.settings.network import COSINE

METHODS = {
    "picture_embeddings": ("identity", "preprocess", "run"),
    "heads": ("identity", "run"),
    "scores": ("identity", "preprocess", "run"),
    "pool": ("identity", "encode"),
    "captions": ("identity", "preprocess", "run"),
    "concepts": ("identity", "preprocess", "run"),
    "text": ("identity", "encode"),
    "embedder": ("identity", "preprocess", "run"),
    "copy_embedder": ("identity", "preprocess", "run"),
    "latents": ("identity", "encode", "decode"),
}
COPY_EMBEDDERS = ("small-copy-detector", "sscd")
EMBEDDERS = ("efficientnet-lite0", *COPY_EMBEDDERS, "dinov2", "clip-image", "siglip-image", "chinese-clip-image")
FITTING = {
    "picture_embeddings": EMBEDDERS,
    "scores": ("open-nsfw", "degradation", "vit-classifier", "linear-head", "mlp-head", COSINE),
    "captions": ("imagenet-labels", "imagenet-tag-captions", "blip-2"),
    "concepts": ("imagenet-tags",),
    "text": ("minilm", "clip-text", "t5", "umt5", "small-t5"),
    "embedder": EMBEDDERS,
    "copy_embedder": (*COPY_EMBEDDERS, *(name for name in EMBEDDERS if name not in COPY_EMBEDDERS)),
    "latents": ("autoencoder-kl",),
}
"""Kind of setting -> the networks of this package that do its work."""
