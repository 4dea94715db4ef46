"""Images per second from a loopback server into a tar with a ledger, against threads with `requests`.

`python -m paris_assets_tests.benchmarks.bench_ingest [images]`; the server has a process of its own. The alternative
is what a user would write in an afternoon, and how img2dataset fetches: one thread per request in flight, retries by
count, the pictures collected and written with `tarfile`. It has no address check, no body cap and no backoff.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import polars as pl
import requests
from PIL import Image

from paris_assets.config import Ingest
from paris_assets.demo.server import serve
from paris_assets.ingest.ledger import fetch_shard
from paris_assets.ingest.web.fetch import fetch_images

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
CONCURRENCY = 64


def ours(rows: pl.DataFrame, address: str, folder: Path) -> int:
    """`fetch_images` and `fetch_shard`."""
    settings = Ingest.model_validate(
        {"concurrency": CONCURRENCY, "per_host": {"connections": CONCURRENCY}, "resolve": {"photos.example": address}}
    )
    bodies = fetch_images(rows.select("source_row", "url").iter_rows(), settings)
    return fetch_shard(rows, bodies, settings, folder / "ours.tar").filter(status="ok").height


def threads(rows: pl.DataFrame, address: str, folder: Path) -> int:
    """`requests` in a thread pool, one session per thread."""
    local = threading.local()

    def fetch(url: str) -> tuple[str, bytes, tuple[int, int]]:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        body = local.session.get(url.replace("photos.example", address), timeout=10).content
        return hashlib.sha256(body).hexdigest()[:32], body, Image.open(io.BytesIO(body)).size

    with ThreadPoolExecutor(CONCURRENCY) as pool, tarfile.open(folder / "threads.tar", "w") as tar:
        fetched = list(pool.map(fetch, rows["url"]))
        for image_id, body in sorted({image_id: body for image_id, body, _ in fetched}.items()):
            info = tarfile.TarInfo(f"{image_id}.jpg")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return len(fetched)


@contextmanager
def server_process(folder: Path = SAMPLE) -> Iterator[str]:
    """The server of a folder, by default the sample's, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, folder), daemon=True)
    process.start()
    yield here.recv()
    here.send(None)
    process.join()


def _serve(pipe: Connection, folder: Path) -> None:
    with serve(folder) as address:
        pipe.send(address)
        pipe.recv()


def main(images: int) -> None:
    """Print images/s of both, each the best of three, taken in turns."""
    names = sorted(path.name for path in (SAMPLE / "images").iterdir())
    urls = [f"http://photos.example/images/{names[row % len(names)]}?row={row}" for row in range(images)]
    rows = pl.DataFrame({"source_row": range(images), "uid": None, "url": urls, "text": ""})
    ways: dict[str, Callable[[pl.DataFrame, str, Path], int]] = {"ours": ours, "requests + threads": threads}
    rates = dict.fromkeys(ways, 0.0)
    with server_process() as address, tempfile.TemporaryDirectory() as folder:
        for way in ways.values():  # the server's first answers to two photos are failures, and files are read once
            way(rows.head(len(names)), address, Path(folder))
        for _ in range(3):
            for name, way in ways.items():
                start = time.perf_counter()
                fetched = way(rows, address, Path(folder))
                rates[name] = max(rates[name], fetched / (time.perf_counter() - start))
                assert fetched == images, f"{name} fetched {fetched} of {images}"
    for name, rate in rates.items():
        print(f"{name:20} {rate:8.0f} images/s")
    print(f"{'ratio':20} {rates['ours'] / rates['requests + threads']:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
