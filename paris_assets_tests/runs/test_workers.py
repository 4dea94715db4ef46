"""Worker processes, and the GPUs of the machine that they share out: one each."""

import io
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.definitions import asset_graph, open_catalog
from paris_assets.errors import UsageError
from paris_assets.models import gpus
from paris_assets.planning.run_times import known_times
from paris_assets.planning.waves import Task, waves
from paris_assets.runs import host, processes
from paris_assets.runs.crew import LocalCrew
from paris_assets.runs.execution import open_instance
from paris_assets.runs.host import refuse_numbered_gpus
from paris_assets.runs.planned import say_idle_gpus
from paris_assets.runs.processes import ANY, ON_GPU, Processes
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import small_world

PROJECT = Path(__file__).parents[2]
NOTED = "paris_assets_tests.models.noted:Noted"
MACHINE = """
import os
import torch

torch.cuda.is_available = lambda: bool(os.environ["CUDA_VISIBLE_DEVICES"])
torch.cuda.device_count = lambda: len([name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name])
torch.cuda.is_bf16_supported = lambda including_emulation=True: False
torch.cuda.get_device_name = lambda device=None: "simulated"
torch.cuda.mem_get_info = lambda device=None: (16 << 30, 16 << 30)
"""
"""What torch says on a machine with the GPUs that the variable names, for every process that Python starts."""


class FakeProcess:
    """A process that is never started, and what it would have been told."""

    started: list["FakeProcess"] = []

    def __init__(self, target: Any, args: tuple[Any, ...], daemon: bool) -> None:
        self.environment: dict[str, str] = next(part for part in args if isinstance(part, dict))
        self.started.append(self)

    def start(self) -> None:
        pass


def on_cuda(path: Path, **overrides: Any) -> Catalog:
    """A root whose embedder alone runs on cuda."""
    device = {"embedder": {"implementation": NOTED, "device": "cuda", "precision": "fp32"}}
    source = small_world.embedded(path / "list.parquet", 60)
    return open_catalog(str(path / "root"), small_world.profile(source, **device, **overrides))


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the processes of a machine with these GPUs, which are not really started."""
    monkeypatch.setattr(processes, "start_fork_server", lambda count: None)
    monkeypatch.setattr(processes, "cores", lambda: 16)
    monkeypatch.setattr(FakeProcess, "started", [])
    context = processes.multiprocessing.get_context("forkserver")
    monkeypatch.setattr(type(context), "Process", FakeProcess)

    def make(count: int, visible: str) -> Processes:
        monkeypatch.setenv(gpus.VISIBLE, visible)
        return Processes(on_cuda(tmp_path), count, "now", tmp_path / "journal", "")

    return make


def test_a_part_that_runs_networks_on_cuda_goes_to_a_process_with_a_gpu_of_its_own(local: Any) -> None:
    host = local(4, "3,5")
    assert (host.most(ANY), host.most(ON_GPU)) == (4, 2)
    parts = host.parts(Task("00000", ("curated_images", "image_embeddings", "latents")))
    assert [(needs, part.assets) for needs, part in parts] == [
        (ANY, ("curated_images",)), (ON_GPU, ("image_embeddings",)), (ANY, ("latents",)),
    ]  # fmt: skip
    for needs in (ANY, ON_GPU, ANY, ON_GPU, ANY, ANY):
        host.start(needs)
    told = [process.environment for process in FakeProcess.started]
    # A GPU's own process has half of the cores to decode for it, whatever N is; the others see no GPU.
    hidden, first, second = (
        {"CUDA_VISIBLE_DEVICES": ""},
        {"CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "8"},
        {"CUDA_VISIBLE_DEVICES": "5", "OMP_NUM_THREADS": "8"},
    )
    assert told == [hidden, first, hidden, second, hidden, hidden]


def test_the_gpu_of_a_process_that_is_gone_is_given_to_the_next(local: Any) -> None:
    host = local(2, "3,5")
    first, _ = host.start(ON_GPU)
    host.start(ON_GPU)
    host.stop(first)
    host.start(ON_GPU)
    assert [process.environment["CUDA_VISIBLE_DEVICES"] for process in FakeProcess.started] == ["3", "5", "3"]


def test_no_more_processes_have_a_gpu_than_were_asked_for_and_none_without_one(local: Any) -> None:
    assert local(2, "0,1,2,3").most(ON_GPU) == 2
    alone = local(2, "")
    assert alone.parts(Task("00000", ("curated_images", "image_embeddings"))) == [
        (ANY, Task("00000", ("curated_images", "image_embeddings")))
    ]
    alone.start(ANY)
    assert FakeProcess.started[-1].environment == {}


def test_a_single_task_goes_to_the_process_that_has_its_networks_on_a_gpu(local: Any) -> None:
    crew = LocalCrew.__new__(LocalCrew)
    for visible, several in (("0,1", True), ("", False)):
        crew._processes = local(2, visible)
        assert crew._for_several([Task("all", ("image_embeddings",))]) == several
        assert not crew._for_several([Task("all", ("cluster_model",))])
        assert crew._for_several([Task("00000", ("cluster_model",)), Task("00001", ("cluster_model",))])


@pytest.mark.parametrize(
    ("visible", "request_", "said"),
    [
        ("0,1,2,3", Request(), "this machine has 4 GPUs, and this run uses 1: `--workers 3` uses 3\n"),
        ("0,1", Request(), "this machine has 2 GPUs, and this run uses 1: `--workers 2` uses 2\n"),
        ("0,1", Request(workers=2), ""),
        ("0,1", Request(ray="auto"), ""),
        ("0", Request(), ""),
    ],
)
def test_a_run_that_leaves_gpus_idle_says_how_to_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, request_: Request, said: str
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, visible)
    catalog, console = on_cuda(tmp_path), Console(file=io.StringIO(), width=200)
    wave = next(wave for wave in waves(catalog.graph) if "image_embeddings" in wave.assets)
    tasks = [Task(f"{number:05d}", wave.assets) for number in range(3)]
    say_idle_gpus(catalog, request_, [(wave, tasks)], console)
    assert console.file.getvalue() == said  # type: ignore[attr-defined]


def test_a_network_on_a_numbered_gpu_is_refused_where_every_worker_has_its_own() -> None:
    refuse_numbered_gpus(numbered("cuda:0"))
    with pytest.raises(UsageError, match=r"embedder\.device is cuda:1, but each worker has one GPU.*device=cuda"):
        refuse_numbered_gpus(numbered("cuda:1"))


def test_a_process_that_sees_eight_gpus_computes_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = numbered("cuda")
    graph = asset_graph(profile)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    for there, expected in ((True, "1 x NVIDIA A40 3"), (False, "6 x cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
        monkeypatch.setattr("torch.cuda.get_device_name", lambda index: f"NVIDIA A40 {index}")
        monkeypatch.setattr(host, "own_gpu", lambda: 3)
        assert str(host.unit_here(profile, graph["image_embeddings"])) == expected
        assert str(host.unit_here(profile, graph["image_signals"])) == "6 x cpu"


def numbered(device: str) -> Profile:
    return small_world.profile("list.parquet", embedder={"implementation": NOTED, "device": device})


def test_dagster_has_as_many_places_for_networks_as_there_are_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "0,1,2")
    with open_instance(on_cuda(tmp_path).location) as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {"gpu": 3, "fit": 1, "io": 4}


@pytest.mark.extended
def test_on_a_machine_with_two_gpus_each_works_for_one_process(tmp_path: Path) -> None:
    """Simulated: torch says that there are two, and the network notes where and when it ran."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "sitecustomize.py").write_text(MACHINE)
    source = small_world.embedded(tmp_path / "list.parquet", 48)
    notes = tmp_path / "notes.jsonl"
    noted = {"implementation": NOTED, "options": {"notes": str(notes)}, "batch_size": 4}
    profile = small_world.profile(source, embedder=noted, source__rows_per_shard=12, clusters__k=2)
    (tmp_path / "own.yaml").write_text(json.dumps(profile.model_dump(mode="json")))
    path = os.pathsep.join([str(tmp_path / "machine"), str(PROJECT)])
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "5,7", "PYTHONPATH": path, "OMP_NUM_THREADS": "3"}

    def ran(workers: int) -> tuple[str, dict[str, str]]:
        root = tmp_path / f"root-{workers}"
        command = [sys.executable, "-m", "paris_assets.cli", "run", "--profile", str(tmp_path / "own.yaml")]
        command += ["--root", str(root), "--workers", str(workers)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split()), small_world.contents(root)

    def computed_on(workers: int) -> dict[str, list[str]]:
        times = known_times(tmp_path / f"root-{workers}" / ".dagster")
        names = ("image_embeddings", "image_signals", "duplicate_groups")
        return {name: times.filter(asset=name)["computed_on"].unique().to_list() for name in names}

    said, contents = ran(3)
    assert computed_on(3) == {
        "image_embeddings": ["1 x simulated"],
        "image_signals": ["1 x cpu"],
        "duplicate_groups": ["3 x cpu"],
    }
    assert "this machine has" not in said
    found = pl.read_ndjson(notes)
    pairs = found.select("gpu", "pid").unique()
    assert set(pairs["gpu"]) == {"5", "7"}
    assert pairs.height == 2, "each process has one GPU, and each GPU one process"
    for _, one in found.group_by("gpu"):
        times = one.sort("start")
        assert all(first["end"] <= second["start"] for first, second in pairwise(times.iter_rows(named=True)))
    said, alone = ran(1)
    assert "this machine has 2 GPUs, and this run uses 1: `--workers 2` uses 2" in said
    assert contents == alone
    assert computed_on(1)["image_embeddings"] == ["1 x simulated"], "one process uses one of two GPUs"
    assert computed_on(1)["image_signals"] == ["3 x cpu"]


def test_ctrl_c_reaches_no_process_that_workers_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[set[int]] = []

    def start() -> None:
        resource_tracker.ensure_running()  # as the real one does first
        held.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(forkserver, "ensure_running", start)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    processes.start_fork_server(2)
    assert signal.SIGINT in held[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
