"""The probe's training against torch's gradients, and what may not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from paris_assets.pool.contrastive import Maps, Pairs, info_nce, recall_at_1, trained
from paris_assets.settings.probe import Probe

SETTINGS = Probe(samples_seen=640, batch=32, dim=6)


def pairs(rows: int = 200) -> Pairs:
    drawn = np.random.default_rng(0)
    common = drawn.standard_normal((rows, 6))
    text, image = common @ drawn.standard_normal((6, 9)), common @ drawn.standard_normal((6, 14)) + 3
    return Pairs.of(text.astype(np.float16), image.astype(np.float16))


def test_vectors_are_centred_and_scaled() -> None:
    image = pairs().image
    read = image.read(np.arange(200))
    assert np.abs(read.mean(0)).max() < 1e-3
    assert abs(read.std() - 1) < 1e-3
    np.testing.assert_array_equal(image.prepared(image.stored[7:9]), read[7:9])


def test_gradients_are_those_of_torch() -> None:
    both, drawn = pairs(), np.random.default_rng(1)
    text, image = both.text.read(np.arange(40)), both.image.read(np.arange(40))
    maps = Maps(*(drawn.standard_normal((size, 5)).astype(np.float32) for size in (9, 14)))
    weights = [torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in (maps.text, maps.image)]
    texts, images = (
        functional.normalize(torch.from_numpy(part).double() @ weight)
        for part, weight in zip((text, image), weights, strict=True)
    )
    logits, own = texts @ images.T / 0.07, torch.arange(40)
    loss = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    loss.backward()
    for found, weight in zip(info_nce(maps, text, image, 0.07), weights, strict=True):
        assert weight.grad is not None
        np.testing.assert_allclose(found, weight.grad.numpy(), atol=2e-5)


def test_training_learns_what_belongs_together() -> None:
    both, test = pairs(), np.arange(150, 200)

    def recall(maps: Maps) -> float:
        return recall_at_1(maps.texts(both.text.read(test)), maps.images(both.image.read(test)))

    start = trained(both, np.arange(150), SETTINGS.model_copy(update={"learning_rate": 1e-9}), 0)
    assert recall(start) < 0.2
    longer = SETTINGS.model_copy(update={"samples_seen": 12_800})
    assert recall(trained(both, np.arange(150), longer, 0)) > 0.6


def test_a_training_depends_on_its_rows_and_seed_alone() -> None:
    both = pairs()
    one, again = (trained(both, np.arange(100), SETTINGS, 5) for _ in range(2))
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, trained(both, np.arange(100), SETTINGS, 6).image)
    assert not np.array_equal(one.image, trained(both, np.arange(50), SETTINGS, 5).image)


def test_every_subset_sees_as_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    both, read = pairs(), type(pairs().text).read

    def counted(side: object, rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return read(side, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(type(both.text), "read", counted)
    for rows in (33, 200):
        seen.clear()
        trained(both, np.arange(rows), SETTINGS, 0)
        assert len(seen) == 2 * 20  # texts and images of each batch
        assert all(len(set(batch)) == 32 for batch in seen)


def test_fewer_rows_than_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="31 rows are fewer than a batch of 32"):
        trained(pairs(), np.arange(31), SETTINGS, 0)


def test_recall_counts_both_directions() -> None:
    texts = np.array([[1, 0], [0, 1], [1, 0.1]])
    images = np.array([[1.0, 0], [0, 1.0], [0, 2.0]])
    # texts: 0 -> image 0, 1 -> image 2, 2 -> image 0; images: 0 -> text 0, 1 -> text 1, 2 -> text 1
    assert recall_at_1(texts, images) == pytest.approx((1 / 3 + 2 / 3) / 2)
