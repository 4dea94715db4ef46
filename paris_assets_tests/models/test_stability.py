"""The promise behind padded batches on single threads: the same image gives the same bits in any place and company, on
any number of cores, beside any neighbour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from paris_assets.compute import Compute
from paris_assets.config import Model
from paris_assets.models.batches import BatchStats, run_batches, run_padded
from paris_assets.models.registry import build
from paris_assets.models.threads import side_by_side
from paris_assets_tests.models import digests, tiny
from paris_assets_tests.models.photos import photos

SIZE = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny networks."""
    path = tmp_path_factory.mktemp("networks")
    digests.make_tiny(path)
    return path


@contextmanager
def _busy_neighbour() -> Iterator[None]:
    """A thread that keeps torch's threads busy."""
    done = threading.Event()

    def work() -> None:
        torch.set_num_threads(2)
        left = torch.ones(300, 300)
        while not done.is_set():
            left = (left @ left).clamp(0, 1)

    neighbour = threading.Thread(target=work)
    neighbour.start()
    try:
        yield
    finally:
        done.set()
        neighbour.join()


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, str]:
    """Network -> digest with one batch at a time."""
    found = {}
    for name, network in digests.networks(folder):
        network.in_flight = 1
        found[name] = digests.digest(network)
    assert len(set(found.values())) == len(found) >= len(digests.TINY) + len(digests.SHIPPED)
    return found


def test_batches_at_once_and_neighbours_change_no_byte_of_any_network(folder: Path, alone: dict[str, str]) -> None:
    for name, network in digests.networks(folder):
        network.in_flight = 2
        assert digests.digest(network) == alone[name], name
        network.in_flight = 4
        with _busy_neighbour():
            assert digests.digest(network) == alone[name], name


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["4", *(pytest.param(number, marks=pytest.mark.extended) for number in ("1", "2"))])
def test_the_number_of_cores_changes_no_byte_of_any_network(folder: Path, alone: dict[str, str], threads: str) -> None:
    command = [sys.executable, "-m", "paris_assets_tests.models.digests", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == alone


def _by_id(images: list[tuple[str, bytes]], network, threads: int = 2) -> dict[str, np.ndarray]:
    return {
        image_id: row
        for ids, rows in run_batches(images, network, Compute(threads))
        for image_id, row in zip(ids, rows, strict=True)
    }


@pytest.mark.parametrize("name", ["efficientnet-lite0", "small-copy-detector", "open-nsfw", "degradation", "dinov2"])
def test_order_and_subset_change_no_bit(folder: Path, name: str) -> None:
    path = str(folder / name) if name == "dinov2" else None
    network = build(Model(implementation=name, path=path, batch_size=SIZE))
    images = photos()[:10]
    whole = _by_id(images, network)
    shuffled = [images[index] for index in np.random.default_rng(0).permutation(10)]
    others = [*_by_id(shuffled, network, 1).items(), *_by_id(images[3:6], network).items()]
    assert len(others) == 13
    for image_id, row in others:
        assert np.array_equal(row, whole[image_id])
    assert len({row.tobytes() for row in whole.values()}) == 10


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_latents_are_the_same_bits_in_any_company(
    tmp_path: Path, precision: Literal["fp32", "bf16"], size: int
) -> None:
    path = str(tiny.autoencoder(tmp_path))
    codec = build(Model(implementation="autoencoder-kl", path=path, batch_size=size, precision=precision))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)

    def encode(rows: np.ndarray) -> np.ndarray:
        (latents,) = side_by_side(
            [codec],
            lambda part: run_padded("vae", lambda batch: (codec.encode(batch),), size, BatchStats(), part),
            [rows],
        )
        return latents[0]

    def decode(rows: np.ndarray) -> np.ndarray:
        (pictures,) = side_by_side([codec], codec.decode, [rows])
        return pictures

    whole = encode(pixels)
    order = np.array([5, 2, 0, 4, 1, 3])
    assert np.array_equal(encode(pixels[order]), whole[order])
    assert np.array_equal(encode(pixels[3:4]), whole[3:4])
    decoded = decode(whole[:size])
    assert np.array_equal(decode(whole[:size][::-1].copy()), decoded[::-1])


def test_texts_are_the_same_bits_in_any_company() -> None:
    encoder = build(Model(implementation="minilm", batch_size=SIZE, precision="fp32"))
    texts = ["a red barn", "two hammers on a bench", "", "the sea at night, seen from a small boat"]
    whole, again = side_by_side(
        [encoder], lambda batch: encoder.encode(batch, 16), [texts, [texts[3], "", "", texts[0]]]
    )
    assert np.array_equal(again.embedding[0], whole.embedding[3])
    assert np.array_equal(again.pooled[3], whole.pooled[0])
