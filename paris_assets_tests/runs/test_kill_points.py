"""A run that is killed again and again, at any point, ends with the bytes of a run that nobody disturbed.

A chain is one root whose run is killed at five points, each later than the one before and each a fresh process that
goes on from what the last one left, and is then left alone. More chains than the suite has time for:
``python -m paris_assets_tests.runs.test_kill_points FOLDER CHAINS``.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paris_assets.definitions import asset_graph
from paris_assets.runs.plan import waves
from paris_assets_tests import small_world
from paris_assets_tests.runs import kill_points

POINTS = 5
LOCAL_CHAINS, S3_CHAINS, WORKER_CHAINS = 3, 2, 1


class Undisturbed:
    """A source, the files of an undisturbed run on it, and every point that the run passed, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = small_world.profile(small_world.web(folder / "source", 40))
        root, trace = folder / "undisturbed", folder / "trace"
        assert kill_points.run(self.profile, str(root), folder, trace=trace) == 0, (folder / "log").read_text()
        self.files = small_world.contents(root)
        self.trace = trace.read_text().splitlines()

    def points(self, chain: int) -> list[str]:
        """One point from each fifth of the run; every kind of point is as likely as the others."""
        generator, found = random.Random(chain), []
        size = len(self.trace) // POINTS
        for part in range(POINTS):
            kinds: dict[str, list[str]] = {}
            for point in self.trace[part * size : (part + 1) * size]:
                kinds.setdefault(point.split()[1], []).append(point)
            found.append(generator.choice(kinds[generator.choice(sorted(kinds))]))
        return found

    def points_of_workers(self, chain: int) -> list[str]:
        """One point of a shard's work from each wave of shards: other shards go on when a worker dies."""
        generator, found = random.Random(chain), []
        for wave in (wave for wave in waves(asset_graph()) if wave.partitioned):
            places = tuple(f"{asset}/" for asset in wave.assets)
            within = [point for point in self.trace if point.split()[2].startswith(places)]
            found.append(generator.choice(within))
        return found

    def survive(self, root: str, points: list[str], count: int = 1) -> list[str]:
        """Kill at every point, then let it end; the points at which it was really killed."""
        killed = []
        for point in points:
            log = self.folder / "log"
            log.unlink(missing_ok=True)
            code = kill_points.run(self.profile, root, self.folder, point, count)
            if code == -9 or "worker process died (exit code -9)" in log.read_text():
                killed.append(point)
        code = kill_points.run(self.profile, root, self.folder, count=count)
        assert code == 0, (self.folder / "log").read_text()
        return killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("killed"))


@pytest.mark.parametrize("chain", range(LOCAL_CHAINS))
def test_killed_on_a_local_disk(undisturbed: Undisturbed, chain: int, tmp_path: Path) -> None:
    points = undisturbed.points(chain)
    assert undisturbed.survive(str(tmp_path / "root"), points) == points
    assert small_world.contents(tmp_path / "root") == undisturbed.files


@pytest.mark.parametrize("chain", range(10, 10 + WORKER_CHAINS))
def test_workers_killed_on_a_local_disk(undisturbed: Undisturbed, chain: int, tmp_path: Path) -> None:
    points = undisturbed.points_of_workers(chain)
    assert undisturbed.survive(str(tmp_path / "root"), points, 2) == points
    assert small_world.contents(tmp_path / "root") == undisturbed.files


@pytest.mark.parametrize("chain", range(20, 20 + S3_CHAINS))
def test_killed_on_an_object_store(
    undisturbed: Undisturbed, chain: int, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"{s3_url}/killed-{chain}"
    points = undisturbed.points(chain)
    assert undisturbed.survive(url, points) == points
    assert dict(objects(url)) == undisturbed.files


def objects(url: str) -> Iterator[tuple[str, str]]:
    """(path, sha256) of every object below a url that is a result."""
    import hashlib

    import boto3

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/"):
        for entry in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            name = entry["Key"].removeprefix(prefix + "/")
            if not name.startswith(".dagster/"):
                yield name, hashlib.sha256(body).hexdigest()


def main(folder: Path, chains: int) -> None:
    """Chains on a local disk, alternately with one and two workers."""
    world = Undisturbed(folder)
    total = 0
    for chain in range(chains):
        root = folder / f"root-{chain}"
        points = world.points_of_workers(chain) if chain % 2 else world.points(chain)
        killed = world.survive(str(root), points, 1 + chain % 2)
        same = small_world.contents(root) == world.files
        total += len(killed)
        print(f"chain {chain}: {'same bytes' if same else 'OTHER BYTES'} after {', '.join(killed)}")
    print(f"{total} kills")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10)
