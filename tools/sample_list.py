"""The sample source: a list as the web would give it, made from the photos that the repository ships.

`python -m tools.sample_list data/sample` reads `images/` and `credits.jsonl` and writes `photos.parquet` (the
list), `derived/` (copies, near-duplicates and broken files) and `server.json` (how the loopback web server misbehaves).
The same bytes every time.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from paris_assets.demo.server import BEHAVIOURS

HOST = "http://photos.example"
SEED = 2
LIST_SCHEMA = {
    "URL": pl.String,
    "TEXT": pl.String,
    "WIDTH": pl.Int32,
    "HEIGHT": pl.Int32,
    "similarity": pl.Float64,
    "punsafe": pl.Float32,
    "pwatermark": pl.Float32,
    "AESTHETIC_SCORE": pl.Float32,
    "hash": pl.Int64,
}
PAGE = "<!doctype html><title>Not found</title><p>The photo that was here has moved. <a href='/'>Start page</a></p>\n"
ORIENTATION = 0x0112  # EXIF tag

Row = dict[str, Any]


class Sample:
    """The list, the derived files and the server's behaviours while they are collected."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        credits = (folder / "credits.jsonl").read_text().splitlines()
        self.photos: list[Row] = sorted(map(json.loads, credits), key=lambda row: row["file"])
        self.rows: list[Row] = []
        self.behaviours: dict[str, dict[str, Any]] = {}
        # Photos to derive from, in an order that says nothing about their content; each is used once.
        large = [row for row in self.photos if min(self.open(row).size) >= 240]
        self._unused = sorted(large, key=lambda row: hashlib.sha256(row["file"].encode()).digest())

    def open(self, photo: Row) -> Image.Image:
        """The picture of a photo."""
        return Image.open(self.folder / photo["file"])

    def take(self, count: int, wide: bool | None = None) -> list[Row]:
        """Photos that nothing was derived from yet; `wide` asks for 512 pixels in width or in height."""
        fitting = [row for row in self._unused if wide is None or self.open(row).size[0 if wide else 1] == 512]
        for row in fitting[:count]:
            self._unused.remove(row)
        return fitting[:count]

    def list_row(self, url: str, text: str = "", size: tuple[int | None, int | None] = (None, None)) -> None:
        """A row of the list; a path gets the sample's host."""
        url = HOST + url if url.startswith("/") else url
        self.rows.append({"URL": url, "TEXT": text, "WIDTH": size[0], "HEIGHT": size[1]})

    def add(self, path: str, content: bytes, text: str = "") -> None:
        """A derived file and its row."""
        file = self.folder / "derived" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.list_row(f"/derived/{path}", text)

    def misbehave(self, path: str, **behaviour: Any) -> None:
        """A path that the server answers in its own way, and its row."""
        self.behaviours[path] = behaviour
        self.list_row(path)


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """An image file without any metadata but what `options` give."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def add_photos(sample: Sample) -> None:
    """The photos themselves; two of them arrive on the second request only."""
    for photo in sample.photos:
        sample.list_row(f"/{photo['file']}", photo["alt"], (photo["width"], photo["height"]))
    failing, busy = sample.take(2)
    sample.behaviours[f"/{failing['file']}"] = {"status": 500, "fail_first": 1}
    sample.behaviours[f"/{busy['file']}"] = {"status": 429, "fail_first": 1, "headers": {"Retry-After": "1"}}


def add_copies(sample: Sample) -> None:
    """Byte-identical copies under other names and texts, one of them behind a redirect."""
    for photo in sample.take(6):
        content = (sample.folder / photo["file"]).read_bytes()
        sample.add(f"copies/{Path(photo['file']).name}", content, _text("Photo of", photo))
    [moved] = sample.take(1)
    sample.misbehave("/moved.jpg", redirect=f"/{moved['file']}")


def add_near_duplicates(sample: Sample) -> None:
    """Photos encoded again, at three quarters of their size, or with 3 % less of their height and width."""
    for quality, photo in zip((35, 45, 55, 65, 75, 80), sample.take(6), strict=True):
        content = encode(sample.open(photo), quality=quality)
        sample.add(f"reencoded/{Path(photo['file']).name}", content, _text("Wallpaper", photo))
    webp, png, turned = sample.take(3)
    sample.add(f"reencoded/{Path(webp['file']).stem}.webp", encode(sample.open(webp), "WEBP", quality=70), webp["alt"])
    lossless = sample.open(png)
    lossless.thumbnail((320, 320))
    sample.add(f"reencoded/{Path(png['file']).stem}.png", encode(lossless, "PNG"))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # stored turned by 90 degrees, shown upright
    content = encode(sample.open(turned).transpose(Image.Transpose.ROTATE_90), quality=85, exif=exif.tobytes())
    sample.add(f"reencoded/{Path(turned['file']).name}", content, turned["alt"])
    for photo in sample.take(8):
        image = sample.open(photo)
        small = image.resize((round(image.width * 0.75), round(image.height * 0.75)), Image.Resampling.BICUBIC)
        sample.add(f"resized/{Path(photo['file']).name}", encode(small, quality=85), _text("Thumbnail", photo))
    for photo in sample.take(8):
        image = sample.open(photo)
        left, top = round(image.width * 0.015), round(image.height * 0.015)
        cropped = image.crop((left, top, image.width - left, image.height - top))
        sample.add(f"cropped/{Path(photo['file']).name}", encode(cropped, quality=88), photo["alt"])


def add_failures(sample: Sample) -> None:
    """Rows of which each must fail, or be dropped later, for a reason of its own."""
    for photo in sample.take(2):
        content = (sample.folder / photo["file"]).read_bytes()
        sample.add(f"truncated/{Path(photo['file']).name}", content[: len(content) * 2 // 5], photo["alt"])
    for width, photo in zip((24, 96), sample.take(2), strict=True):
        tiny = sample.open(photo).resize((width, width * 2 // 3))
        sample.add(f"tiny/{Path(photo['file']).name}", encode(tiny, quality=85), photo["alt"])
    [wide], [tall] = sample.take(1, wide=True), sample.take(1, wide=False)
    sample.add("strip/wide.jpg", encode(sample.open(wide).crop((0, 60, 512, 225)), quality=85), wide["alt"])
    sample.add("strip/tall.jpg", encode(sample.open(tall).crop((60, 0, 225, 512)), quality=85), tall["alt"])
    sample.add("broken/page.jpg", PAGE.encode(), "Sunset over the bay")
    sample.add("broken/empty.jpg", b"")
    [slow] = sample.take(1)
    sample.add("broken/slow.jpg", encode(sample.open(slow), quality=80), slow["alt"])
    sample.behaviours["/derived/broken/slow.jpg"] = {"delay_s": 30}
    sample.list_row("/images/missing.jpg", "A photo that is gone")
    sample.misbehave("/huge.jpg", size_bytes=25_000_000)
    sample.misbehave("/endless.jpg", size_bytes=25_000_000, chunked=True)
    sample.misbehave("/loop.jpg", redirect="/loop.jpg")
    sample.misbehave("/inside.jpg", redirect="http://169.254.169.254/latest/meta-data/")
    sample.list_row("http://10.0.0.1/printer.jpg", "Office printer")
    sample.list_row("http://2130706433/decimal.jpg", "An address written as one number")
    sample.list_row("file:///etc/hostname", "A file of the machine that fetches")


def make_sample(folder: Path) -> pl.DataFrame:
    """Write the list, the derived files and `server.json` into `folder`, replacing what was derived before.

    Args:
        folder: holds `images/` and `credits.jsonl` (`file`, `author`, `licence`, `source`, `alt`, `width`, `height`).

    Returns:
        The list.
    """
    sample = Sample(folder)
    shutil.rmtree(folder / "derived", ignore_errors=True)
    for add in (add_photos, add_copies, add_near_duplicates, add_failures):
        add(sample)
    random.Random(SEED).shuffle(sample.rows)
    rows = pl.DataFrame(sample.rows, schema=LIST_SCHEMA)
    rows.write_parquet(folder / "photos.parquet", compression="zstd")
    (folder / BEHAVIOURS).write_text(json.dumps(sample.behaviours, indent=1, sort_keys=True) + "\n")
    return rows


def _text(prefix: str, photo: Row) -> str:
    return f"{prefix} {photo['alt']}" if photo["alt"] else ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.sample_list FOLDER")
    print(f"{make_sample(Path(sys.argv[1])).height} rows in {sys.argv[1]}/photos.parquet")
