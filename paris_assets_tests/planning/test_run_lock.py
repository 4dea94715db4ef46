"""Any number of workers gives the same bytes, and two runs on one root take turns."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.planning import run_lock as turn
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    source = small_world.embedded(tmp_path_factory.mktemp("source") / "rows.parquet", 32)
    return small_world.profile(source, source__rows_per_shard=8)


@pytest.fixture(scope="module")
def expected(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("expected") / "root"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        direct.bring_up_to_date(profile, root)
    return small_world.contents(root)


def test_four_workers(profile: Profile, expected: dict[str, str], tmp_path: Path) -> None:
    assert kill_points.run(profile, str(tmp_path / "root"), tmp_path, count=4) == 0, (tmp_path / "log").read_text()
    assert small_world.contents(tmp_path / "root") == expected


def test_two_runs_at_once_take_turns(profile: Profile, expected: dict[str, str], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    root = tmp_path / "root"
    first = kill_points.start(profile, str(root), folders[0], count=2)
    while not (root / "raw_images").exists():
        assert first.is_alive(), (folders[0] / "log").read_text()
        time.sleep(0.02)
    second = kill_points.start(profile, str(root), folders[1])
    first.join()
    second.join()
    logs = [(folder / "log").read_text() for folder in folders]
    assert (first.exitcode, second.exitcode) == (0, 0), logs
    assert f"another `paris run` (process {first.pid} on " in logs[1]
    assert "nothing to do" in logs[1]
    assert small_world.contents(root) == expected


@pytest.fixture
def remote(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Location:
    for name, seconds in (("POLL_S", 0.05), ("EXPIRES_S", 1.0), ("RENEW_S", 0.1)):
        monkeypatch.setattr(turn, name, seconds)
    return Location(f"{s3_url}/turn")


def elsewhere(root: Location, age: float = 0) -> None:
    lease = {"name": "process 7 on far", "lock": "far 1 2", "token": "theirs", "renewed": time.time() - age}
    root.put_bytes(json.dumps(lease).encode(), turn.LEASE)


def test_a_run_of_another_machine_is_waited_for(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(remote)
    monkeypatch.setattr(turn, "EXPIRES_S", 60)
    told: list[str] = []
    threading.Timer(0.4, lambda: remote.delete(turn.LEASE)).start()
    start = time.monotonic()
    with turn.our_turn(remote, tmp_path, told.append, told.append):
        assert 0.3 < time.monotonic() - start < 20
        assert json.loads(remote.read(turn.LEASE))["lock"] != "far 1 2"
    assert told == ["process 7 on far"]
    assert remote.size(turn.LEASE) is None


def test_a_lease_that_nobody_renews_is_taken_over_and_ours_is_renewed(remote: Location, tmp_path: Path) -> None:
    elsewhere(remote, age=2)
    with turn.our_turn(remote, tmp_path, pytest.fail, pytest.fail):
        first, start = json.loads(remote.read(turn.LEASE))["renewed"], time.monotonic()
        while json.loads(remote.read(turn.LEASE))["renewed"] == first:
            assert time.monotonic() - start < 20
            time.sleep(0.05)


def test_a_run_that_lost_its_lease_stops(remote: Location, tmp_path: Path) -> None:
    told: list[str] = []

    def work() -> None:
        with turn.our_turn(remote, tmp_path, pytest.fail, told.append):
            elsewhere(remote)
            time.sleep(5)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in `paris run ... &` of a script
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["process 7 on far"]
    assert json.loads(remote.read(turn.LEASE))["token"] == "theirs"
    remote.delete(turn.LEASE)
