"""Images measured per second: ours against what a user would write with Pillow, imagehash and numpy.

Run: `python -m paris_assets_tests.benchmarks.bench_signals [images]`
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
from PIL import Image

from paris_assets.config import Signals
from paris_assets.images.decode import decode_rgb
from paris_assets.signals.measure import measure
from paris_assets_tests.fixtures.photographs import photographs


def large_photographs(count: int) -> list[tuple[str, bytes]]:
    """JPEGs of about 110 KB (768 pixels wide, grain, q85), the size for which other figures are published."""
    images = []
    for i in range(count):
        photo = photographs()[i % len(photographs())]
        photo = photo.resize((768, round(768 * photo.height / photo.width)), Image.Resampling.LANCZOS)
        grain = np.random.default_rng(i).normal(0, 5, (photo.height, photo.width, 1))
        buffer = io.BytesIO()
        Image.fromarray((np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        images.append((f"{i:032x}", buffer.getvalue()))
    return images


def entropy_and_artefacts(pixels: np.ndarray) -> tuple[float, float]:
    """The textbook way."""
    entropies = []
    for channel in range(3):
        shares = np.histogram(pixels[..., channel], bins=256, range=(0, 256))[0] / pixels[..., 0].size
        entropies.append(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
    grey = pixels.mean(axis=2)
    scores = []
    for lines in (grey, grey.T):
        steps = np.abs(np.diff(lines, axis=0)).mean(axis=1)
        border = np.arange(len(steps)) % 8 == 7
        b, o = steps[border].mean(), steps[~border].mean()
        scores.append((b - o) / (b + o))
    return float(np.mean(entropies)), float(np.mean(scores))


def all_signals(data: bytes) -> tuple[float, ...]:
    """Everything that ours measures, one image at a time; Pillow decodes once."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = np.asarray(image)
    grey = np.asarray(image.convert("L")).astype(np.float64)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    noise = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]).mean()
    ab = np.asarray(image.convert("RGB").resize((64, 64))).reshape(-1, 3).std(axis=0)
    image.resize((16, 16), Image.Resampling.BOX)
    return (*entropy_and_artefacts(pixels), laplacian.var(), noise, *ab, grey.mean(), grey.std(),
            int(str(imagehash.phash(image)), 16), int(str(imagehash.dhash(image)), 16))  # fmt: skip


def decode_only(data: bytes) -> bool:
    """What nobody can do without."""
    return decode_rgb(data) is None


def entropy_only(data: bytes) -> tuple[float, float]:
    """Entropy and blocking alone."""
    return entropy_and_artefacts(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def threaded(function: Callable[[bytes], object]) -> Callable[[list[tuple[str, bytes]]], object]:
    """The user's function over a thread pool as large as ours."""

    def run(images: list[tuple[str, bytes]]) -> object:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(function, (data for _, data in images)))

    return run


def rate(function: Callable[[list[tuple[str, bytes]]], object], images: list[tuple[str, bytes]]) -> float:
    """Best images per second of three passes."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function(images)
        times.append(time.perf_counter() - start)
    return len(images) / min(times)


def main(count: int) -> None:
    """Print images per second and the ratio to the alternative."""
    images = large_photographs(count)
    technical = Signals(measures=["paris_assets.signals.entropy:Entropy", "paris_assets.signals.blocking:Blocking"])
    print(f"{count} JPEGs of {np.mean([len(data) for _, data in images]) / 1000:.0f} KB, decode included")
    list(measure(images[:16], Signals()))  # compiled, or read from numba's cache
    decoding = rate(threaded(decode_only), images)
    print(f"decoding alone, our decoder and threads: {decoding:.0f} img/s")
    for name, settings, alternative in (
        ("entropy and blocking", technical, entropy_only),
        ("all signals", Signals(), all_signals),
    ):
        ours = rate(lambda batch, settings=settings: list(measure(batch, settings)), images)
        theirs = rate(threaded(alternative), images)
        print(
            f"{name:22} ours {ours:7.0f} img/s   Pillow + numpy {theirs:7.0f} img/s   ratio {ours / theirs:.2f}, "
            f"share of the rate of decoding {ours / decoding:.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
