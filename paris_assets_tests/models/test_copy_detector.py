"""The small copy detector: what ships, what its vectors are, and that it finds what hashes miss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from paris_assets.config import Duplicates, Model
from paris_assets.models import carried
from paris_assets.models.carried import Shipped, WeightsError
from paris_assets.models.copy_detector import SIDE
from paris_assets.models.registry import KNOWN, build, copy_cosine, requirements
from paris_assets.signals.perceptual_hash import PerceptualHash
from tools.copy_detection.photos import held_out, pixels
from tools.small_vae.photos import SAMPLE

NAME = "small-copy-detector"


@pytest.fixture(scope="module")
def detector() -> Any:
    return build(Model(implementation=NAME, precision="fp32", device="cpu", batch_size=8))


@pytest.fixture(scope="module")
def seen() -> list[np.ndarray]:
    """Eight held-out photos, which ship."""
    return pixels(held_out()[::6], SAMPLE)


def vectors(detector: Any, pictures: list[np.ndarray]) -> np.ndarray:
    return detector.run(np.stack([detector.preprocess(picture) for picture in pictures]))


def test_the_weights_ship_in_half_precision_and_below_five_megabytes() -> None:
    path = carried.COPY_DETECTOR.verified()
    assert path.stat().st_size <= 5_000_000
    values = load_file(path).values()
    assert {value.dtype for value in values} == {torch.float16}
    assert all(bool(value.isfinite().all()) for value in values)
    assert (path.parent / "model_card.md").is_file()
    assert requirements(Model(implementation=NAME)) == []


def test_other_weights_are_refused_before_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "COPY_DETECTOR", Shipped(carried.COPY_DETECTOR.file, "0" * 64))
    with pytest.raises(WeightsError, match=r"expected 0+: it was not opened"):
        build(Model(implementation=NAME))


def test_vectors_are_of_length_one_and_of_the_whole_picture(detector: Any, seen: list[np.ndarray]) -> None:
    found = vectors(detector, seen)
    assert (found.shape, found.dtype) == ((8, detector.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    expected = Image.fromarray(seen[0]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    assert np.array_equal(detector.preprocess(seen[0]), np.asarray(expected))


def test_mirrored_and_cropped_copies_are_found_which_a_phash_misses(detector: Any, seen: list[np.ndarray]) -> None:
    threshold = copy_cosine(Model(implementation=NAME))
    assert threshold is not None
    mirrored = [np.ascontiguousarray(photo[:, ::-1]) for photo in seen]
    cropped = [photo[: int(0.7 * photo.shape[0]), : int(0.7 * photo.shape[1])] for photo in seen]
    originals, hashes = vectors(detector, seen), PerceptualHash().measure(seen)["phash"]
    for copies in (mirrored, cropped):
        alike = vectors(detector, copies) @ originals.T >= threshold
        assert alike.diagonal().all()
        assert alike.sum() == 8  # and nothing else
        bits = np.bitwise_count(PerceptualHash().measure(copies)["phash"] ^ hashes)
        assert (bits > Duplicates().radius).all()


def test_bf16_vectors_point_where_fp32_ones_do(detector: Any, seen: list[np.ndarray]) -> None:
    half = build(Model(implementation=NAME, precision="bf16", device="cpu", batch_size=8))
    cosines = vectors(detector, seen) @ vectors(half, seen).T
    assert cosines.diagonal().min() > 0.99
    assert half.identity() == {**detector.identity(), "precision": "bf16"}
    assert detector.identity()["sha256"] == carried.COPY_DETECTOR.sha256


def test_the_card_says_the_cosine_that_profiles_get() -> None:
    card = (carried.COPY_DETECTOR.path.parent / "model_card.md").read_text(encoding="utf-8")
    assert f"cosine >= {KNOWN[NAME].copy_cosine}" in card
