"""What a run needs of a disk and a GPU, by what is known before it: rows of the source, sizes, networks."""

from __future__ import annotations

import shutil
from pathlib import Path

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY
from paris_assets.models.resolve import profile_models
from paris_assets.storage.location import Location

IMAGE_BYTES = 150_000
"""A web image, roughly, as it came."""
ENCODED_BYTES_PER_PIXEL = {"jpg": 0.6, "webp": 0.4, "png": 2.0}
"""At the default quality, roughly; a picture has about 4/3 of the pixels of its middle square."""
LATENT_BYTES_PER_PIXEL = 2 * 4 / 64
"""float16, 4 channels, a cell per 8 x 8 pixels."""
TIMES_LATENT = 3
"""A latent lies in its table, in a tar and, for each of the two joined router files' copies, in arrays."""
EMBEDDING_BYTES = 2 * 768
SMALL_GPU_BYTES = 16 * 2**30
"""What the batch sizes of the profile paris suit."""


def free_space(folder: Path) -> int:
    """Bytes free on the folder's disk."""
    return shutil.disk_usage(folder).free


def row_bytes(profile: Profile) -> int:
    """Bytes under the root per row of the source, roughly, if every image were kept."""
    latents = sum(size * size * LATENT_BYTES_PER_PIXEL for size in profile.latents.resolutions) * TIMES_LATENT
    text = profile.text.tokens * EMBEDDING_BYTES * 2
    return round(_image_bytes(profile) + latents + text)


def _image_bytes(profile: Profile) -> float:
    encode = profile.ingest.encode
    if encode is None:
        return IMAGE_BYTES
    return min(IMAGE_BYTES, encode.short_side**2 * 4 / 3 * ENCODED_BYTES_PER_PIXEL[encode.format])


def wanted_bytes(root: Location, profile: Profile) -> tuple[int, str]:
    """(bytes that a run on the root may need, in words how that was reckoned); 0 before its rows are registered."""
    import polars as pl

    each = row_bytes(profile)
    if root.size(REGISTRY) is None:
        return 0, f"a row needs about {each / 1000:,.0f} kB, so a million {each / 1000:,.0f} GB"
    with root.open(REGISTRY) as file:
        rows = int(pl.read_parquet(file, columns=["rows"])["rows"].sum())
    there = sum(path.stat().st_size for path in Path(root.url).rglob("*") if path.is_file())
    return max(
        0, rows * each - there
    ), f"{rows:,} rows need about {rows * each >> 20:,} MiB, of which {there >> 20:,} are there"


def gpu_lines(profile: Profile) -> list[str]:
    """Memory of each GPU, and what it says of batch sizes; empty where there is none or torch is not installed."""
    try:
        from torch import cuda
    except ImportError:
        return []
    if not cuda.is_available():
        return []
    found = [cuda.mem_get_info(number) for number in range(cuda.device_count())]
    lines = [
        f"GPU {number}: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        for number, (free, total) in enumerate(found)
    ]
    return [*lines, *batch_advice(profile, min(free for free, _ in found))]


def batch_advice(profile: Profile, free: int) -> list[str]:
    """Where a GPU with so many bytes free has much less or much more memory than batch sizes are made for."""
    times = free / SMALL_GPU_BYTES
    sizes = {setting: model.batch_size for setting, model in profile_models(profile).items()}
    if 0.75 <= times < 2:
        return []
    fitting = {setting: 2 ** (max(1, int(size * times)).bit_length() - 1) for setting, size in sizes.items()}
    what = "less than 16 GiB: smaller batches" if times < 1 else "much memory: larger batches are faster"
    changes = " ".join(
        f"--set {setting}.batch_size={size}" for setting, size in fitting.items() if size != sizes[setting]
    )
    return [f"{what}, such as {changes} (part of bf16 results: choose before the first run)"] if changes else []
