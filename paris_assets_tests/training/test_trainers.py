"""The trainers at a tiny size: they learn, go on to the bit, survive a kill, and say what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from paris_assets.errors import FileError
from paris_assets.training import checkpoints, train_expert, train_router
from paris_assets.training.checkpoints import CheckpointError, latest, save
from paris_assets.training.train_router import class_weights
from paris_assets_tests.fixtures import training_files as made
from paris_assets_tests.test_docs import PROJECT
from paris_assets_tests.training import separable

EXPERT, ROUTER = train_expert.main, train_router.main


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return separable.write_root(tmp_path_factory.mktemp("separable"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in lines(folder) if "loss" in line}


def test_an_expert_learns_its_cluster(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        EXPERT([*separable.arguments(root, tmp_path, steps=60, validate_every=30, save_every=30), "--cluster", "1"])
        == 0
    )
    found = losses(tmp_path / "cluster_1")
    assert len(found) == 60
    # A network that gives zero has the loss of 1 + the latents' mean square.
    assert found[1] == pytest.approx(2.0, abs=0.2)
    assert np.mean(list(found.values())[-20:]) < 0.6 * found[1]
    before, after = (line["validation"] for line in lines(tmp_path / "cluster_1") if "validation" in line)
    assert after["0.9"] < before["0.9"] < 2
    assert after["samples"] == 6
    assert capsys.readouterr().out.count("\n") == 62
    checkpoint = latest(tmp_path / "cluster_1")
    assert checkpoint is not None
    assert checkpoint.folder.name == "step_00000060"
    assert checkpoint.state["network"]["masked"] is False
    assert (checkpoint.state["cluster"], checkpoint.state["shape"]) == (1, [4, 8, 8])
    assert checkpoint.tensors("ema").keys() == checkpoint.tensors("weights").keys()


def test_the_router_tells_clusters_apart_until_all_is_noise(root: Path, tmp_path: Path) -> None:
    given = separable.arguments(root, tmp_path, steps=60, validate_every=60, rate=5e-3, batch_size=16)
    assert ROUTER([*given, "--balanced"]) == 0
    (told,) = (line["validation"] for line in lines(tmp_path / "router") if "validation" in line)
    assert told["0.1"]["balanced"] > 0.95
    assert told["0.1"]["nll"] < 0.5 < told["1.0"]["nll"]
    assert told["1.0"]["accuracy"] < 0.95


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_was_stopped_goes_on_to_the_bit(root: Path, tmp_path: Path, accumulate: int) -> None:
    def run(out: Path, steps: int) -> None:
        every = separable.arguments(root, out, steps=steps, save_every=100, accumulate=accumulate, caption_dropout=0.5)
        assert EXPERT([*every, "--cluster", "0"]) == 0

    run(tmp_path / "whole", 9)
    run(tmp_path / "parts", 4)
    # What a kill leaves: a line of a step that no checkpoint has, and one that is torn.
    with open(tmp_path / "parts" / "cluster_0" / "log.jsonl", "a") as file:
        file.write('{"step": 5, "loss": 9}\n{"step": 6, "lo')
    run(tmp_path / "parts", 9)
    whole, parts = (losses(tmp_path / name / "cluster_0") for name in ("whole", "parts"))
    assert whole == parts
    assert list(parts) == list(range(1, 10))
    for name in ("weights", "ema", "optimiser"):
        one, other = (
            load_file(tmp_path / each / f"cluster_0/step_00000009/{name}.safetensors") for each in ("whole", "parts")
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_only_the_last_checkpoints_stay(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert ROUTER(separable.arguments(root, tmp_path, steps=7, save_every=2, keep=2)) == 0
    assert "router has 7 steps already: give more --steps to go on" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "router").iterdir())
    assert names == ["log.jsonl", "step_00000006", "step_00000007"]


def test_a_checkpoint_torn_by_a_kill_is_not_taken(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*separable.arguments(root, tmp_path, steps=6, save_every=2, keep=5), "--cluster", "0"]
    whole = checkpoints.save_file

    def torn(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if "step_00000004" in str(path) and path.name.startswith("optimiser"):
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        whole(tensors, path)

    child = os.fork()
    if not child:
        monkeypatch.setattr(checkpoints, "save_file", torn)
        os._exit(EXPERT(command))
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    folder = tmp_path / "cluster_0"
    assert sorted(path.name for path in folder.iterdir() if "step" in path.name) == [
        ".step_00000004.draft",
        "step_00000002",
    ]
    left = latest(folder)
    assert left is not None
    assert left.state["step"] == 2
    assert EXPERT(command) == 0
    assert sorted(path.name for path in folder.glob("*step_*")) == [f"step_0000000{step}" for step in (2, 4, 6)]
    assert list(losses(folder)) == [1, 2, 3, 4, 5, 6]


def test_what_is_half_removed_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2):
        save(tmp_path, step, {"weights": {"a": torch.zeros(2)}}, {"step": step}, keep=2)

    def killed(path: Path) -> None:
        (path / "weights.safetensors").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 3, {"weights": {"a": torch.ones(2)}}, {"step": 3}, keep=1)
    assert [path.name for path in tmp_path.glob("step_*")] == ["step_00000003"]
    found = latest(tmp_path)
    assert found is not None
    assert found.tensors("weights")["a"].tolist() == [1, 1]
    (found.folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"damaged .*: remove .*step_00000003, and the one before it is taken"):
        found.tensors("weights")
    (found.folder / checkpoints.STATE).write_text("{")
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        latest(tmp_path)


def test_a_full_disk_is_named_and_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1, {"weights": {"a": torch.zeros(2)}}, {"step": 1}, keep=1)

    def full(tensors: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(FileError, match=r"cannot be written: .*No space left.*; free space there, then run again"):
        save(tmp_path, 2, {"weights": {"a": torch.ones(2)}}, {"step": 2}, keep=1)
    found = latest(tmp_path)
    assert found is not None
    assert found.tensors("weights")["a"].tolist() == [0, 0]


def test_averages_follow_the_weights(root: Path, tmp_path: Path) -> None:
    assert EXPERT([*separable.arguments(root, tmp_path, steps=1, ema=0.5), "--cluster", "0"]) == 0
    assert EXPERT([*separable.arguments(root, tmp_path, steps=2, ema=0.5, save_every=1), "--cluster", "0"]) == 0
    first, second = (tmp_path / "cluster_0" / f"step_0000000{step}" for step in (1, 2))
    weights, ema, before = (
        load_file(path / f"{name}.safetensors")["head.weight"]
        for path, name in ((second, "weights"), (second, "ema"), (first, "ema"))
    )
    kept = 2 / 12  # young averages keep less
    torch.testing.assert_close(ema, kept * before + (1 - kept) * weights)


@pytest.mark.slow
def test_trainers_need_no_dagster() -> None:
    names = "sample, train_expert, train_router"
    code = f"import sys; sys.modules['dagster'] = None; from paris_assets.training import {names}"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_clusters_count_alike() -> None:
    weights = class_weights(np.array([0, 0, 0, 2]), 4)
    assert weights.tolist() == pytest.approx([2 / 3, 0, 2, 0])
    assert float(weights[[0, 0, 0, 2]].mean()) == pytest.approx(1)


ZERO = ["--cluster", "0"]
MISTAKES = {
    "no such cluster": (["--cluster", "7"], {}, "no training files of expert 7; looked for "),
    "no root": (ZERO, {"root": "nowhere"}, "nowhere is no folder: name a root"),
    "of another network": (ZERO, {"preset": "dit-b-2"}, "of another network (preset tiny there and dit-b-2 here)"),
    "of another order": (ZERO, {"seed": 1, "steps": 3}, "the position is one of seed 0, and here it is 1"),
    "no such size": ([*ZERO, "--resolution", "512"], {}, "have no latent of 512 pixels"),
    "no such device": (ZERO, {"device": "cuda:9"}, "--device cuda:9: device cuda:9 needs 10 GPUs"),
    "a loss that is none": (ZERO, {"out": "new", "rate": 1e30, "steps": 9}, "run again with a smaller --rate"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(
    mistake: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert EXPERT([*separable.arguments(root, Path("out"), steps=2), "--cluster", "0"]) == 0
    more, options, said = MISTAKES[mistake]
    given = separable.arguments(root, Path("out"), **{"steps": 2, **options})
    assert EXPERT([*given, *more]) == 2
    assert said in capsys.readouterr().err


def test_latents_that_no_network_takes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"odd": [{64: (4, 7, 8)}], "mixed": [{64: (4, 8, 8)}, {64: (16, 8, 8)}]}
    said = {"odd": "latents of (4, 7, 8): sides are to be multiples of 2", "mixed": "latents of [4, 16] channels"}
    for name, latents in shapes.items():
        samples = [made.sample(number, latents[number % len(latents)], split=0) for number in range(6)]
        samples.sort(key=lambda each: each.metadata["image_id"])
        made.write(tmp_path / name, "webdataset", [samples])
        given = separable.arguments(tmp_path / name, tmp_path / "out", steps=2)
        assert EXPERT([*given, "--cluster", "0"]) == 2
        assert said[name] in capsys.readouterr().err
    made.write(tmp_path / "all", "webdataset", [made.samples(6, split=0)])
    given = separable.arguments(tmp_path / "all", tmp_path / "out", steps=2, validate_every=1)
    assert EXPERT([*given, "--cluster", "0"]) == 2
    assert "no sample of the split validation" in (told := capsys.readouterr().err)
    assert "pass --validate-every 0 to train without" in told


def test_texts_without_padding_are_masked_and_buckets_mix(tmp_path: Path) -> None:
    shapes = [{64: (4, 8, 8)}, {64: (4, 4, 16)}]
    samples = [made.sample(number, shapes[number % 3 == 2], ragged=True, split=0) for number in range(12)]
    samples.sort(key=lambda each: each.metadata["image_id"])
    root = made.write(tmp_path, "mds", [samples])
    given = separable.arguments(root, tmp_path / "out", steps=6, batch_size=2, caption_dropout=0.5)
    assert EXPERT([*given, "--cluster", "0"]) == 0
    found = latest(tmp_path / "out" / "cluster_0")
    assert found is not None
    assert found.state["network"]["masked"] is True
    assert found.state["shape"] == [4, 8, 8]


def test_forward_passes_in_bf16_train_weights_of_float32(root: Path, tmp_path: Path) -> None:
    found = []
    for precision in ("fp32", "bf16"):
        given = separable.arguments(root, tmp_path / precision, steps=3, precision=precision)
        assert EXPERT([*given, "--cluster", "0", "--recompute"]) == 0
        weights = load_file(tmp_path / precision / "cluster_0/step_00000003/weights.safetensors")
        assert {each.dtype for each in weights.values()} == {torch.float32}
        found.append(losses(tmp_path / precision / "cluster_0"))
    assert list(found[1].values()) == pytest.approx(list(found[0].values()), rel=0.02)
    assert found[0] != found[1]


@pytest.mark.extended
def test_two_processes_train_one_expert(root: Path, tmp_path: Path) -> None:
    command = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "paris_assets.training.train_expert",
    ]
    given = [*separable.arguments(root, tmp_path, steps=4, validate_every=4, save_every=2), "--cluster", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    for steps in ("4", "6"):
        ended = subprocess.run(
            [sys.executable, *command, *given, "--steps", steps],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
    assert list(losses(tmp_path / "cluster_0")) == [1, 2, 3, 4, 5, 6]
    found = latest(tmp_path / "cluster_0")
    assert found is not None
    # 18 samples are trained on, in batches of 8 for each process.
    position = found.state["position"]
    assert position["epoch"] * 18 // 8 + position["batches"] == 12


@pytest.mark.extended
def test_a_kill_at_any_moment_loses_no_more_than_the_last_steps(root: Path, tmp_path: Path) -> None:
    command = [*separable.arguments(root, tmp_path, steps=400, save_every=1, keep=2), "--cluster", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    before = 0
    for wait in (0.01, 0.05, 0.13):
        process = subprocess.Popen(
            [sys.executable, "-m", "paris_assets.training.train_expert", *command],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(wait)
        process.kill()
        process.communicate()
        found = latest(tmp_path / "cluster_0")
        assert found is not None
        assert found.state["step"] > before
        before = found.state["step"]
        assert all(found.tensors(name) for name in ("weights", "ema", "optimiser"))
