"""What a run needs of a disk and a GPU, by what is known before it: rows of the source, sizes, networks."""

from __future__ import annotations

from pathlib import Path

from paris_assets.config import Profile
from paris_assets.definitions import asset_graph, open_catalog
from paris_assets.forecast.assumptions import assumptions
from paris_assets.forecast.disk import bytes_there
from paris_assets.forecast.forecast import disk_bytes
from paris_assets.forecast.given import given_of
from paris_assets.forecast.sizes import all_kept, bytes_per_row
from paris_assets.models.resolve import profile_models
from paris_assets.storage.location import Location

SMALL_GPU_BYTES = 16 * 2**30
"""What the batch sizes of the profile paris suit."""


def row_bytes(profile: Profile) -> int:
    """Bytes under the root per row of the source, roughly, if every image were kept."""
    return round(all_kept(bytes_per_row(profile), asset_graph(profile)))


def wanted_bytes(root: Location, profile: Profile) -> tuple[int, str]:
    """(bytes that a run on the root may need beside what is there, in words how that was reckoned): those of
    `paris plan`, where nothing was measured of a source that holds its images; 0 before its rows are registered."""
    catalog = open_catalog(root, profile)
    registry = catalog.registry()
    if registry is None:
        each = row_bytes(profile)
        return 0, f"a row needs about {each / 1000:,.0f} kB, so a million {each / 1000:,.0f} GB"
    rows, there = int(registry["rows"].sum()), bytes_there(Path(root.url))
    wanted = round(sum(disk_bytes(given_of(catalog, rows, True, assumptions((), catalog.graph))).values()))
    said = f"{rows:,} rows need about {wanted >> 20:,} MiB, and {there >> 20:,} are there already"
    return max(0, wanted - there), said


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
    return [*lines, *gpu_advice(len(found)), *batch_advice(profile, min(free for free, _ in found))]


def gpu_advice(gpus: int) -> list[str]:
    """What it takes to use all GPUs, and all of their speed."""
    from paris_assets.models.device import native_bf16

    several = [f"`paris run` uses one of {gpus} GPUs, and all with --workers {gpus} or --ray"] if gpus > 1 else []
    slow = (
        "no GPU computes in bf16 here, so that precision auto is fp32; fp16, where values fit, is several times faster"
    )
    return several if native_bf16("cuda") else [*several, f"{slow}: --set embedder.precision=fp16"]


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
