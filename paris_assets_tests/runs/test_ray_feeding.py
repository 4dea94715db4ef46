"""A GPU that waits for pictures has them decoded elsewhere; it is simulated, and so is the time that pictures take."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.ray_cluster import RayCluster, ray_cluster

pytestmark = [pytest.mark.extended, pytest.mark.long]
FED = "paris_assets_tests.models.fed:Fed"
GPUS, CORES = "127.0.0.2", "127.0.0.3"
ROWS = 500


def lines(notes: Path) -> Counter[str]:
    return Counter(notes.read_text().split()) if notes.exists() else Counter()


def kill_once_it_helps(cluster: RayCluster, notes: Path, over: threading.Event) -> None:
    while lines(notes)[CORES] < 40 and not over.is_set():
        time.sleep(0.1)
    if not over.is_set():
        cluster.kill(CORES)


@pytest.mark.parametrize("killed", [False, True], ids=["", "and a node dies"])
@pytest.mark.parametrize("decode_cpus", [0, 2])
def test_pictures_for_a_gpu_that_waits_are_decoded_by_other_nodes(
    tmp_path: Path, decode_cpus: int, killed: bool
) -> None:
    if killed and not decode_cpus:
        pytest.skip("nobody helps")
    source, notes = small_world.embedded(tmp_path / "list.parquet", ROWS), tmp_path / "notes"
    profile = small_world.profile(
        source,
        embedder={"implementation": FED, "options": {"notes": str(notes)}, "batch_size": 4},
        ray__assets={"image_embeddings": {"gpus": 1, "cpus": 1}},
        ray__decode_cpus=decode_cpus,
        ray__cpus=1,
        source__rows_per_shard=ROWS,
        clusters__k=2,
    )
    over = threading.Event()
    with ray_cluster() as cluster:
        cluster.add(GPUS, cpus=2, gpus=1, FED_WAIT_S="0.05", FED_NODE=GPUS)
        cluster.add(CORES, cpus=3, FED_WAIT_S="0.05", FED_NODE=CORES)
        killer = threading.Thread(target=kill_once_it_helps, args=(cluster, notes, over))
        if killed:
            killer.start()
        try:
            assert run_command(profile, str(tmp_path / "root"), Request(ray=cluster.address), dry_run=False) == 0
        finally:
            over.set()
    made = lines(notes)
    if not decode_cpus:
        assert made.keys() == {GPUS}, "the node of the GPU alone"
    else:
        assert made[CORES] >= 40
        assert made[GPUS] >= 40
    direct.bring_up_to_date(profile, tmp_path / "here")
    assert small_world.contents(tmp_path / "root") == small_world.contents(tmp_path / "here")
