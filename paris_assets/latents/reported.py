"""The latent report of a whole run: figures as a table, and the picture beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from paris_assets.config import Latents
from paris_assets.latents.report import chosen, moments, report
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

PICTURE = "analysis/vae_reconstruction_samples.png"


def reported(latents: Shards, read: Callable[[str], bytes], settings: Latents, models: Models) -> Output:
    """Reconstructions of the first images by image_id, and the moments of all latents.

    Args:
        latents: the table `latents`.
        read: image_id -> file bytes.
    """
    resolution, codec, stats = min(settings.resolutions), models.load(settings.codec), BatchStats()
    table, column = latents.frame(), f"latent_{resolution}"
    ids = table.select("image_id").collect()["image_id"]
    shown = chosen(ids, settings.report_images)
    rows = table.filter(pl.col("image_id").is_in(shown)).collect()
    images = [(image_id, read(image_id)) for image_id in shown]
    found = report(images, rows, codec, resolution, codec.training_photos, stats)
    figures = moments((latents[shard].select(column).collect() for shard in latents.keys), column)
    facts = {
        "psnr_db": round(float(found.frame["psnr_db"].mean() or 0), 3),  # type: ignore[arg-type]
        "latent_mean": [round(float(value), 4) for value in figures.mean],
        "latent_std": [round(float(value), 4) for value in figures.std],
        "upscaled": int(table.select(pl.col("upscaled").sum()).collect().item() or 0),
    }
    output = Output(rows_in=len(ids), facts=facts, pictures={PICTURE: found.png})
    output.note_halved(stats.halved)

    def write() -> Iterator[pl.DataFrame]:
        output.add_file(PICTURE, found.png)
        yield found.frame

    output.rows = write()
    return output
