"""Which worker gets which task, what a death costs, and what a cluster is refused for: without a cluster."""

from __future__ import annotations

import socket
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from paris_assets.cli import main
from paris_assets.config import Profile
from paris_assets.dag.graph import TableSpec
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError
from paris_assets.planning.waves import Task
from paris_assets.profiles import load_profile
from paris_assets.runs import workers
from paris_assets.runs.actors import asset_needs
from paris_assets.runs.cluster import Cluster, Node, cause
from paris_assets.runs.host import Crowded, Died, Heard, Message, Needs, Started
from paris_assets.runs.task_report import TaskReport
from paris_assets.runs.version import version_here
from paris_assets.runs.workers import NoWorker, Workers

CPU, GPU = Needs(), Needs(gpus=1.0)
GRAPH = {
    "fetched": TableSpec("fetched", True, "1"),
    "seen": TableSpec("seen", True, "1", inputs=("fetched",)),
    "counted": TableSpec("counted", True, "1"),
}


@dataclass
class FakeHost:
    """Workers that answer at once, in the order of their numbers.

    Attributes:
        room: how many there may be at once, over all needs; those above it come up when another has gone.
        dying: (asset, shard) -> how often it kills its worker.
        idle_deaths: so many workers die while they have nothing to do.
    """

    tries: int = 3
    room: dict[Needs, int] = field(default_factory=lambda: {CPU: 2, GPU: 1})
    dying: dict[tuple[str, str], int] = field(default_factory=dict)
    failing: set[tuple[str, str]] = field(default_factory=set)
    idle_deaths: int = 0
    started: list[Needs] = field(default_factory=list)
    alive: dict[int, Needs] = field(default_factory=dict)
    done: list[tuple[int, Task]] = field(default_factory=list)
    given: dict[int, Task] = field(default_factory=dict)
    total: int = 99

    def parts(self, task: Task) -> list[tuple[Needs, Task]]:
        each = [(GPU if name == "seen" else CPU, task.only([name])) for name in task.assets]
        return [(needs, part) for needs, part in each if part]

    def most(self, needs: Needs) -> int:
        return self.room[needs]

    def start(self, needs: Needs) -> tuple[Hashable, bool]:
        self.started.append(needs)
        self.alive[len(self.started)] = needs
        assert sum(kind == needs for kind in self.alive.values()) <= self.room[needs]
        return len(self.started), False

    def send(self, place: Any, task: Task) -> None:
        assert place not in self.given
        self.given[place] = task

    def wait(self, places: list[Any]) -> Iterable[tuple[Any, Message]]:
        for place in sorted(places):
            task = self.given.pop(place, None)
            if task is None:
                if list(self.alive).index(place) < self.total:
                    yield place, Started()
                continue
            (name,) = task.assets
            if self.idle_deaths:
                self.idle_deaths -= 1
                del self.alive[place]
                yield place, Died("gone while idle", begun=False)
            elif self.dying.get((name, task.shard)):
                self.dying[name, task.shard] -= 1
                del self.alive[place]
                yield place, Died("killed")
            else:
                yield place, Heard(name, task.shard, "start")
                self.done.append((place, task))
                failures = {name: "no"} if (name, task.shard) in self.failing else {}
                yield place, TaskReport(task, seconds={name: 1.0}, failures=failures, wall_s=1.0, peak_kib=place)

    def stop(self, place: Any) -> None:
        assert place not in self.given
        del self.alive[place]

    def close(self, at_work: bool) -> None:
        self.alive.clear()


def crew(host: FakeHost, said: list[str] | None = None) -> Workers:
    return Workers(host, GRAPH, lambda *_: None, (said if said is not None else []).append)


def tasks(count: int, *assets: str) -> list[Task]:
    return [Task(f"{number:05d}", assets) for number in range(count)]


def test_workers_are_kept_from_wave_to_wave_and_no_more_are_started_than_there_is_work_for() -> None:
    host = FakeHost(room={CPU: 5, GPU: 1})
    some = crew(host)
    for count in (2, 3, 2):
        assert len(list(some.run(tasks(count, "fetched")))) == count
    assert host.started == [CPU] * 3
    some.close()
    assert not host.alive


def test_parts_of_a_task_go_to_who_has_what_they_need_and_its_report_is_one() -> None:
    host = FakeHost()
    reports = list(crew(host).run(tasks(4, "fetched", "seen", "counted")))
    assert sorted(report.task.shard for report in reports) == [task.shard for task in tasks(4)]
    assert all(report.task.assets == ("fetched", "seen", "counted") for report in reports)
    assert all(set(report.seconds) == {"fetched", "seen", "counted"} and report.wall_s == 3.0 for report in reports)
    for place, task in host.done:
        assert host.alive[place] == (GPU if task.assets == ("seen",) else CPU)
    assert max(report.peak_kib for report in reports) == max(place for place, _ in host.done)


def test_what_follows_a_failed_part_is_not_begun_and_what_does_not_is() -> None:
    host = FakeHost(failing={("fetched", "00001")})
    reports = {report.task.shard: report for report in crew(host).run(tasks(3, "fetched", "seen", "counted"))}
    assert reports["00001"].failures == {"fetched": "no"}
    assert [task.assets[0] for _, task in host.done if task.shard == "00001"] == ["fetched", "counted"]
    assert not reports["00000"].failures


@pytest.mark.parametrize(("deaths", "tries", "failed"), [(2, 3, False), (3, 3, True), (1, 1, True)])
def test_a_death_costs_its_task_a_try_and_nothing_else(deaths: int, tries: int, failed: bool) -> None:
    host, said = FakeHost(tries=tries, dying={("fetched", "00001"): deaths}), list[str]()
    reports = {report.task.shard: report for report in crew(host, said).run(tasks(6, "fetched"))}
    assert said == ["killed: fetched of 00001 is begun again"] * (deaths - failed)
    assert len(reports) == 6
    assert {shard for shard, report in reports.items() if report.failures} == ({"00001"} if failed else set())
    times = f" ({tries} times)" if tries > 1 else ""
    if failed:
        assert reports["00001"].failures == {"fetched": f"killed{times}; run again to go on"}


def test_workers_that_died_while_idle_cost_no_try() -> None:
    host = FakeHost(tries=1, room={CPU: 3, GPU: 1})
    some = crew(host)
    assert len(list(some.run(tasks(3, "fetched")))) == 3
    host.idle_deaths = 3
    assert [report.failures for report in some.run(tasks(3, "fetched"))] == [{}] * 3


def test_workers_that_never_come_up_end_the_run_with_the_reason() -> None:
    host = FakeHost()

    def wait(places: list[Any]) -> Iterable[tuple[Any, Message]]:
        for place in places:
            host.alive.pop(place)
            yield place, Died("no module named x", begun=False)

    host.wait = wait
    with pytest.raises(NoWorker, match="workers do not start: no module named x"):
        list(crew(host).run(tasks(3, "fetched")))


def test_idle_workers_make_room_for_those_that_need_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 0.0)
    host = FakeHost(total=1)  # a cluster with room for one worker, whatever it needs
    reports = list(crew(host).run(tasks(2, "fetched", "seen")))
    assert len(reports) == 2
    assert set(host.started) == {CPU, GPU}


def test_idle_workers_make_room_for_the_parts_of_a_step() -> None:
    host = FakeHost(room={CPU: 5, GPU: 1})
    some = crew(host)
    list(some.run(tasks(4, "fetched")))
    assert len(host.alive) == 4

    def wait(places: list[Any]) -> Iterable[tuple[Any, Message]]:
        yield places[0], Crowded()
        yield from FakeHost.wait(host, places)

    host.wait = wait
    assert len(list(some.run(tasks(1, "counted")))) == 1
    assert [place for place, _ in host.done[-1:]] == list(host.alive), "all but the one at work"


def test_who_waits_for_a_worker_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 0.0)
    monkeypatch.setattr(workers, "SAID_AFTER_S", 0.0)
    host, said, looks = FakeHost(total=0), list[str](), list[int]()

    def wait(places: list[Any]) -> Iterable[tuple[Any, Message]]:
        looks.append(1)
        host.total = 99 if len(looks) > 5 else 0
        return FakeHost.wait(host, places)

    host.wait = wait
    assert len(list(crew(host, said).run(tasks(1, "fetched")))) == 1
    assert said == ["waiting for a worker: nothing has 1 CPU free (Ctrl-C to give up)"]


def nodes() -> list[Node]:
    return [Node("a", "10.0.0.1", 16, 0, 64.0), Node("b", "10.0.0.2", 3, 2, 32.0)]


def profile(**overrides: Any) -> Profile:
    return load_profile("demo", {key.replace("__", "."): value for key, value in overrides.items()})


def test_actors_take_what_their_assets_need(tmp_path: Any) -> None:
    settings = profile(embedder__device="cuda", ray__assets={"captions": {"cpus": 7, "memory_gib": 2}, "latents": {}})
    needs = asset_needs(open_catalog(str(tmp_path), settings), nodes())
    assert needs["raw_images"] == Needs(3)
    assert needs["captions"] == Needs(7, 0.0, 2.0)
    embedding = [name for name, found in needs.items() if found.gpus]
    assert embedding
    assert all(needs[name] == Needs(3, 1.0) for name in embedding)
    assert [node.room(needs["captions"]) for node in nodes()] == [2, 0]
    assert [node.room(Needs(1, 0.5)) for node in nodes()] == [0, 3]


def test_settings_of_ray_change_no_result() -> None:
    assert "ray" not in profile(ray__cpus=9).results("clusters")
    assert profile(ray__cpus=9).at("ray.cpus") == 9
    from paris_assets.settings.section import without_tuning

    assert without_tuning(profile(ray__cpus=9)) == without_tuning(profile())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "3.99.0"}, "Python 3.99.0, and this command"),
        ({"code": "other"}, "another version of paris_assets"),
        ({"packages": {**version_here().packages, "polars": "0.1"}}, "polars 0.1 (here"),
        ({}, ""),
    ],
)
def test_a_node_with_other_versions_is_named_for_them(change: dict[str, Any], said: str) -> None:
    here = version_here()
    different = here.differs(replace(here, **change))
    assert said in different
    assert bool(different) == bool(said)


def test_addresses_without_a_cluster_are_refused_in_a_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UsageError, match=rf"--ray 127.0.0.1:{port}: nobody answers there .*ray start --head"):
        Cluster(f"127.0.0.1:{port}")
    for address in ("ray://127.0.0.1:10001", "127.0.0.1", "head:port"):
        with pytest.raises(UsageError, match="give `auto` or HOST:PORT"):
            Cluster(address)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("127.0.0.1:9", "RAY_ADDRESS=127.0.0.1:9: nobody answers there"),
        ("ray://127.0.0.1:1", "=ray://127.0.0.1:1: give"),
    ],
)
def test_an_address_of_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch, named: str, said: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(UsageError, match=f"--ray auto, .*{said}"):
        Cluster("auto")


def test_workers_and_a_cluster_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--ray", "auto", "--workers", "2"])
    assert "argument --workers: not allowed with argument --ray" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The actor died in its creation task:\nTraceback:\n  x\nparis_assets.errors.UserError: vm has Python 4", "vm"),
        ("The actor died.\n\tclass_name: Actor\nIts node has died.", "The actor died. class_name: Actor Its node has"),
        ("ModuleNotFoundError: No module named 'paris_assets'", "paris_assets is not installed there"),
    ],
)
def test_what_ray_says_of_a_death_becomes_one_line(text: str, said: str) -> None:
    assert cause(RuntimeError(text)).startswith(said)
