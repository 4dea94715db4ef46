"""Parts of steps over all shards on a cluster of several nodes: the rows of this process, also when a node dies."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets import compute
from paris_assets.compute import Compute
from paris_assets.curation.hamming import close_pairs
from paris_assets.dag.s3 import open_location
from paris_assets.elsewhere import Held
from paris_assets.runs import parts
from paris_assets.runs.cluster import Cluster, connected
from paris_assets.runs.parts import PartTasks, own_cores
from paris_assets.runs.version import version_here
from paris_assets.vectors import rows
from paris_assets_tests.benchmarks import bench_global
from paris_assets_tests.curation.test_hamming import clumped
from paris_assets_tests.fixtures.ray_cluster import PROJECT, RayCluster, ray_cluster

pytestmark = [pytest.mark.extended, pytest.mark.long]
FIRST, SECOND, DIFFERS = "127.0.0.2", "127.0.0.3", "127.0.0.4"
FEW = 32


class Counted(PartTasks):
    """Knows how many parts came back."""

    came = 0

    def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
        found = super().do(function, shared, part, done)
        self.came += not done()
        return found


class Worker:
    """An actor as `paris run --ray` has them, with one core, which asks others at once."""

    def __init__(self) -> None:
        compute.LOOK_S, parts.CROWDED_S = 0.01, 1.0
        self._crowded = 0
        self._tasks = Counted(version_here(), 3, self._count)
        self._compute = Compute(own_cores(), self._tasks, alone_s=0)

    def _count(self) -> None:
        self._crowded += 1

    def map(self, function: Callable[[Any, Any], Any], items: list[Any], shared: Any) -> tuple[list[Any], int, int]:
        """Results, how many of them came from elsewhere, and how often room was asked for."""
        return list(self._compute.map(function, items, shared)), self._tasks.came, self._crowded

    def step(self, name: str, folder: Path) -> tuple[int, pl.DataFrame, int]:
        """Rows of a step, and how many parts had come from elsewhere before and after it."""
        return self._tasks.came, pl.concat(bench_global.made_by(name, folder, self._compute)), self._tasks.came

    def sums(self, count: int) -> bool:
        """Whether parts of both of two steps that hold arrays were done elsewhere, where these are twice as large."""
        sent = Counter[int]()

        def array(number: int) -> np.ndarray:
            sent[number] += 1
            return np.full(1 << 16, number)

        held: list[Any] = [Held(np.full(1 << 16, number), partial(array, number), doubled) for number in range(count)]
        elsewhere = []
        for factor in (1, 3):
            found = dict(self._compute.map(times, enumerate(held), factor))
            here = {number: factor * number << 16 for number in range(count)}
            assert all(found[number] in (value, 2 * value) for number, value in here.items())
            elsewhere.append(found != here)
        assert set(sent.values()) <= {1}, "an array is sent once"
        return all(elsewhere)

    def small_blocks(self) -> None:
        """Have a fit of few rows consist of several parts."""
        rows.BLOCK_ROWS = FEW

    def pairs(self, hashes: np.ndarray) -> list[np.ndarray]:
        """Pairs of hashes."""
        return joined(close_pairs(hashes, 8, self._compute))


def until(found: Callable[[], bool]) -> None:
    """Ask again, for minutes: a process of a busy node takes long to come up, and meanwhile all is done here."""
    deadline = time.monotonic() + 600
    while not found():
        assert time.monotonic() < deadline, "nobody else did anything"


def joined(blocks: Iterator[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    return [np.concatenate(each) for each in zip(*blocks, strict=True)]


def where(wait_s: float, part: int) -> tuple[int, str]:
    import ray

    time.sleep(wait_s)
    return part, ray.util.get_node_ip_address()


def dies_once(folder: Path, part: int) -> int:
    (folder / f"{part}-{os.getpid()}").touch()
    if part % 10 == 5 and not (folder / f"died-{part}").exists() and "POLARS_MAX_THREADS" in os.environ:
        (folder / f"died-{part}").touch()
        os._exit(1)
    time.sleep(0.05)
    return part


def doubled(array: np.ndarray) -> np.ndarray:
    return 2 * array


def times(factor: int, part: tuple[int, np.ndarray]) -> tuple[int, int]:
    time.sleep(0.05)
    number, array = part
    return number, factor * int(array.sum())


def collected(column: str, table: pl.LazyFrame) -> int:
    return table.select(pl.col(column).sum()).collect().item()


def refused(_: None, part: int) -> int:
    time.sleep(0.05)
    if part >= 20:
        raise ValueError(f"part {part} is no good")
    return part


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        started.add(FIRST)
        yield started


@pytest.fixture(scope="module")
def cluster(nodes: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # nodes look into the folder of the command, too
        with connected(nodes.address) as found:
            assert found is not None
            yield found


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Iterator[Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    (node,) = cluster.nodes()
    there = NodeAffinitySchedulingStrategy(node.id, soft=False)
    actor = cluster.ray.remote(num_cpus=1, scheduling_strategy=there)(Worker).remote()
    yield actor
    cluster.ray.kill(actor)


def test_a_cluster_of_one_core_does_all_on_it(cluster: Cluster, worker: Any) -> None:
    """The actor holds the core, and no other one comes."""
    results, came, _ = cluster.ray.get(worker.map.remote(where, list(range(5)), 0.1))
    assert results == [(part, FIRST) for part in range(5)]
    assert came == 0


@pytest.fixture(scope="module")
def second(nodes: RayCluster, cluster: Cluster) -> None:
    nodes.add(SECOND)


@pytest.mark.usefixtures("second")
def test_tasks_without_room_are_told_of_and_done_here(cluster: Cluster, worker: Any) -> None:
    idle = cluster.ray.remote(num_cpus=1)(Worker).remote()
    cluster.ray.get(idle.map.remote(where, [0], 0.0))
    results, _, crowded = cluster.ray.get(worker.map.remote(where, list(range(20)), 0.2))
    assert results == [(part, FIRST) for part in range(20)]
    assert crowded == 1
    cluster.ray.kill(idle)


@pytest.mark.usefixtures("second")
def test_rows_are_those_of_this_process(
    cluster: Cluster, worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = set[str]()

    def spread() -> bool:
        results, _, _ = cluster.ray.get(worker.map.remote(where, list(range(60)), 0.2))
        assert [part for part, _ in results] == [*range(60)]
        places.update(place for _, place in results)
        return len(places) == 2

    until(spread)
    assert places == {FIRST, SECOND}
    monkeypatch.setattr(rows, "BLOCK_ROWS", FEW)
    cluster.ray.get(worker.small_blocks.remote())
    for step in ("duplicates", "copies", "clusters", "report"):
        (folder := tmp_path / step).mkdir()
        bench_global.make(folder, 2000, 20, step)
        expected = pl.concat(bench_global.made_by(step, folder, Compute(2)))
        until(lambda folder=folder, step=step, expected=expected: comes_back(cluster, worker, step, folder, expected))
    hashes = clumped(60_000, 3000)
    found = cluster.ray.get(worker.pairs.remote(hashes))
    assert all(map(np.array_equal, found, joined(close_pairs(hashes, 8))))
    assert len(found[0]) > 10_000


def comes_back(cluster: Cluster, worker: Any, step: str, folder: Path, expected: pl.DataFrame) -> bool:
    before, made, after = cluster.ray.get(worker.step.remote(step, folder))
    assert made.equals(expected)
    return after > before


@pytest.mark.usefixtures("second")
def test_what_is_held_is_brought_once(cluster: Cluster, worker: Any) -> None:
    """Also to where several parts of several steps look at it."""
    rounds = list[bool]()

    def both_spread() -> bool:
        rounds.append(cluster.ray.get(worker.sums.remote(20)))  # which looks at values and at what was sent
        return rounds[-1]

    until(both_spread)
    assert rounds[-1]


@pytest.mark.usefixtures("second")
def test_an_error_is_that_of_this_process(cluster: Cluster, worker: Any) -> None:
    with pytest.raises(ValueError, match="part 20 is no good"):
        cluster.ray.get(worker.map.remote(refused, list(range(40)), None))


@pytest.mark.usefixtures("second")
def test_tables_on_s3(cluster: Cluster, worker: Any, s3_url: str) -> None:
    location = open_location(s3_url)
    with location.scratch() as folder:
        for number in range(8):
            pl.DataFrame({"value": range(number)}).write_parquet(folder / "table")
            location.put(folder / "table", f"parts/{number}.parquet")
    uris = [location.uri(f"parts/{number}.parquet") for number in range(8)]
    tables = [pl.scan_parquet(uri, storage_options=location.storage_options) for uri in uris]
    results, _, _ = cluster.ray.get(worker.map.remote(collected, tables * 4, "value"))
    assert results == [sum(range(number)) for number in range(8)] * 4


@pytest.mark.usefixtures("second")
def test_a_dead_process_costs_a_retry_of_its_part_alone(cluster: Cluster, worker: Any, tmp_path: Path) -> None:
    rounds = iter(range(1000))

    def died() -> bool:
        (folder := tmp_path / str(next(rounds))).mkdir()
        results, _, _ = cluster.ray.get(worker.map.remote(dies_once, list(range(60)), folder))
        assert results == [*range(60)]
        begun = Counter(int(path.name.partition("-")[0]) for path in folder.glob("[0-9]*"))
        assert begun.keys() == set(range(60))
        return any(folder.glob("died-*"))

    until(died)


@pytest.mark.usefixtures("second")
def test_a_node_with_other_code_does_no_part(
    nodes: RayCluster, cluster: Cluster, worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PROJECT / "paris_assets", tmp_path / "other" / "paris_assets")
    shutil.copytree(PROJECT / "paris_assets_tests", tmp_path / "other" / "paris_assets_tests")
    with open(tmp_path / "other" / "paris_assets" / "errors.py", "a") as file:
        file.write("# changed\n")
    nodes.add(DIFFERS, PYTHONPATH=str(tmp_path / "other"))
    try:
        results, _, _ = cluster.ray.get(worker.map.remote(where, list(range(100)), 0.2))
        assert [part for part, _ in results] == [*range(100)]
        assert {place for _, place in results} <= {FIRST, SECOND}
    finally:
        nodes.kill(DIFFERS)


@pytest.mark.usefixtures("second")
def test_a_killed_node_costs_no_part(nodes: RayCluster, cluster: Cluster, worker: Any) -> None:
    call = worker.map.remote(where, list(range(80)), 0.25)
    time.sleep(5)
    nodes.kill(SECOND)
    results, _, _ = cluster.ray.get(call)
    assert [part for part, _ in results] == [*range(80)]
    assert {place for _, place in results} <= {FIRST, SECOND}
