"""Images measured per second: ours against what a user would write with Pillow, imagehash and numpy.

All ways take turns, several times, on the same files and with as many threads, in a process set up as those of `paris
run` are; the best time of each counts, and the least time of all cores together. Shares of the rate of decoding are
what to compare between machines; where others use the cores, those of CPU time. Ours is also run in shards of 50
images, each with its own start; what a process needs once, with compiled code in numba's cache, is told apart.
`make bench-signals` compiles for this CPU, and then for one without AVX-512.

Run: `python -m paris_assets_tests.benchmarks.bench_signals [images] [rounds]`
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image

from paris_assets.config import Signals
from paris_assets.images.decode import decode_rgb
from paris_assets.process import prepare_process
from paris_assets.signals.measure import cores, measure
from paris_assets_tests.fixtures.photographs import photographs

FURTHER = [
    f"paris_assets.signals.{name}"
    for name in (
        "compression:Compression",
        "provenance:Provenance",
        "frame:Frame",
        "collage:Collage",
        "colour:Colour",
        "complexity:Complexity",
        "detail:Detail",
    )
]

Way = Callable[[list[tuple[str, bytes]]], object]


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


def threaded(function: Callable[[bytes], object]) -> Way:
    """The user's function over a thread pool as large as ours."""

    def run(images: list[tuple[str, bytes]]) -> object:
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(function, (data for _, data in images)))

    return run


def sharded(function: Callable[[bytes], object], size: int) -> Way:
    """The same in shards of so many images, each with a pool of its own."""
    whole = threaded(function)
    return lambda images: [whole(images[i : i + size]) for i in range(0, len(images), size)]


def webscale_operators(data: bytes) -> tuple[float, ...]:
    """Operators 1.2 and 1.9 of the webscale pipeline, as its formulas stand: entropy, steps at every 8th line, at most
    64 of them, and bytes for each pixel; a pHash of 256 bits."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = np.asarray(image)
    entropies = []
    for channel in range(3):
        shares = np.bincount(pixels[..., channel].ravel(), minlength=256) / pixels[..., 0].size
        entropies.append(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())
    grey = pixels.sum(axis=2, dtype=np.uint16) // 3
    steps = []
    for lines in (grey.astype(np.int32), grey.T.astype(np.int32)):
        first = np.arange(0, len(lines) - 1, 8)[:64]
        steps.append(np.abs(lines[first] - lines[first + 1]).mean() / 255)
    full = 1 - min(1.0, 2 * len(data) / pixels.size)
    return float(np.mean(entropies)), 0.6 * float(np.mean(steps)) + 0.4 * full, int(str(imagehash.phash(image, 16)), 16)


def hash_only(data: bytes) -> int:
    """The 64-bit pHash of imagehash."""
    return int(str(imagehash.phash(Image.open(io.BytesIO(data)))), 16)


class Cost(NamedTuple):
    """Seconds of the clock, and of all cores together."""

    wall: float
    cpu: float


def cost(way: Way, images: list[tuple[str, bytes]]) -> Cost:
    """Of one run."""
    start, used = time.perf_counter(), time.process_time()
    way(images)
    return Cost(time.perf_counter() - start, time.process_time() - used)


def costs(ways: dict[str, Way], images: list[tuple[str, bytes]], rounds: int) -> dict[str, Cost]:
    """The least of each way, which take turns."""
    found = [{name: cost(way, images) for name, way in ways.items()} for _ in range(rounds)]
    return {name: Cost(*(min(each) for each in zip(*(one[name] for one in found), strict=True))) for name in ways}


def ours(measures: list[str], shard: int = sys.maxsize) -> Way:
    """Our measurement of a list of images, in shards of so many."""
    settings = Signals(measures=measures)

    def run(images: list[tuple[str, bytes]]) -> object:
        shards = (images[i : i + shard] for i in range(0, len(images), shard))
        return [list(measure(each, settings)) for each in shards]

    return run


def table(found: dict[str, Cost], count: int) -> str:
    """A line for each way: images/s and CPU time per image, and what share of the rate of decoding either is."""
    alone = found["decoding alone"]
    lines = [f"{'':44}{'images/s':>9} {'of decoding':>12} {'CPU ms':>8} {'of decoding':>12}"]
    for name, each in found.items():
        rate, shares = count / each.wall, (alone.wall / each.wall, alone.cpu / each.cpu)
        lines.append(f"{name:44}{rate:9.0f} {shares[0]:12.2f} {each.cpu / count * 1000:8.2f} {shares[1]:12.2f}")
    return "\n".join(lines)


def main(count: int, rounds: int) -> None:
    """Print what each way costs, and its share of the rate of decoding."""
    images = large_photographs(count)
    today = Signals().measures
    every = [*today, *FURTHER]
    ways = {
        "decoding alone": threaded(decode_only),
        "decoding alone, shards of 50": sharded(decode_only, 50),
        "ours: entropy and blocking": ours(today[:2]),
        "ours: the default set": ours(today),
        "ours: the default set, shards of 50": ours(today, 50),
        "ours: all signals that ship": ours(every),
        "ours: all signals that ship, shards of 50": ours(every, 50),
        "numpy: entropy and blocking": threaded(entropy_only),
        "numpy and imagehash: the default set": threaded(all_signals),
        "numpy and imagehash: the webscale pipeline": threaded(webscale_operators),
        "imagehash: phash": threaded(hash_only),
    }
    first = cost(ways["ours: all signals that ship"], images[:1])  # compiled, or read from numba's cache
    for way in ways.values():
        way(images[:16])
    found = costs(ways, images, rounds)
    size = np.mean([len(data) for _, data in images]) / 1000
    print(f"{count} JPEGs of {size:.0f} KB, {cores()} threads, decode included; the first image of this process took")
    print(f"{first.wall:.2f} s, once, beside imports.")
    print(table(found, count))


if __name__ == "__main__":
    prepare_process()
    given = [int(text) for text in sys.argv[1:3]]
    main(*given, *(200, 4)[len(given) :])
