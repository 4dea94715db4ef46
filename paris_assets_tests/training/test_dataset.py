"""Batches over ranks and workers: none lost, none repeated, and going on in the middle of an epoch."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed

from paris_assets.errors import UsageError
from paris_assets.training import dataset as module
from paris_assets.training import parquet_files
from paris_assets.training.dataset import BatchDataset, expert_dataset, router_dataset
from paris_assets.training.loader import Loader
from paris_assets.training.order import Order, Position
from paris_assets_tests.fixtures import training_files as made

SHAPES = [{64: (4, 8, 8)}, {64: (4, 4, 16)}, {64: (4, 16, 4)}]
COUNT = 53
LOCAL = {"multiprocessing_context": "fork"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An expert in uneven files, with latents of three shapes, one of them rare."""
    written = [made.sample(number, SHAPES[min(number % 7, 2) if number % 7 else 0], split=0) for number in range(COUNT)]
    written.sort(key=lambda each: each.metadata["image_id"])
    folder = tmp_path_factory.mktemp("expert")
    return made.write(folder, "webdataset", [written[:31], written[31:32], written[32:]])


def read_by(dataset: BatchDataset, workers: int, patch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """One epoch as DataLoader gives it: its workers take turns."""
    if not workers:
        yield from dataset
        return
    parts = []
    for worker in range(workers):
        patch.setattr(module, "get_worker_info", lambda: SimpleNamespace(id=worker, num_workers=workers))  # noqa: B023
        parts.append(list(dataset))
    patch.undo()
    yield from (batch for turn in itertools.zip_longest(*parts) for batch in turn if batch is not None)


def numbers(batches: Iterator[dict[str, Any]] | Loader) -> list[list[int]]:
    return [batch["index"].tolist() for batch in batches]


@pytest.mark.parametrize("ranks", [1, 2, 8])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("remainder", ["carry", "short"])
def test_ranks_and_workers_lose_and_repeat_nothing(
    root: Path, ranks: int, workers: int, remainder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = [
        expert_dataset(root, 0, 4, seed=5, remainder=remainder, rank=rank, ranks=ranks) for rank in range(ranks)
    ]
    seen, position = Counter[int](), Position(0, 0)
    for _ in range(3):
        parts = []
        for dataset in datasets:
            dataset.position = position
            parts.append(numbers(read_by(dataset, workers, monkeypatch)))
        ends = {dataset.ended(position) for dataset in datasets}
        assert len(ends) == 1
        (position,) = ends
        seen.update(row for part in parts for batch in part for row in batch)
        if remainder == "carry":
            assert len({len(part) for part in parts}) == 1
            assert all(len(batch) == 4 for part in parts for batch in part)
        else:
            assert set(seen.values()) == {position.epoch}
            assert sum(seen.values()) == COUNT * position.epoch
    if remainder == "carry":
        assert max(seen.values()) - min(seen[row] for row in range(COUNT)) <= 2
        assert position.epoch == 3


@pytest.mark.parametrize("remainder", ["carry", "short"])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 2), (1, 2), (8, 2), (2, 8)])
def test_a_position_is_gone_on_from_with_other_ranks(root: Path, remainder: str, before: int, after: int) -> None:
    def dataset(rank: int, ranks: int) -> BatchDataset:
        return expert_dataset(root, 0, 4, remainder=remainder, caption_dropout=0.5, rank=rank, ranks=ranks)

    alone = dataset(0, 1)
    whole = numbers(iter(alone)) + (numbers(iter(alone)) if remainder == "carry" else [])
    steps = 8 // before
    first = dataset(0, before)
    list(itertools.islice(first, steps))
    state = first.state_dict()
    rests = []
    for rank in range(after):
        other = dataset(rank, after)
        other.load_state_dict(state)
        rests.append(numbers(iter(other)))
    turns = [batch for turn in itertools.zip_longest(*rests) for batch in turn if batch is not None]
    assert turns
    assert turns == whole[steps * before :][: len(turns)]
    if remainder == "short":
        assert len(turns) == len(whole) - steps * before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(root: Path, workers: int) -> None:
    def loader(count: int) -> Loader:
        return Loader(expert_dataset(root, 0, 4, caption_dropout=0.5), count, **(LOCAL if count else {}))

    whole = loader(0)
    epochs = [list(whole) for _ in range(3)]
    begun = loader(workers)
    for _, _ in zip(range(5), begun, strict=False):
        pass
    state = begun.state_dict()
    # Five were handed over, though more were read ahead: the sixth is next, here and elsewhere.
    for other in (begun, loader(2 - workers)):
        other.load_state_dict(state)
        assert len(other) == len(epochs[0]) - 5
        rest = list(other) + list(other) + list(other)
        expected = [batch for epoch in epochs for batch in epoch][5:]
        assert len(rest) == len(expected)
        for read, batch in zip(rest, expected, strict=True):
            assert read.keys() == batch.keys()
            same = [
                torch.equal(value, batch[name]) if isinstance(value, torch.Tensor) else value == batch[name]
                for name, value in read.items()
            ]
            assert all(same)


def test_three_workers_read_what_one_process_reads(root: Path) -> None:
    epochs = [numbers(Loader(expert_dataset(root, 0, 6, rank=rank, ranks=2))) for rank in range(2)]
    for rank, epoch in enumerate(epochs):
        assert numbers(Loader(expert_dataset(root, 0, 6, rank=rank, ranks=2), 3, **LOCAL)) == epoch


def test_a_batch_has_latents_of_one_shape(root: Path) -> None:
    shapes = Counter(tuple(batch["latent"].shape[1:]) for batch in expert_dataset(root, 0, 4))
    assert set(shapes) == {(4, 8, 8), (4, 4, 16), (4, 16, 4)}


def test_another_position_is_refused(root: Path) -> None:
    dataset = expert_dataset(root, 0, 4)
    source, state = dataset.source, dataset.state_dict()
    others: dict[str, dict[str, Any]]
    others = {"batch_size": {"batch_size": 5}, "seed": {"seed": 1}, "order": {"shuffle": "none"}}
    for name, other in others.items():
        with pytest.raises(UsageError, match=f"position is one of {name} "):
            BatchDataset(source, Order(**{"batch_size": 4, **other})).load_state_dict(state)
    with pytest.raises(UsageError, match="position is one of samples"):
        expert_dataset(root, 0, 4).load_state_dict({**state, "samples": "others"})


def test_a_position_among_the_same_images_in_other_batches_is_refused(tmp_path: Path) -> None:
    shapes = [{64: (4, 8, 8), 128: (4, 16, 16)}, {64: (4, 8, 8), 128: (4, 8, 32)}]
    written = [made.sample(number, shapes[number % 2], split=0, weight=1.0 + number % 3) for number in range(12)]
    written.sort(key=lambda each: each.metadata["image_id"])
    root = made.write(tmp_path / "a", "webdataset", [written])
    state = expert_dataset(root, 0, 4).state_dict()
    with pytest.raises(UsageError, match="position is one of samples"):
        expert_dataset(root, 0, 4, resolution=128).load_state_dict(state)
    heavier = [each._replace(metadata={**each.metadata, "weight": 2.0}) for each in written]
    other = made.write(tmp_path / "b", "webdataset", [heavier])
    expert_dataset(other, 0, 4).load_state_dict(state)  # weights decide about the order where samples are drawn by them
    drawn = expert_dataset(root, 0, 4, weighted=True).state_dict()
    with pytest.raises(UsageError, match="position is one of samples"):
        expert_dataset(other, 0, 4, weighted=True).load_state_dict(drawn)
    cut = made.write(tmp_path / "c", "webdataset", [written[:5], written[5:]])
    expert_dataset(cut, 0, 4).load_state_dict(state)
    blocks = expert_dataset(root, 0, 4, shuffle="blocks").state_dict()
    with pytest.raises(UsageError, match="position is one of samples"):
        expert_dataset(cut, 0, 4, shuffle="blocks").load_state_dict(blocks)


def test_ranks_are_those_of_torch_distributed(root: Path, tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        dataset = expert_dataset(root, 0, 4)
    finally:
        distributed.destroy_process_group()
    assert (dataset.rank, dataset.ranks) == (0, 1)
    with pytest.raises(UsageError, match="rank 2 of 2"):
        expert_dataset(root, 0, 4, rank=2, ranks=2)
    with pytest.raises(UsageError, match="both rank and ranks"):
        expert_dataset(root, 0, 4, rank=0)


def test_weights_say_how_often(tmp_path: Path) -> None:
    written = [made.sample(number, split=0, weight=float(number % 3)) for number in range(12)]
    root = made.write(tmp_path, "webdataset", [sorted(written, key=lambda each: each.metadata["image_id"])])
    seen = Counter(name for batch in expert_dataset(root, 0, 3, weighted=True) for name in batch["image_id"])
    assert {each.metadata["weight"]: seen[each.metadata["image_id"]] for each in written} == {0.0: 0, 1.0: 1, 2.0: 2}


def test_dear_files_are_read_block_by_block(tmp_path: Path) -> None:
    root = made.write(tmp_path, "parquet", [made.samples(40, split=0)])
    assert expert_dataset(root, 0, 4).order.shuffle == "blocks"
    made.write(tmp_path, "mds", [made.samples(40, split=0)])
    assert expert_dataset(root, 0, 4, format="mds").order.shuffle == "samples"
    with pytest.raises(UsageError, match=r"caption_dropout=1\.5"):
        expert_dataset(root, 0, 4, caption_dropout=1.5)


def test_row_groups_are_read_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_files, "GROUPS", 4)
    root = made.write(tmp_path, "parquet", [made.samples(96, split=0)], rows=4)
    read, row_group = Counter[int](), parquet_files._row_group
    data = expert_dataset(root, 0, 4)

    def counted(file: Any, group: int, names: Any) -> Any:
        read[group] += 1
        return row_group(file, group, names)

    monkeypatch.setattr(parquet_files, "_row_group", counted)
    assert data.order.window == 8
    assert sorted(index for batch in numbers(iter(data)) for index in batch) == list(range(96))
    assert set(read) == set(range(24))
    assert max(read.values()) == 1
    assert expert_dataset(root, 0, 4, window=5).order.window == 5
    with pytest.raises(UsageError, match="window=0"):
        expert_dataset(root, 0, 4, window=0)


def test_row_groups_of_many_experts_are_read_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window counts the samples of the expert that is read, and no others that lie between them."""
    monkeypatch.setattr(parquet_files, "GROUPS", 4)
    mixed = [made.sample(number, split=0, cluster=number % 4) for number in range(96)]
    made.write_parquet(tmp_path, [sorted(mixed, key=lambda each: each.metadata["image_id"])], rows=8)
    read, row_group = Counter[int](), parquet_files._row_group
    data = expert_dataset(tmp_path, 0, 2)

    def counted(file: Any, group: int, names: Any) -> Any:
        read[group] += 1
        return row_group(file, group, names)

    monkeypatch.setattr(parquet_files, "_row_group", counted)
    assert data.order.window == 2 * 24 // 12
    assert sorted(index for batch in numbers(iter(data)) for index in batch) == list(range(24))
    assert sum(read.values()) <= 12 + 4


def test_corrupt_samples_are_counted_by_the_loader(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written = made.samples(9, split=0)
    written[4].latents[64][0, 0, 0] = float("nan")
    root = made.write(tmp_path, "webdataset", [written])
    loader = Loader(expert_dataset(root, 0, 3, on_corrupt="skip"), 2, **LOCAL)
    assert sum(len(batch["latent"]) for batch in loader) == 8
    assert len(loader.corrupt) == 1
    assert written[4].metadata["image_id"] in loader.corrupt[0]
    assert "skipped: " in caplog.text


@pytest.mark.slow
def test_workers_sign_in_by_what_was_set_after_the_fork_server_had_started(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paris_assets.storage.location import Location
    from paris_assets.training.byte_files import ForkedReader

    with monkeypatch.context() as unset:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            unset.delenv(name)
        forkserver.ensure_running()
    root = made.write(tmp_path, "mds", [made.samples(10, split=0)])
    remote = Location(f"{s3_url}/by-workers")
    for path in root.rglob("*.*"):
        remote.put_bytes(path.read_bytes(), str(path.relative_to(root)))
    here = numbers(Loader(expert_dataset(root, 0, 3)))
    assert numbers(Loader(expert_dataset(remote.url, 0, 3), 1)) == here
    with pytest.raises(ForkedReader, match="multiprocessing_context='forkserver'"):
        list(Loader(expert_dataset(remote.url, 0, 3), 1, **LOCAL))


def test_router_batches_have_ranks_too(tmp_path: Path) -> None:
    arrays = made.write_router(tmp_path / "router_training", 21)
    parts = [
        numbers(iter(router_dataset(tmp_path, 4, split=None, remainder="short", rank=rank, ranks=2)))
        for rank in range(2)
    ]
    assert sorted(row for part in parts for batch in part for row in batch) == list(range(21))
    (batch,) = Loader(router_dataset(tmp_path, 17, shuffle="none", remainder="carry"))
    train = arrays["split"] == 0
    assert batch["label"].tolist() == arrays["labels"][train].tolist()
    assert (batch["latent"].numpy() == arrays["latents"][train]).all()
