"""The Paris profile's networks at full size with random weights: the network alone against its asset, end to end.

Run: `python -m paris_assets_tests.benchmarks.bench_full_size [network ...] [--device auto|cpu|cuda] [--images N]`

One op: batches in memory through the network, one after another, each operation on all cores. Alone: the same batches
side by side, one thread each, as the asset runs them. End to end: the asset's function and its commit, from a tar of
JPEGs (sample photos, enlarged) to the Parquet file. All are measured in turn, in one order and the other, and the
median of the ratios of the last two counts, as machines are shared; `cpu` is the same ratio of processor seconds, which
other people's load disturbs less. `decode/s`: decoding and resizing alone. GFLOP per image are counted by torch; `peak`
are those per second of a large matrix product in the same precision and the same minute, `share` what the network alone
reaches of it. With random weights BLIP-2 writes all 50 tokens; real captions end after about ten.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from paris_assets.captions.assets import captions, text_embeddings
from paris_assets.clusters.assets import image_embeddings
from paris_assets.compute import Compute
from paris_assets.dag.assets import TableAsset
from paris_assets.dag.records import Records
from paris_assets.images.reader import ImageTars
from paris_assets.images.resize import middle
from paris_assets.latents.assets import latents
from paris_assets.latents.encode import noise
from paris_assets.models.batches import batched
from paris_assets.models.decoding import decode
from paris_assets.models.decoding import prepared as prepared_rows
from paris_assets.models.device import place
from paris_assets.models.registry import Models
from paris_assets.models.threads import side_by_side
from paris_assets.process import cores
from paris_assets.profiles import load_profile
from paris_assets.storage.output import Output
from paris_assets_tests.benchmarks.full_size_shard import enlarged, shard
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot
from paris_assets_tests.models import full_size

TARGET = 0.9


@dataclass(frozen=True)
class Case:
    """A network of the profile: how it is made, where its setting is, and which asset runs it."""

    setting: str
    make: Callable[[Path], None]
    asset: TableAsset
    gigabytes: float
    images: int


def made(asset: TableAsset, store: MadeUpRoot, models: Models) -> Output:
    """What an asset's function gives for the shard."""
    tables = asset.inputs(store.profile, frozenset(store.graph))
    given: dict[str, Any] = {name: store.tables.for_shard(name, made_up.SHARD) for name in tables}
    given |= {"shard": made_up.SHARD, "images": ImageTars(store.files), "models": models, "profile": store.profile}
    given["records"] = Records(store.record, {asset: store.catalog.keys(asset) for asset in store.graph})
    # Inputs that the profile does without are None.
    return asset.body(**{name: given.get(name) for name in inspect.signature(asset.body).parameters})


CASES = {
    "dinov2": Case(
        "embedder",
        full_size.dinov2_base,
        image_embeddings,
        gigabytes=1,
        images=128,
    ),
    "clip-text": Case(
        "text.encoder",
        full_size.clip_l_text,
        text_embeddings,
        gigabytes=1,
        images=256,
    ),
    "autoencoder-kl": Case(
        "latents.codec",
        full_size.sd_vae,
        latents,
        gigabytes=4,
        images=32,
    ),
    "blip-2": Case(
        "captions.captioner",
        full_size.blip2_opt,
        captions,
        gigabytes=12,
        images=16,
    ),
}


def prepared(name: str, network: Any, images: list[tuple[str, bytes]], store: MadeUpRoot) -> tuple[list[Any], float]:
    """Arguments of each call of the network, and images per second that are decoded and resized for it."""
    size = network.batch_size
    if name == "clip-text":
        texts = store.read("captions", made_up.SHARD)["caption"].to_list()
        return [(texts[start : start + size], 77) for start in range(0, len(texts), size)], 0.0

    def prepare(image_id: str, data: bytes) -> np.ndarray:
        if name == "autoencoder-kl":
            return middle(decode(image_id, data, None), 256, 256).pixels
        return network.preprocess(decode(image_id, data, network.min_side))

    start = time.perf_counter()
    batches = [np.stack(batch) for batch in batched(prepared_rows(prepare, images, size, Compute(), name), size)]
    rate = len(images) / (time.perf_counter() - start)
    if name != "autoencoder-kl":
        return [(batch,) for batch in batches], rate
    draws = np.stack([noise(0, image_id, (4, 32, 32), 256) for image_id, _ in images]).reshape(-1, size, 4, 32, 32)
    return list(zip(batches, draws, strict=True)), rate


def seconds(work: Callable[[], object]) -> np.ndarray:
    """Wall time of one call, and processor time of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - wall, time.process_time() - processor])


def peak_flops(device: torch.device, dtype: torch.dtype, tries: int = 6) -> float:
    """Floating-point operations per second of a large matrix product, the best of a few."""
    side = 8192 if device.type == "cuda" else 3072
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

    def multiply() -> None:
        for _ in range(repeats):
            torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize()

    repeats = 1
    multiply()
    repeats = 10 if device.type == "cuda" else 1
    return 2 * side**3 * repeats / min(seconds(multiply)[0] for _ in range(tries))


def flops_per_image(run: Callable[..., Any], batch: tuple[Any, ...], size: int) -> float:
    """Multiplications and additions of one image; attention written out, as torch does not count the fused one."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run(*batch)
    return counter.get_total_flops() / size


def _available_gigabytes() -> float:
    """Memory that can be had, that of the page cache included."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024 / 1e9


def measure(name: str, options: argparse.Namespace) -> None:
    """Print the row of one network."""
    case, cuda = CASES[name], options.device != "cpu" and torch.cuda.is_available()
    available = _available_gigabytes()
    if available < case.gigabytes:
        print(f"{name:<16}left out: it takes {case.gigabytes} GB of memory, {available:.1f} are free", flush=True)
        return
    shipped = load_profile("paris").at(case.setting)
    size = options.batch_size or shipped.batch_size
    count = -(-(options.images or (4096 if cuda else case.images)) // size) * size
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        case.make(folder / "model")
        gc.collect()
        settings = {"batch_size": size, "device": options.device, "revision": None, "path": str(folder / "model")}
        model = shipped.model_copy(update=settings)
        images = enlarged(count, options.long_side)
        store, models = shard(folder / "root", case.setting, model, images), Models()
        network, placement = models.load(model), place(model)
        batches, decoding = prepared(name, network, images, store)
        run = network.encode if hasattr(network, "encode") else network.run
        flops = flops_per_image(run, batches[0], size)
        run(*batches[0])
        alone, whole, single, peaks = [], [], [], []
        measured: list[tuple[list[np.ndarray], Callable[[], object]]] = [
            (single, lambda: [run(*batch) for batch in batches]),
            (alone, lambda: list(side_by_side([network], lambda batch: run(*batch), batches))),
            (whole, lambda: store.commit(case.asset.name, made_up.SHARD, made(case.asset, store, models))),
        ]
        for turn in range(options.rounds):
            peaks.append(peak_flops(placement.device, placement.dtype))
            for times, work in measured[:: (-1) ** turn]:
                times.append(seconds(work))
    rates, ends, ones = (count / np.median(times, axis=0) for times in (alone, whole, single))
    ratio, processor = np.median(np.array(alone) / np.array(whole), axis=0)
    bound = "network" if ratio >= TARGET else "decoding" if decoding and decoding < 1.2 * rates[0] else "asset"
    print(
        f"{name:<16}{placement.precision:<6}{size:>6}{count:>8}{ones[0]:>10.2f}{rates[0]:>10.2f}{ends[0]:>14.2f}{ratio:>8.1%}"
        f"{processor:>8.1%}{decoding:>10.0f}{flops / 1e9:>9.1f}{max(peaks) / 1e9:>10.0f}"
        f"{rates[0] * flops / max(peaks):>8.1%}  {bound}",
        flush=True,
    )


def main() -> None:
    """Print one row per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="network", help=", ".join(CASES))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--images", type=int, help="images per measurement, rounded up to whole batches")
    parser.add_argument("--batch-size", type=int, help="instead of the profile's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--long-side", type=int, default=640, help="of the JPEGs, pixels")
    options = parser.parse_args()
    unknown = sorted(set(options.networks) - set(CASES))
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(CASES)}")
    cuda = options.device != "cpu" and torch.cuda.is_available()
    where = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}, {cores()} cores, torch {torch.__version__}, JPEGs of {options.long_side} px along the long side")
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(
        f"{'network':<16}{'':<6}{'batch':>6}{'images':>8}{'one op/s':>10}{'alone/s':>10}{'end to end/s':>14}"
        f"{'ratio':>8}{'cpu':>8}{'decode/s':>10}{'GFLOP':>9}{'peak':>10}{'share':>8}  bound"
    )
    for name in options.networks or CASES:
        measure(name, options)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
