"""What a shard's latents must be by the images' shapes alone: which sizes, and where each crop lies."""

from __future__ import annotations

import polars as pl

from paris_assets.config import Latents
from paris_assets.latents.places import Place, Sizes

MISSING, ENLARGED, MISPLACED, OTHER_BUCKET = "missing", "not_covered", "misplaced", "other_bucket"


def size_problems(images: pl.DataFrame, latents: pl.LazyFrame, settings: Latents) -> dict[str, int]:
    """How many latents are not what the images' shapes ask for.

    Args:
        images: image_id, stored_height, stored_width of every curated image.
        latents: their rows in `latents`.

    Returns:
        ``missing``: of sizes that an image covers; ``not_covered``: of sizes that would enlarge it, or whose ratio is
        too far; ``misplaced``: whose crop is recorded elsewhere, or whose shape is not its target's;
        ``other_bucket``: images in another bucket than the nearest.
    """
    sizes = Sizes(settings)
    found: dict[str, int] = {name: 0 for name in (MISSING, ENLARGED, MISPLACED, OTHER_BUCKET)}
    for row in _joined(images, latents, settings).iter_rows(named=True):
        placed = sizes.placed(row["stored_height"], row["stored_width"])
        for size in sizes.resolutions:
            place, there = placed.places.get(size), row[f"there_{size}"]
            found[MISSING] += place is not None and not there
            found[ENLARGED] += place is None and there
            found[MISPLACED] += place is not None and there and not _as_recorded(row, place, size, settings)
        found[OTHER_BUCKET] += row.get("bucket") is not None and row["bucket"] != str(placed.bucket)
    return found


def _joined(images: pl.DataFrame, latents: pl.LazyFrame, settings: Latents) -> pl.DataFrame:
    there = {f"there_{size}": pl.col(f"latent_{size}").is_not_null() for size in settings.resolutions}
    cells = [f"latent_{size}_{side}" for size in settings.bucketed for side in ("height", "width")]
    rows = latents.select("image_id", *settings.placed, *cells, **there).collect()
    joined = images.join(rows, on="image_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(list(there)).fill_null(False))


def _as_recorded(row: dict[str, int | None], place: Place, size: int, settings: Latents) -> bool:
    """Whether a row says that its crop lies where it must, and a latent of several shapes has that of its target.

    Of one square size a JPEG may have been decoded smaller, which moves its crop by a pixel: only its size is known.
    """
    alone = len(settings.resolutions) == 1 and not settings.buckets
    names = ("upscaled",) if alone else Place._fields
    if any(row[settings.column(name, size)] != getattr(place, name) for name in names):
        return False
    if size not in settings.bucketed:
        return True
    height, width = row[f"latent_{size}_height"], row[f"latent_{size}_width"]
    assert height
    assert width
    return place.target_height * width == place.target_width * height and place.target_height % height == 0
