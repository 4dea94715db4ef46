"""What a GPU makes of the networks of published recipes, built from their configurations with random weights.

Run on a machine with one: `python -m paris_assets_tests.benchmarks.bench_gpu [network ...] [--batch-size N]`

Alone: batches in memory, two in flight, as an asset runs them. End to end: the asset's function and its commit, from a
tar of JPEGs (sample photos, enlarged) to the Parquet file; of texts, from the table of captions. Both are measured in
turn, and the medians count. GFLOP per row are counted by torch; MFU is what the network alone reaches of the peak that
the maker states for the precision (`paris_assets/forecast/hardware.yaml`, or `--peak`). `cores`: that decode and resize
as fast as the network alone computes. With random weights BLIP-2 writes as many tokens as it may: `--tokens` of them.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paris_assets.captions.assets import captions, text_embeddings
from paris_assets.clusters.assets import image_embeddings
from paris_assets.dag.assets import TableAsset
from paris_assets.forecast.hardware import Hardware, shipped_hardware
from paris_assets.latents.assets import latents
from paris_assets.models.device import place
from paris_assets.models.registry import Models
from paris_assets.models.threads import side_by_side
from paris_assets.process import cores
from paris_assets.profiles import load_profile
from paris_assets_tests.benchmarks.bench_full_size import flops_per_image, made, prepared, seconds
from paris_assets_tests.benchmarks.full_size_shard import enlarged, shard
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.models import full_size

MFU_GOAL, END_TO_END_GOAL = 0.45, 0.9
DIFFERENT = 512
"""Pictures that are really drawn; further ones are their files with another comment."""


@dataclass(frozen=True)
class Case:
    """A network: the setting and asset that run it, how it is made, rows of a batch, and rows that are measured."""

    implementation: str
    setting: str
    asset: TableAsset
    make: Callable[[Path], Any]
    batch_size: int
    rows: int


CASES = {
    "DINOv2-L": Case("dinov2", "embedder", image_embeddings, full_size.dinov2_large, 256, 8192),
    "CLIP-L text": Case("clip-text", "text.encoder", text_embeddings, full_size.clip_l_text, 256, 16384),
    "sd-vae": Case("autoencoder-kl", "latents.codec", latents, full_size.sd_vae, 32, 2048),
    "BLIP-2": Case("blip-2", "captions.captioner", captions, full_size.blip2_opt, 64, 1024),
}


@dataclass(frozen=True)
class Row:
    """What was measured of one network; rates are rows per second.

    Attributes:
        decoding: of all cores; 0 where nothing is decoded.
        flops: of one row.
        peak: floating-point operations per second that the maker states; None: unknown.
        memory_gib: the most that was allocated on the GPU.
    """

    network: str
    precision: str
    batch_size: int
    rows: int
    alone: float
    whole: float
    decoding: float
    flops: float
    peak: float | None
    memory_gib: float

    @property
    def mfu(self) -> float | None:
        """Share of the peak that the network alone reaches."""
        return self.alone * self.flops / self.peak if self.peak else None

    def cells(self) -> list[str]:
        """Of the table."""
        decoders = f"{self.alone / self.decoding * cores():.0f}" if self.decoding else "-"
        return [
            self.network, self.precision, str(self.batch_size), str(self.rows),
            f"{self.alone:,.1f}", f"{self.whole:,.1f}", f"{self.whole / self.alone:.0%}",
            f"{self.decoding:,.0f}" if self.decoding else "-", decoders,
            f"{self.flops / 1e9:,.1f}", f"{self.alone * self.flops / 1e12:,.1f}",
            "-" if self.mfu is None else f"{self.mfu:.0%}", f"{self.memory_gib:.1f}",
        ]  # fmt: skip


COLUMNS = (
    "network", "precision", "batch", "rows", "alone/s", "end to end/s", "ratio", "decode/s", "cores", "GFLOP/row",
    "TFLOP/s", "MFU", "GiB",
)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)], *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def hardware_of(name: str, known: dict[str, Hardware]) -> Hardware | None:
    """The GPU that the driver calls by a name; `NVIDIA A40` is no A4000."""
    return next((each for each in known.values() if re.search(rf"\b{re.escape(each.named)}\b", name)), None)


def peak_flops(name: str, precision: str, known: dict[str, Hardware]) -> float | None:
    """Operations per second that the maker states of a GPU in a precision; None where the table has neither."""
    found = hardware_of(name, known)
    tflops = dict(found.tflops).get(precision) if found else None  # type: ignore[call-overload]
    return tflops * 1e12 if tflops else None


def many(count: int, long_side: int) -> list[tuple[str, bytes]]:
    """(image_id, JPEG) of so many different files, sorted."""
    drawn = enlarged(min(count, DIFFERENT), long_side)
    found = list(drawn)
    for number in range(len(drawn), count):
        key, data = drawn[number % len(drawn)]
        comment = number.to_bytes(4, "big")
        file = data[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + data[2:]
        found.append((f"{number:08x}{key[8:]}", file))
    return sorted(found)


def measure(name: str, case: Case, options: argparse.Namespace) -> Row:
    """The row of one network; ``options`` are those of the command line."""
    size = options.batch_size or case.batch_size
    count = -(-(options.rows or case.rows) // size) * size
    shipped = load_profile("paris").at(case.setting)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        case.make(folder / "model")
        gc.collect()
        settings = {"batch_size": size, "device": options.device, "precision": options.precision, "revision": None}
        tokens = {"max_new_tokens": options.tokens} if case.implementation == "blip-2" else {}
        settings |= {"path": str(folder / "model"), "options": {**shipped.options, **tokens}}
        model = shipped.model_copy(update=settings)
        images = many(count, options.long_side)
        store, models = shard(folder / "root", case.setting, model, images), Models()
        network, placement = models.load(model), place(model)
        batches, decoding = prepared(case.implementation, network, images, store)
        run = network.encode if hasattr(network, "encode") else network.run
        few = tuple(part[:2] if isinstance(part, list | np.ndarray) else part for part in batches[0])
        flops = flops_per_image(run, few, len(few[0]))
        run(*batches[0])
        if placement.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(placement.device)
        alone, whole = [], []
        measured: list[tuple[list[float], Callable[[], object]]] = [
            (alone, lambda: list(side_by_side([network], lambda batch: run(*batch), batches))),
            (whole, lambda: store.commit(case.asset.name, made_up.SHARD, made(case.asset, store, models))),
        ]
        for turn in range(options.rounds):
            for times, work in measured[:: (-1) ** turn]:
                times.append(float(seconds(work)[0]))
    cuda = placement.device.type == "cuda"
    named = torch.cuda.get_device_name(placement.device) if cuda else "cpu"
    peak = options.peak * 1e12 if options.peak else peak_flops(named, placement.precision, shipped_hardware())
    memory = torch.cuda.max_memory_allocated(placement.device) / 2**30 if cuda else 0.0
    by_itself, whole_rate = (count / float(np.median(times)) for times in (alone, whole))
    return Row(name, placement.precision, size, count, by_itself, whole_rate, decoding, flops, peak, memory)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="network", help=", ".join(CASES))
    parser.add_argument("--rows", type=int, help="images or texts per measurement, rounded up to whole batches")
    parser.add_argument("--batch-size", type=int, help="instead of each network's")
    parser.add_argument("--precision", default="auto", help="auto, bf16, fp16 or fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-side", type=int, default=640, help="of the JPEGs, pixels")
    parser.add_argument("--tokens", type=int, default=20, help="that BLIP-2 writes")
    parser.add_argument("--peak", type=float, help="TFLOP/s of this GPU, where the table does not know it")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.networks) - set(CASES))
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(CASES)}")
    options.device = "cuda"
    return options


def main() -> None:
    """Print the table."""
    options = parsed()
    if not torch.cuda.is_available():
        sys.exit("bench_gpu measures a CUDA GPU, and torch sees none here: bench_full_size measures a CPU")
    name = torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    print(f"{name}, {cores()} cores, {versions}, JPEGs of {options.long_side} px")
    if hardware_of(name, shipped_hardware()) is None and not options.peak:
        print("its peak is not known: give --peak TFLOPS for the MFU")
    rows = []
    for network in options.networks or CASES:
        print(f"measuring {network} ...", file=sys.stderr, flush=True)
        rows.append(measure(network, CASES[network], options))
        torch.cuda.empty_cache()
    print(table(rows))
    print(f"goals: MFU >= {MFU_GOAL:.0%}, end to end >= {END_TO_END_GOAL:.0%} of alone; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
