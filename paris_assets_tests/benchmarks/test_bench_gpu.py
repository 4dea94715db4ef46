"""The parts of `bench_gpu` that need no GPU: counts, peaks, files, the table, and a small network on the CPU."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from paris_assets.clusters.assets import image_embeddings
from paris_assets.config import Model
from paris_assets.forecast.hardware import shipped_hardware
from paris_assets.images.decode import decode_rgb
from paris_assets.models.registry import build
from paris_assets_tests.benchmarks import bench_gpu
from paris_assets_tests.benchmarks.bench_full_size import flops_per_image
from paris_assets_tests.models import tiny

WIDTH, LAYERS, PATCHES = 32, 2, (224 // 14) ** 2


def dinov2_flops() -> int:
    """Of one image, by the formulas: patches, and per block projections, attention and the two layers of 4 x width."""
    tokens = PATCHES + 1
    block = 2 * tokens * WIDTH * WIDTH * (4 + 8) + 4 * tokens * tokens * WIDTH
    return 2 * PATCHES * (3 * 14 * 14) * WIDTH + LAYERS * block


@pytest.mark.parametrize("size", [1, 3])
def test_counted_operations_are_those_of_the_formulas(tmp_path: Path, size: int) -> None:
    path = tiny.dinov2(tmp_path / "model", WIDTH, LAYERS)
    network = build(Model(implementation="dinov2", path=str(path), precision="fp32", device="cpu", batch_size=size))
    batch = np.zeros((size, 224, 224, 3), np.uint8)
    assert flops_per_image(network.run, (batch,), size) == dinov2_flops()


@pytest.mark.parametrize(
    ("name", "precision", "tflops"),
    [
        ("NVIDIA A40", "bf16", 149.7), ("NVIDIA A100-SXM4-80GB", "bf16", 312), ("NVIDIA H100 80GB HBM3", "bf16", 989),
        ("NVIDIA H200", "fp16", 989), ("Tesla T4", "fp16", 65), ("Tesla T4", "bf16", None),
        ("NVIDIA RTX A4000", "bf16", None), ("NVIDIA L40S", "bf16", None),
    ],
)  # fmt: skip
def test_peaks_are_those_of_the_table_of_hardware(name: str, precision: str, tflops: float | None) -> None:
    assert bench_gpu.peak_flops(name, precision, shipped_hardware()) == (tflops and pytest.approx(tflops * 1e12))


def test_files_beyond_those_drawn_differ_and_show_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_gpu, "DIFFERENT", 2)
    files = bench_gpu.many(5, 96)
    assert len({key for key, _ in files}) == len({data for _, data in files}) == 5
    assert [key for key, _ in files] == sorted(key for key, _ in files)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key, _ in files)
    assert len({decode_rgb(data).tobytes() for _, data in files}) == 2


def test_the_table_has_rates_and_shares() -> None:
    row = bench_gpu.Row("DINOv2-L", "bf16", 256, 8192, 2000.0, 1900.0, 0.0, 156e9, 989e12, 3.25)
    assert row.mfu == pytest.approx(0.3155, abs=1e-4)
    head, _, line = bench_gpu.table([row]).splitlines()
    cells = dict(zip(head.split("|"), line.split("|"), strict=True))
    told = {name.strip(): cell.strip() for name, cell in cells.items()}
    assert told["ratio"] == "95%"
    assert told["MFU"] == "32%"
    assert told["TFLOP/s"] == "312.0"
    assert told["cores"] == told["decode/s"] == "-"
    assert bench_gpu.Row("x", "fp32", 1, 1, 1.0, 1.0, 0.0, 1.0, None, 0.0).mfu is None


def test_a_network_is_measured_from_files_to_the_table(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        tiny.dinov2(folder, WIDTH, LAYERS)

    case = bench_gpu.Case("dinov2", "embedder", image_embeddings, make, 4, 6)
    options = bench_gpu.parsed(["--rounds", "1", "--long-side", "64", "--precision", "fp32", "--peak", "1"])
    options.device = "cpu"
    row = bench_gpu.measure("small", case, options)
    assert (row.rows, row.batch_size, row.precision, row.peak) == (8, 4, "fp32", 1e12)
    assert row.flops == dinov2_flops()
    assert min(row.alone, row.whole, row.decoding) > 0
    assert row.mfu == pytest.approx(row.alone * row.flops / 1e12)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a machine with a GPU it measures")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench_gpu"])
    with pytest.raises(SystemExit, match="bench_gpu measures a CUDA GPU, and torch sees none here"):
        bench_gpu.main()
