"""Any number of workers gives the same bytes, and of two runs on one root one waits."""

import json
import platform
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.dag.s3 import open_location
from paris_assets.errors import UsageError
from paris_assets.planning import run_lock
from paris_assets.storage.location import Location
from paris_assets.storage.lock import exclusive
from paris_assets.storage.object_store import StorageError
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.runs import kill_points

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


@pytest.mark.extended
def test_four_workers(profile: Profile, expected: dict[str, str], tmp_path: Path) -> None:
    assert kill_points.run(profile, str(tmp_path / "root"), tmp_path, count=4) == 0, (tmp_path / "log").read_text()
    assert small_world.contents(tmp_path / "root") == expected


@pytest.mark.extended
def test_of_two_runs_at_once_one_waits(profile: Profile, expected: dict[str, str], tmp_path: Path) -> None:
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
        monkeypatch.setattr(run_lock, name, seconds)
    return open_location(f"{s3_url}/lease")


def elsewhere(root: Location, renewals: int = 0, lock: str = "far 1 2") -> None:
    """Another run's lease, as it stands after so many renewals."""
    lease = {"name": "process 7 on far", "lock": lock, "token": "theirs", "renewals": renewals}
    root.put_bytes(json.dumps(lease).encode(), run_lock.LEASE)


def holder(root: Location) -> str:
    return json.loads(root.read(run_lock.LEASE))["token"]


def test_a_run_of_another_machine_is_waited_for(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(remote)
    monkeypatch.setattr(run_lock, "EXPIRES_S", 60)
    told: list[str] = []

    def waiting(name: str) -> None:
        told.append(name)
        remote.delete(run_lock.LEASE)  # it ends while we wait

    with run_lock.hold_root(remote, tmp_path, waiting, pytest.fail):
        assert holder(remote) != "theirs"
    assert told == ["process 7 on far"]
    assert remote.size(run_lock.LEASE) is None


@pytest.mark.parametrize("clock_s", [-1e6, 1e6])
def test_a_run_that_renews_its_lease_keeps_it_whatever_its_clock_says(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_s: float
) -> None:
    """And one that renews it no more loses it, after the time that the waiting process itself has seen pass."""
    monkeypatch.setattr(run_lock, "EXPIRES_S", 0.5)
    monkeypatch.setattr(time, "time", lambda: clock_s)
    last, looks = [0.0], []

    def look(lease: Any) -> Any:
        looks.append(time.monotonic())
        if len(looks) <= 15:
            elsewhere(remote, renewals=len(looks))
            last[0] = time.monotonic()
        return original(lease)

    original = run_lock._Lease._look
    monkeypatch.setattr(run_lock._Lease, "_look", look)
    with run_lock.hold_root(remote, tmp_path, lambda name: None, pytest.fail):
        assert time.monotonic() - last[0] > run_lock.EXPIRES_S
        assert len(looks) > 15
        assert holder(remote) != "theirs"


def test_of_two_that_take_over_at_once_one_wins(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(remote)
    taken: list[bool] = []

    def put_if(*arguments: Any) -> bool:
        if not taken:
            elsewhere(remote, renewals=99)  # another, which has waited as long, writes just before us
        taken.append(original(*arguments))
        return taken[-1]

    original = remote.put_if
    monkeypatch.setattr(remote, "put_if", put_if)
    with run_lock.hold_root(remote, tmp_path, lambda name: None, pytest.fail):
        assert taken[:2] == [False, True]
        assert holder(remote) != "theirs"


def test_what_held_the_same_lock_file_is_gone(remote: Location, tmp_path: Path) -> None:
    """And is not waited for: whoever holds the file now knows."""
    with exclusive(tmp_path / "run.lock"):
        elsewhere(remote, lock=run_lock._lock_file(tmp_path / "run.lock"))
    start = time.monotonic()
    with run_lock.hold_root(remote, tmp_path, pytest.fail, pytest.fail):
        assert holder(remote) != "theirs"
    assert time.monotonic() - start < 30


def test_a_lock_file_of_another_machine_is_another_whatever_the_machine_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of one disk have files of equal numbers, and containers of one image equal host names."""
    monkeypatch.setattr(platform, "node", lambda: "worker")
    for name in ("a", "b"):
        (tmp_path / name).touch()
    here = [run_lock._lock_file(tmp_path / name) for name in ("a", "b", "a")]
    assert here[0] == here[2] != here[1]
    monkeypatch.setattr(run_lock, "boot_id", lambda: "another")
    assert run_lock._lock_file(tmp_path / "a") != here[0]
    monkeypatch.setattr(run_lock, "boot_id", lambda: "")
    assert run_lock._lock_file(tmp_path / "a") != run_lock._lock_file(tmp_path / "a"), "nothing is taken for granted"


def test_our_lease_is_renewed(remote: Location, tmp_path: Path) -> None:
    with run_lock.hold_root(remote, tmp_path, pytest.fail, pytest.fail):
        start = time.monotonic()
        while json.loads(remote.read(run_lock.LEASE))["renewals"] < 2:
            assert time.monotonic() - start < 20
            time.sleep(0.05)


def test_a_run_that_lost_its_lease_stops(remote: Location, tmp_path: Path) -> None:
    told: list[str] = []

    def work() -> None:
        with run_lock.hold_root(remote, tmp_path, pytest.fail, told.append):
            elsewhere(remote)
            time.sleep(60)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in `paris run ... &` of a script
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["process 7 on far"]
    assert holder(remote) == "theirs"
    remote.delete(run_lock.LEASE)


def test_a_refused_run_leaves_nothing(tmp_path: Path) -> None:

    def refuse(folder: Path) -> None:
        with run_lock.hold_root(Location(folder), tmp_path, pytest.fail, pytest.fail):
            assert (folder / ".scratch" / "run.lock").exists()
            raise UsageError("too few rows")

    for folder, there in ((tmp_path / "new" / "root", False), (tmp_path / "empty", True)):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UsageError):
            refuse(folder)
        assert folder.exists() == there
        assert not (folder / ".scratch").exists()
    (tmp_path / "empty" / "profile.yaml").touch()
    with pytest.raises(UsageError):
        refuse(tmp_path / "empty")
    assert (tmp_path / "empty" / ".scratch" / "run.lock").exists(), "it had begun"


def test_why_a_run_ended_is_said_although_its_lease_cannot_be_given_back(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise StorageError("out of reach")

    def work() -> None:
        with run_lock.hold_root(remote, tmp_path, pytest.fail, pytest.fail):
            monkeypatch.setattr(run_lock._Lease, "_look", broken)
            raise UsageError("why it ended")

    with pytest.raises(UsageError, match="why it ended"):
        work()
    monkeypatch.undo()
    remote.delete(run_lock.LEASE)
