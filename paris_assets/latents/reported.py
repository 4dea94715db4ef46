"""The latent report of a whole run: figures as a table, and pictures and a page beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import polars as pl

from paris_assets.config import Latents
from paris_assets.latents.drawing import COLUMNS, Pair, draw
from paris_assets.latents.page import PAGE, page
from paris_assets.latents.report import Moments, chosen, moments, pairs, shown_at
from paris_assets.latents.schema import LATENT_REPORT
from paris_assets.latents.spread import spread
from paris_assets.models.batches import BatchStats
from paris_assets.models.protocols import LatentCodec
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.ragged import array_columns
from paris_assets.storage.shards import Shards

PICTURE = "analysis/vae_reconstruction_samples"


class AtSize(NamedTuple):
    """What the report finds of one size."""

    pairs: list[Pair]
    moments: Moments

    @property
    def psnr_db(self) -> float:
        """Mean of the pairs; 0 where there are none."""
        return round(float(pl.Series([pair.psnr_db for pair in self.pairs], dtype=pl.Float64).mean() or 0), 3)  # type: ignore[arg-type]

    def facts(self) -> dict[str, Any]:
        """PSNR, and moments by channel."""
        return {
            "psnr_db": self.psnr_db,
            "latent_mean": [round(float(value), 4) for value in self.moments.mean],
            "latent_std": [round(float(value), 4) for value in self.moments.std],
        }


def reported(latents: Shards, read: Callable[[str], bytes], settings: Latents, models: Models) -> Output:
    """Reconstructions of the first images by image_id at every size, and the moments of all latents.

    Args:
        latents: the table `latents`.
        read: image_id -> file bytes.
    """
    codec, stats, sizes = models.load(settings.codec), BatchStats(), sorted(settings.resolutions)
    found = {size: _at_size(latents, read, settings, size, codec, stats) for size in sizes}
    table, smallest = latents.frame(), found[sizes[0]]
    facts = {**smallest.facts(), "upscaled": int(table.select(pl.col("upscaled").sum()).collect().item() or 0)}
    pictures = {
        _picture(settings, size): draw(at.pairs, size, codec.name, COLUMNS if size == sizes[0] else COLUMNS // 2)
        for size, at in found.items()
    }
    files = dict(pictures)
    if len(sizes) > 1 or settings.buckets:
        figures = spread(table, settings)
        facts["sizes"] = {str(size): {**figures[size], **at.facts()} for size, at in found.items()}
        files[PAGE] = page(facts["sizes"], {size: at.pairs for size, at in found.items()}, settings).encode()
    rows = int(table.select(pl.len()).collect().item())
    output = Output(rows_in=rows, facts=facts, pictures=pictures, links={"report": PAGE} if PAGE in files else {})
    output.note_halved(stats.halved)

    def write() -> Iterator[pl.DataFrame]:
        for path, data in files.items():
            output.add_file(path, data)
        yield _rows({size: at.pairs for size, at in found.items()}, settings)

    output.rows = write()
    return output


def _at_size(
    latents: Shards,
    read: Callable[[str], bytes],
    settings: Latents,
    resolution: int,
    codec: LatentCodec,
    stats: BatchStats,
) -> AtSize:
    table, column = latents.frame(), f"latent_{resolution}"
    columns = array_columns(column, table.collect_schema())
    ids = table.filter(pl.col(column).is_not_null()).select("image_id").collect()["image_id"]
    shown = chosen(ids, shown_at(settings, resolution))
    rows = table.filter(pl.col("image_id").is_in(shown)).select("image_id", *columns).collect()
    images = [(image_id, read(image_id)) for image_id in shown]
    found = pairs(images, rows, codec, settings, resolution, codec.training_photos, stats)
    return AtSize(found, moments((latents[shard].select(columns).collect() for shard in latents.keys), column))


def _picture(settings: Latents, resolution: int) -> str:
    return f"{settings.column(PICTURE, resolution)}.png"


def _rows(found: dict[int, list[Pair]], settings: Latents) -> pl.DataFrame:
    """A row per image shown at any size, sorted by image_id; PSNR is null at sizes where it is not shown."""
    each = {pair.image_id: pair for at in reversed(found.values()) for pair in at}
    known = [(name, pair.upscaled, pair.trained_on) for name, pair in sorted(each.items())]
    schema = LATENT_REPORT.polars()
    frame = pl.DataFrame(known, {name: schema[name] for name in ("image_id", "upscaled", "trained_on")}, orient="row")
    values = [
        pl.Series(
            settings.column("psnr_db", size),
            [{pair.image_id: pair.psnr_db for pair in at}.get(name) for name in frame["image_id"]],
            pl.Float64,
        )
        for size, at in found.items()
    ]
    return frame.with_columns(values).select(*LATENT_REPORT, *(value.name for value in values[1:]))
