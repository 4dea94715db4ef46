"""A shard of enlarged sample photos, for measuring networks at full size without the network stages before."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl
from PIL import Image

from paris_assets.config import Model
from paris_assets.images.tars import write_tar
from paris_assets.profiles import load_profile
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot
from paris_assets_tests.models.photos import photos

SENTENCE = "a photo of an old stone bridge over the river with boats and two people who wait for the ferry"


def enlarged(count: int, long_side: int) -> list[tuple[str, bytes]]:
    """(image_id, JPEG) of ``count`` different pictures of ``long_side`` pixels, sorted."""
    files = []
    for number in range(count):
        picture = Image.open(io.BytesIO(photos()[number % len(photos())][1])).convert("RGB")
        scale = long_side / max(picture.size)
        large = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "JPEG", quality=90 - number // len(photos()))
        files.append((hashlib.sha256(file.getvalue()).hexdigest()[:32], file.getvalue()))
    return sorted(files)


def shard(folder: Path, setting: str, model: Model, images: list[tuple[str, bytes]]) -> MadeUpRoot:
    """A root whose only shard holds the images, and a profile that differs from `paris` in one model."""
    paris = load_profile("paris")
    settings = {**{name: paris.at(name).model_dump() for name in ("captions", "text", "latents")}, "text.tokens": 77}
    store = made_up.flat_root(folder, **settings, **{setting: model.model_dump()})
    tar = folder / "images.tar"
    offsets = write_tar(tar, [(f"{key}.jpg", data) for key, data in images])
    ids = pl.DataFrame({"image_id": [key for key, _ in images]}).with_row_index("number")
    places = ids.with_columns(
        status=pl.lit("ok"),
        offset=pl.Series(offsets),
        stored_bytes=pl.Series([len(data) for _, data in images]),
        stored_sha256=pl.Series([hashlib.sha256(data).hexdigest() for _, data in images]),
    )
    store.put("raw_images", places.drop("number"), files={f"raw_images/{made_up.SHARD}.tar": tar})
    store.put("curated_images", ids.select("image_id", text=pl.lit(None, pl.String)))
    texts = [" ".join(SENTENCE.split()[: 5 + number % 12]) + f" {number}" for number in range(len(images))]
    store.put("captions", ids.select("image_id", caption=pl.Series(texts)))
    return store
