"""The tables of this stage, and the pictures beside them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.dag.store import Store
from paris_assets.latents.encode import encode
from paris_assets.latents.report import chosen, moments, report
from paris_assets.models.batches import BatchStats
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows

PICTURE = "analysis/vae_reconstruction_samples.png"


def latents(store: Store, shard: str, curated: pl.LazyFrame) -> Output:
    """Latents of the shard's curated images; those below the resolution are counted when they may not be upscaled."""
    profile, stats = store.profile, BatchStats()
    wanted = curated.select("image_id").sort("image_id").collect()
    output = Output(rows_in=wanted.height)

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        codec, rejects = store.model(profile.latents.codec), dict[str, str]()
        yield from encode(store.images(shard, missing), codec, profile.latents, profile.seed, rejects, stats=stats)
        for reason in rejects.values():
            output.rejects[reason] = output.rejects.get(reason, 0) + 1
        output.facts["models"] = {"latents.codec": codec.identity()}
        output.facts["scaling_factor"] = codec.scaling_factor
        output.note_halved(stats.halved)

    output.rows = reuse_rows(wanted, store.previous_rows("latents", shard), compute)
    return output


def latent_report(store: Store) -> Output:
    """Reconstructions of the first images by image_id, and the moments of all latents."""
    settings, shards = store.profile.latents, store.present("latents", "raw_images")
    resolution, codec = min(settings.resolutions), store.model(settings.codec)
    table = store.scan("latents", shards)
    ids = table.select("image_id").collect()["image_id"]
    shown, read = chosen(ids, settings.report_images), store.image_reader(shards)
    images = [(image_id, read(image_id)) for image_id in shown]
    rows = table.filter(pl.col("image_id").is_in(shown)).collect()
    stats = BatchStats()
    found = report(images, rows, codec, resolution, codec.training_photos, stats)
    column = f"latent_{resolution}"
    figures = moments((store.scan("latents", [shard]).select(column).collect() for shard in shards), column)
    output = Output(
        rows_in=len(ids),
        facts={
            "psnr_db": round(float(found.frame["psnr_db"].mean() or 0), 3),  # type: ignore[arg-type]
            "latent_mean": [round(float(value), 4) for value in figures.mean],
            "latent_std": [round(float(value), 4) for value in figures.std],
            "upscaled": int(table.select(pl.col("upscaled").sum()).collect().item() or 0),
        },
    )
    output.note_halved(stats.halved)
    output.show_picture(store.root, PICTURE, found.png)

    def write() -> Iterator[pl.DataFrame]:
        output.add_file(PICTURE, found.png)
        yield found.frame

    output.rows = write()
    return output
