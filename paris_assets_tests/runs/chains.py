"""Chains: one root whose run is killed at five points, each later than the one before and each a fresh process that
goes on from what the last one left, and is then left alone.

More chains than the suite has time for: ``python -m paris_assets_tests.runs.chains FOLDER CHAINS``.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from paris_assets.definitions import asset_graph
from paris_assets.planning.waves import waves
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.runs import kill_points

POINTS = 5


class Undisturbed:
    """A source, the files of an undisturbed run on it, and every point that the run passed, in order.

    Args:
        made: the folder that `make` filled.
        folder: where logs go.
    """

    def __init__(self, made: Path, folder: Path) -> None:
        self.folder = folder
        self.profile = small_world.profile(made / "source" / "list.parquet")
        self.files = small_world.contents(made / "undisturbed")
        self.trace = (made / "trace").read_text().splitlines()

    @staticmethod
    def make(folder: Path) -> None:
        """Run undisturbed."""
        profile = small_world.profile(small_world.web(folder / "source", 40))
        code = kill_points.run(profile, str(folder / "undisturbed"), folder, trace=folder / "trace")
        assert code == 0, (folder / "log").read_text()

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
        for wave in (wave for wave in waves(asset_graph(self.profile)) if wave.partitioned):
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


def main(folder: Path, chains: int) -> None:
    """Chains on a local disk, alternately with one and two workers."""
    Undisturbed.make(folder)
    world = Undisturbed(folder, folder)
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
