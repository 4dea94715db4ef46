"""The promise behind padded batches: the same image gives the same bits in any place and any company."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from paris_assets.config import Model
from paris_assets.models.batches import BatchStats, run_batches, run_padded
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

SIZE = 4


@pytest.fixture(scope="module", params=["efficientnet-lite0", "open-nsfw", "dinov2"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = str(tiny.dinov2(tmp_path_factory.mktemp("dinov2"))) if request.param == "dinov2" else None
    return build(Model(implementation=request.param, path=path, batch_size=SIZE))


def _by_id(images: list[tuple[str, bytes]], network, threads: int = 2) -> dict[str, np.ndarray]:
    return {
        image_id: row
        for ids, rows in run_batches(images, network, threads)
        for image_id, row in zip(ids, rows, strict=True)
    }


def test_order_subset_and_threads_change_no_bit(network) -> None:
    images = photos()[:10]
    whole = _by_id(images, network)
    shuffled = [images[index] for index in np.random.default_rng(0).permutation(10)]
    others = [*_by_id(shuffled, network, 1).items(), *_by_id(images[3:6], network).items()]
    assert len(others) == 13
    for image_id, row in others:
        assert np.array_equal(row, whole[image_id])
    assert len({row.tobytes() for row in whole.values()}) == 10


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_latents_are_the_same_bits_in_any_company(
    tmp_path: Path, precision: Literal["fp32", "bf16"], size: int
) -> None:
    path = str(tiny.autoencoder(tmp_path))
    codec = build(Model(implementation="autoencoder-kl", path=path, batch_size=size, precision=precision))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)

    def encode(rows: np.ndarray) -> np.ndarray:
        return run_padded("vae", lambda batch: (codec.encode(batch),), size, BatchStats(), rows)[0]

    whole = encode(pixels)
    order = np.array([5, 2, 0, 4, 1, 3])
    assert np.array_equal(encode(pixels[order]), whole[order])
    assert np.array_equal(encode(pixels[3:4]), whole[3:4])
    decoded = codec.decode(whole[:size])
    assert np.array_equal(codec.decode(whole[:size][::-1].copy()), decoded[::-1])
    for count in (1, 2, 5):
        with _threads(count):
            assert np.array_equal(encode(pixels), whole)
            assert np.array_equal(codec.decode(whole[:size]), decoded)


def test_texts_are_the_same_bits_in_any_company() -> None:
    encoder = build(Model(implementation="minilm", batch_size=SIZE, precision="fp32"))
    texts = ["a red barn", "two hammers on a bench", "", "the sea at night, seen from a small boat"]
    whole = encoder.encode(texts, 16)
    again = encoder.encode([texts[3], "", "", texts[0]], 16)
    assert np.array_equal(again.embedding[0], whole.embedding[3])
    assert np.array_equal(again.pooled[3], whole.pooled[0])


def test_the_number_of_cores_changes_no_bit_of_a_text_in_fp32() -> None:
    # In bf16, and in batches much smaller than the profile's, it does.
    encoder = build(Model(implementation="minilm", batch_size=16, precision="fp32"))
    texts = [f"number {index} " * (index + 1) for index in range(16)]
    whole = encoder.encode(texts, 77)
    for count in (1, 5):
        with _threads(count):
            assert np.array_equal(encoder.encode(texts, 77).embedding, whole.embedding)


def test_the_number_of_cores_changes_no_bit() -> None:
    network = build(Model(implementation="efficientnet-lite0", batch_size=SIZE))
    for count in (1, 3):
        many = _by_id(photos()[:4], network)
        with _threads(count):
            other = _by_id(photos()[:4], network)
        assert all(np.array_equal(many[image_id], other[image_id]) for image_id in many)
