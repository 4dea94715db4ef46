"""Bytes that each asset takes on the disk per row that it gives, by the layout of its files.

One model for `paris plan`, `paris doctor` and the look before a run.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping

from paris_assets.config import Model, Profile
from paris_assets.forecast.assumptions import SHIPPED
from paris_assets.forecast.known import network_of
from paris_assets.settings.captions import TRUE_TOKENS
from paris_assets.settings.import_path import ImportPathError, load_class

ENCODED_BYTES_PER_PIXEL = {"jpg": 0.6, "webp": 0.4, "png": 2.0}
"""At the default quality, roughly; a picture has about 4/3 of the pixels of its middle square."""
TRUE_TOKENS_OF_A_CAPTION = 40
"""Captions have 12 to 60, roughly."""
NPY_HEADER, TEXT, METADATA, VALUE = 128, 120, 620, 2
"""Bytes before an array in a file, of a caption, of a sample's metadata, and of a float16."""
IDENTITY = 40
"""Of an image_id in a table."""
TABLES = {
    "source_rows": 300.0,
    "caption_figures": 60.0,
    "concept_assignments": 16.0,
    "pool_scores": 60.0,
    "pool_selection": 12.0,
    "subset_files": 5.0,
    "filtered_images": 60.0,
    "duplicate_groups": 60.0,
    "curated_images": 260.0,
    "caption_kinds": 160.0,
    "repeated_captions": 10.0,
    "captions": 320.0,
    "concepts": 400.0,
    "concept_counts": 20.0,
    "sampling_weights": 120.0,
    "cluster_assignments": 60.0,
    "training_selection": 45.0,
    "training_split": 45.0,
}
"""Bytes of a row of tables that hold no arrays, roughly."""
PAGES = {"curation_report": 8e6, "cluster_report": 8e6, "latent_report": 5e6, "pool_report": 2e6, "training_probe": 1e6}
"""Bytes of pages and grids of pictures, whatever the rows."""
LEDGER, SIGNALS, SIGNAL = 340.0, 384.0, 12.0
"""A row of `raw_images`, whatever became of it; the thumbnail of `image_signals`, and each of its other columns."""
COLUMNS_OF_A_SIGNAL = 2.5
UNKNOWN_DIM = 768
"""Values of the vector, or of a token, of a network that does not say."""


def image_bytes(profile: Profile, fetched: float = SHIPPED["image_bytes"].value) -> float:
    """Bytes of an image as it is kept.

    Args:
        fetched: bytes as it comes.
    """
    encode = profile.ingest.encode
    if encode is None:
        return fetched
    return min(fetched, encode.short_side**2 * 4 / 3 * ENCODED_BYTES_PER_PIXEL[encode.format])


def bytes_per_row(profile: Profile, fetched: float = SHIPPED["image_bytes"].value) -> dict[str, float]:
    """Asset -> bytes under the root per row that it gives, of a table over all shards per row that it reads; of
    `raw_images` without the ledger, which has failed rows, too (``LEDGER``); of ``PAGES`` all bytes.

    Args:
        fetched: bytes of an image as it comes.
    """
    latents = {size: latent_bytes(profile, size) for size in profile.latents.resolutions}
    dim = dim_of(profile.text.encoder, profile.text.tokens)
    tokens = profile.text.tokens
    if profile.text.stored == TRUE_TOKENS:
        tokens = min(tokens, TRUE_TOKENS_OF_A_CAPTION)
    text = float(tokens * dim * VALUE)
    vector, pooled = dim_of(profile.embedder) * VALUE, dim * VALUE
    coded = profile.experts.codec
    stored = {size: each / 2 if coded and coded.latents else each for size, each in latents.items()}
    said = text / 2 if coded and coded.text else text
    router = stored[profile.router_resolution] + vector + pooled + 8 + 32 + 1
    encoders = sum(dim_of(model) * VALUE for model in profile.picture_embeddings.values())
    copies = dim_of(profile.copy_embedder) * VALUE if profile.copy_embedder else 0
    return {
        **TABLES,
        **PAGES,
        "pool_vectors": float(UNKNOWN_DIM * VALUE * len(profile.pool.vectors.kinds)),
        "raw_images": _member(image_bytes(profile, fetched)),
        "image_signals": SIGNALS + IDENTITY + SIGNAL * COLUMNS_OF_A_SIGNAL * len(profile.signals.measures),
        "picture_embeddings": IDENTITY + float(encoders),
        "copy_embeddings": IDENTITY + float(copies),
        "content_scores": IDENTITY + 4.0 * len(profile.scores),
        "text_embeddings": IDENTITY + text + pooled + TEXT,
        "image_embeddings": IDENTITY + float(vector),
        "latents": IDENTITY + sum(latents.values()),
        "expert_shards": _member(TEXT)
        + _member(METADATA)
        + _member(said + NPY_HEADER)
        + sum(_member(each + NPY_HEADER) for each in stored.values()),
        "expert_mds": TEXT + METADATA + said + sum(stored.values()),
        "router_arrays": router + IDENTITY,
        "pipeline_manifest": router,
    }


def all_kept(each: Mapping[str, float], assets: Mapping[str, object]) -> float:
    """Bytes under the root per row of the source, if every image were kept.

    Args:
        each: of ``bytes_per_row``.
        assets: those that the profile uses.
    """
    return LEDGER + sum(size for name, size in each.items() if name in assets and name not in PAGES)


def latent_bytes(profile: Profile, size: int) -> float:
    """Bytes of a latent of a square of so many pixels, float16; of buckets about as many."""
    codec = profile.latents.codec
    known = network_of(codec, side=size)
    own = _class(codec) if known is None else None
    channels = known.channels if known else int(getattr(own, "channels", 4))
    factor = known.factor if known else int(getattr(own, "factor", 8))
    return float(channels * (size // factor) ** 2 * VALUE)


def dim_of(model: Model, tokens: int = 77) -> int:
    """Values of a network's vector, or of one token: of a class of one's own by its attribute ``dim``."""
    known = network_of(model, tokens)
    if known is not None:
        return known.dim
    return int(getattr(_class(model), "dim", UNKNOWN_DIM))


def _class(model: Model) -> object:
    if ":" not in model.implementation:
        return None
    try:
        return load_class(model.implementation)
    except ImportPathError:  # `paris doctor` says why
        return None


def _member(size: float) -> float:
    """Bytes of a member of a tar: its header, and whole blocks."""
    return tarfile.BLOCKSIZE + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
