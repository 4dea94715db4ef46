"""A source grows under a real `dagster-daemon`: its shards are carried to the experts, and what fails is reported."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from PIL import Image

from paris_assets.dag.records import read_record
from paris_assets.definitions import open_catalog
from paris_assets.partitions import image_shards
from paris_assets.planning.unchecked import LOOK, report_finished
from paris_assets.runs.execution import open_instance
from paris_assets.runs.run import Request, plan
from paris_assets.storage.location import Location
from paris_assets.verification.command import verify
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.runs.user_interface import PROJECT, environment, process, until

pytestmark = [pytest.mark.long, pytest.mark.slow]

COMMANDS = Path(sys.executable).parent
PROFILE = {"scores": {"redness": {"implementation": f"{small_world.CHEAP}:Unsure"}}}
CARRIED_S = 420  # a loaded machine; what waits ends as soon as it is there
BLUE = io.BytesIO()
Image.new("RGB", (small_world.SIDE, small_world.SIDE), (0, 0, 255)).save(BLUE, "PNG")
BLUE_ID = hashlib.sha256(BLUE.getvalue()).hexdigest()[:32]


@dataclass
class World:
    """A root whose source grows, under a daemon with all sensors on."""

    source: Path
    root: Path
    instance: dg.DagsterInstance
    posted: list[dict[str, Any]]

    def said(self, text: str) -> bool:
        return text in (self.root / ".dagster" / "dagster-daemon.log").read_text()

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.root / "pipeline_manifest.json").read_text())

    def runs(self, shard: str) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": shard})))

    def fits(self) -> int:
        key = dg.AssetKey("cluster_model")
        return len(self.instance.fetch_materializations(key, limit=10).records)


@pytest.fixture(scope="module")
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a web server, and the JSON objects posted to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, posted: tuple[str, list[dict[str, Any]]]) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("daemon")
    source, root = folder / "source", folder / "root"
    small_world.embedded(source / "a.parquet", 40)
    direct.bring_up_to_date(small_world.profile(source, **PROFILE), root)
    catalog = open_catalog(str(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # open_instance sets it
        patch.setenv("PARIS_SENSOR_INTERVAL_S", "3")
        patch.setenv("PARIS_FAILURE_WEBHOOK", posted[0])
        with open_instance(catalog.location) as instance:
            report_finished(catalog, instance)
            on = [str(COMMANDS / "dagster"), "sensor", "start", "--start-all", "-w", "workspace.yaml"]
            with process([str(COMMANDS / "dagster-daemon"), "run", "-w", "workspace.yaml"], root):
                subprocess.run(on, env=environment(root), cwd=PROJECT, check=True, capture_output=True)
                yield World(source, root, instance, posted[1])


@pytest.mark.extended
def test_a_new_file_is_carried_to_expert_shards_and_nothing_is_refitted(world: World) -> None:
    root, before = Location(world.root), small_world.contents(world.root)
    model, fits = read_record(root, "cluster_model"), world.fits()
    until(lambda: world.said("every partition is up to date"), 90, "the first look of the sensor")
    until(lambda: world.said("no new rows"), 30, "the first look at the source")
    assert {run.job_name for run in world.instance.get_runs()} <= {LOOK}

    small_world.embedded(world.source / "b.parquet", 20, 40)
    until(lambda: "00002" in world.manifest()["shards"], CARRIED_S, "the new shard in the manifest")
    assert world.instance.get_dynamic_partitions(str(image_shards.name)) == ["00000", "00001", "00002"]
    assert "00002" in world.instance.get_materialized_partitions(dg.AssetKey("expert_shards"))
    record = read_record(root, "expert_shards", "00002")
    assert record is not None
    assert record.files
    listed = {file["path"] for file in world.manifest()["files"]}
    assert {file.path for file in record.files} <= listed
    assert (read_record(root, "cluster_model"), world.fits()) == (model, fits)
    now = small_world.contents(world.root)
    assert [path for path in before if "/0000" in path and path.endswith((".tar", ".npy"))]
    for path in before:
        if "/0000" in path and path.endswith((".tar", ".npy")):
            assert now[path] == before[path], path
    assert verify(root, world.manifest()).problems == []
    assert plan(open_catalog(str(world.root)), Request()) == []
    assert [run.status.value for run in world.runs("00002")] == ["SUCCESS"] * 3, "one run per wave"


def test_a_failed_run_is_reported_with_its_images_and_not_tried_again(world: World) -> None:
    before = small_world.contents(world.root)
    rows = pl.read_parquet(small_world.embedded(world.root / "rows.parquet", 18, 100))
    blue = pl.DataFrame({"uid": ["blue.png"], "image": [BLUE.getvalue()], "text": ["nothing but blue"]})
    (world.root / "rows.parquet").unlink()
    pl.concat([rows, blue]).write_parquet(world.source / "c.parquet")
    until(lambda: world.posted, CARRIED_S, "the report of the failed run")
    report = world.posted[0]
    shard = report["shard"]
    assert world.instance.get_dynamic_partitions(str(image_shards.name))[-1] == shard
    assert [(entry["asset"], entry["image_ids"]) for entry in report["failed"]] == [("content_scores", [BLUE_ID])]
    assert report["image_ids"] == [BLUE_ID]
    assert report["cause"] == f"{small_world.CHEAP}:Unsure gives redness = nan for image {BLUE_ID}"
    assert json.loads((world.root / ".dagster" / "failures.jsonl").read_text()) == report
    assert world.said(f"run {report['run_id']} failed: content_scores [{shard}]: {report['cause']}; images {BLUE_ID}")

    until(lambda: world.said("failed, and not tried again while nothing changes: content_scores"), 60, "a later look")
    assert world.runs(shard)[0].run_id == report["run_id"], "the latest run of the shard"
    added = {path for path, digest in small_world.contents(world.root).items() if before.get(path) != digest}
    assert {Path(path).name for path in added} <= {f"{shard}.parquet", f"{shard}.tar", "shards.parquet"}
    assert len(world.posted) == 1
