from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from paris_assets.errors import UsageError
from paris_assets.training.expert_batches import ExpertBatches, all_finite
from paris_assets.training.listing import CorruptSample
from paris_assets.training.places import MissingFiles
from paris_assets.training.prompt import drops
from paris_assets.training.samples import ExpertSamples
from paris_assets_tests.fixtures import training_files as made

NUMBERS = np.array([4, 0, 3])
EPOCHS = np.array([2, 2, 3])


@pytest.fixture
def written() -> list:
    return made.samples(8, ragged=True)


@pytest.fixture
def samples(tmp_path: Path, written: list) -> ExpertSamples:
    return ExpertSamples(made.write(tmp_path, "webdataset", [written]), 0)


def test_a_batch_is_its_samples_padded_with_exact_zeros(samples: ExpertSamples, written: list) -> None:
    batch = ExpertBatches(samples, fields=("group_id", "tokens")).batch(NUMBERS, EPOCHS)
    chosen = [written[number] for number in NUMBERS]
    longest = max(len(each.text) for each in chosen)
    assert batch["text"].shape == (3, longest, made.TEXT_DIM)
    for row, each in enumerate(chosen):
        length = len(each.text)
        assert np.array_equal(batch["latent"][row].numpy(), each.latents[64])
        assert np.array_equal(batch["text"][row, :length].numpy(), each.text)
        assert not batch["text"][row, length:].any()
        assert batch["mask"][row].tolist() == [position < length for position in range(longest)]
    assert batch["image_id"] == [each.metadata["image_id"] for each in chosen]
    assert batch["caption"] == [each.metadata["caption"] for each in chosen]
    assert batch["group_id"] == [each.metadata["group_id"] for each in chosen]
    assert batch["tokens"].tolist() == [each.metadata["tokens"] for each in chosen]
    assert batch["index"].tolist() == NUMBERS.tolist()
    assert batch["dropped"].tolist() == [False] * 3
    assert batch["latent"].dtype == batch["text"].dtype == torch.float16
    assert "corrupt" not in batch


def test_positions_and_dtype(samples: ExpertSamples) -> None:
    batch = ExpertBatches(samples, positions=20, dtype=torch.bfloat16).batch(NUMBERS, EPOCHS)
    assert batch["text"].shape == (3, 20, made.TEXT_DIM)
    assert batch["mask"].sum(1).tolist() == batch["tokens"].tolist()
    assert batch["latent"].dtype == batch["text"].dtype == torch.bfloat16
    with pytest.raises(UsageError, match="positions=2, and a text of the batch has"):
        ExpertBatches(samples, positions=2).batch(NUMBERS, EPOCHS)
    with pytest.raises(UsageError, match="no group in the metadata"):
        ExpertBatches(samples, fields=("group",)).batch(NUMBERS, EPOCHS)


def test_captions_are_dropped_by_seed_epoch_and_image(samples: ExpertSamples) -> None:
    source = ExpertBatches(samples, caption_dropout=0.5, seed=3)
    everything = np.arange(8)
    for epoch in range(3):
        batch = source.batch(everything, np.full(8, epoch))
        expected = [drops(0.5, 3, epoch, row["image_id"]) for row in samples.rows]
        assert batch["dropped"].tolist() == expected
        alone = [source.batch(np.array([at]), np.array([epoch]))["dropped"].item() for at in everything]
        assert alone == expected
        for row in np.flatnonzero(expected):
            assert np.array_equal(batch["text"][row].numpy(), made.empty_prompt()[: batch["text"].shape[1]])
            assert batch["tokens"][row] == 2
            assert batch["mask"][row].sum() == 2
            assert batch["caption"][row] == ""
        for row in np.flatnonzero(np.logical_not(expected)):
            assert batch["caption"][row]


def test_how_many_captions_are_dropped() -> None:
    names = [f"{number:032x}".encode() for number in range(4000)]
    shares = [np.mean([drops(0.1, seed, epoch, name) for name in names]) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(0.08 < share < 0.12 for share in shares)
    both = np.mean([drops(0.1, 0, 0, name) and drops(0.1, 0, 1, name) for name in names])
    assert both < 0.03
    assert not any(drops(0.0, 0, 0, name) for name in names)
    assert all(drops(1.0, 0, 0, name) for name in names)


def test_eight_bits_are_padded_with_zeros_too(tmp_path: Path, written: list) -> None:
    root = made.write(tmp_path, "mds", [written], eight_bits=True)
    samples = ExpertSamples(root, 0)
    batch = ExpertBatches(samples, caption_dropout=0.5).batch(np.arange(8), np.zeros(8, np.int64))
    assert batch["latent"].dtype == batch["text"].dtype == torch.float32
    assert batch["dropped"].any()
    for row in range(8):
        tokens = int(batch["tokens"][row])
        assert not batch["text"][row, tokens:].any()
        if not batch["dropped"][row]:
            assert np.array_equal(batch["text"][row, :tokens].numpy(), samples[row]["text"])
        assert np.array_equal(batch["latent"][row].numpy(), samples[row]["latent"])


def test_the_empty_prompt_has_to_be_there_and_to_fit(tmp_path: Path, samples: ExpertSamples) -> None:
    prompt = tmp_path / "expert_shards/empty_prompt.npy"
    np.save(prompt, np.zeros((3, made.TEXT_DIM + 1), np.float16))
    with pytest.raises(UsageError, match=r"has the shape \(3, 7\), where the text of samples is 6 wide"):
        ExpertBatches(samples, caption_dropout=0.1)
    prompt.write_bytes(b"no array")
    with pytest.raises(UsageError, match="is no array"):
        ExpertBatches(samples, caption_dropout=0.1)
    prompt.unlink()
    with pytest.raises(MissingFiles, match=r"no empty_prompt\.npy in or above"):
        ExpertBatches(samples, caption_dropout=0.1)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("kind", ["latent", "text"])
def test_a_sample_that_is_not_finite_is_named_or_left_out(tmp_path: Path, kind: str, value: float) -> None:
    written = made.samples(5)
    array = written[2].text if kind == "text" else written[2].latents[64]
    array[-1, -1] = value
    root = made.write(tmp_path, "webdataset", [written])
    numbers, epochs = np.array([3, 2, 1]), np.zeros(3, np.int64)
    said = f"sample {written[2].metadata['image_id']}: values of its {kind} are not finite"
    with pytest.raises(CorruptSample, match=said):
        ExpertBatches(ExpertSamples(root, 0)).batch(numbers, epochs)
    source = ExpertBatches(ExpertSamples(root, 0, on_corrupt="skip"))
    batch = source.batch(numbers, epochs)
    assert batch["index"].tolist() == [3, 1]
    assert len(batch["latent"]) == len(batch["text"]) == 2
    (found,) = batch["corrupt"]
    assert said in found
    assert source.batch(numbers[:1], epochs[:1])["corrupt"] == []
    with pytest.raises(CorruptSample, match=said):  # nothing is left to make a batch of
        source.batch(numbers[1:2], epochs[:1])


def test_every_value_of_float16_is_told_finite_or_not() -> None:
    values = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.float16)
    told = [all_finite(value[None]) for value in values]
    assert told == torch.isfinite(values).tolist()
