"""Pictures on Dagster's pages: small files beside the captured output of runs, from where its webserver sends them.

Dagster shows Markdown of up to 1,000 characters at once and longer one behind a link, so pictures cannot be part of it;
and what is in an event is kept several times. Its webserver sends any file below the folder of captured output under
`/logs`: a picture there is shown on every page, at whatever address the page is reached, and costs an event 100 bytes.
"""

from __future__ import annotations

import io
import os
import re
from hashlib import sha256
from pathlib import Path

import dagster as dg
import polars as pl

from paris_assets.dag.private import LocalComputeLogManager
from paris_assets.errors import MissingInput
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.output import Samples

MAX_BYTES = 50_000
FOLDER = "pictures"


def shown(instance: dg.DagsterInstance, asset: str, name: str, jpeg: bytes) -> dg.MetadataValue | None:
    """Keep a picture in Dagster's home and say where, as Dagster's pages show it without a click; None where this
    instance keeps no files on this machine.

    Args:
        name: of the picture among those of the asset; an earlier one of the same name is replaced.
    """
    manager = getattr(instance.compute_log_manager, "local_manager", instance.compute_log_manager)
    if not isinstance(manager, LocalComputeLogManager):
        return None
    file = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    path = Path(manager.get_captured_local_path([FOLDER, asset, file], "jpg"))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(jpeg)
    os.replace(draft, path)
    # The hash is for the browser, which would show an earlier picture of this name.
    return dg.MetadataValue.md(f"![{name}](/logs/{FOLDER}/{asset}/{file}/jpg?{sha256(jpeg).hexdigest()[:8]})")


def of_png(png: bytes) -> bytes:
    """A small JPEG of a picture."""
    from PIL import Image

    from paris_assets.images.sheet import small_jpeg

    return small_jpeg(Image.open(io.BytesIO(png)), MAX_BYTES)


def of_samples(samples: Samples, chosen: pl.DataFrame) -> bytes:
    """A small JPEG of a few images with what their table says of them.

    Args:
        chosen: (n >= 1) ``image_id`` and ``words``.
    """
    from paris_assets.images.sheet import sheet, small_jpeg

    images = [_bytes(samples, image_id) for image_id in chosen["image_id"]]
    return small_jpeg(sheet(images, chosen["words"].fill_null("").to_list(), samples.columns), MAX_BYTES)


def _bytes(samples: Samples, image_id: str) -> bytes | None:
    """None where the image cannot be read: what is shown here is no check, and never fails a run."""
    try:
        return samples.read(image_id)
    except (MissingInput, DamagedFile):
        return None
