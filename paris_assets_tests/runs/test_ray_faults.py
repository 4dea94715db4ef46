"""`paris run --ray` on a store that fails: the bytes of a run without faults, or one sentence and then those bytes."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from paris_assets.config import Profile
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets.storage import s3
from paris_assets.storage.checksum import intact
from paris_assets.storage.object_store import StorageError
from paris_assets.storage.tar_members import members
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.ray_cluster import RayCluster, ray_cluster
from paris_assets_tests.storage.faulty_proxy import Chances, Fault, FaultyProxy
from paris_assets_tests.storage.faulty_proxy import Request as Sent

pytestmark = [pytest.mark.extended, pytest.mark.long]
NODES = ("127.0.0.2", "127.0.0.3")
CHANCES = {
    "slow down": (0.02, Fault(503, "SlowDown", retry_after_s=1)),
    "error": (0.02, Fault(500, "InternalError")),
    "reset in the body": (0.015, Fault(cut_answer=True)),
    "answer lost": (0.01, Fault(lose_answer=True)),
    "request cut": (0.01, Fault(cut_request=True)),
    "short body": (0.004, Fault(shorten=True)),
    "slow": (0.01, Fault(delay_s=2.0)),
    "stale listing": (0.5, Fault(stale=True)),
}
BROKEN_S = 120
"""Within which a run ends whose store breaks, on a machine that others use."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        for node in NODES:
            started.add(node)
        yield started


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    source = small_world.embedded(tmp_path_factory.mktemp("source") / "list.parquet", 36)
    return small_world.profile(source, source__rows_per_shard=12, clusters__k=2, ray__cpus=1)


@pytest.fixture(scope="module")
def expected(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("expected") / "root"
    direct.bring_up_to_date(profile, root)
    return small_world.contents(root)


@pytest.fixture
def proxy(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Between the server and everybody: the driver, and the actors, to whom it hands its environment."""
    started = FaultyProxy(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
    monkeypatch.chdir(tmp_path)
    yield started
    started.close()


def bodies(proxy: FaultyProxy, url: str) -> dict[str, bytes]:
    """Every object below a URL but Dagster's own, as the server itself has it."""
    bucket, prefix = s3.split_url(url)
    client: Any = boto3.client("s3", endpoint_url=proxy.upstream)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    assert client.list_multipart_uploads(Bucket=bucket, Prefix=f"{prefix}/").get("Uploads", []) == []
    paths = {key.removeprefix(f"{prefix}/"): key for key in keys}
    return {
        path: client.get_object(Bucket=bucket, Key=key)["Body"].read()
        for path, key in paths.items()
        if not path.startswith(".dagster/")
    }


def hashes(found: dict[str, bytes]) -> dict[str, str]:
    return {path: sha256(body).hexdigest() for path, body in found.items()}


def torn(found: dict[str, bytes]) -> list[str]:
    """Objects that are not whole, whether or not a record names them."""
    return [path for path, body in found.items() if not _whole(path, body)]


def _whole(path: str, body: bytes) -> bool:
    match path.rpartition(".")[2]:
        case "parquet":
            return intact(io.BytesIO(body))
        case "tar":
            return sum(1 for _ in members(body)) > 0
        case "npy":
            return np.load(io.BytesIO(body)).ndim > 0
        case "json":
            return bool(json.loads(body))
        case _:
            return len(body) > 0


def test_what_fails_now_and_then_costs_no_byte(
    cluster: RayCluster, profile: Profile, expected: dict[str, str], proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    judge, url, log = Chances(CHANCES, seed=27), f"{s3_url}/by-chance", tmp_path / "log"
    proxy.judge = judge
    status = run_command(profile, url, Request(ray=cluster.address), dry_run=False, log_file=str(log))
    assert (status, hashes(bodies(proxy, url))) == (0, expected), log.read_text()
    assert {name for name, _ in judge.met} == CHANCES.keys()
    assert {request.method for _, request in judge.met} >= {"GET", "HEAD", "PUT"}
    assert len(judge.met) > 100
    assert "failed " not in log.read_text()


def test_a_store_that_breaks_ends_the_run_with_a_sentence_and_the_next_goes_on(
    cluster: RayCluster, profile: Profile, expected: dict[str, str], proxy: FaultyProxy, s3_url: str, tmp_path: Path
) -> None:
    url, log, broken = f"{s3_url}/breaks", tmp_path / "log", list[float]()

    def judge(request: Sent) -> Fault | None:
        if request.method == "PUT" and re.search(r"/latents/0000\d\.parquet", request.path) and not broken:
            broken.append(time.monotonic())
        return Fault(503, "SlowDown", retry_after_s=1) if broken else None

    proxy.judge = judge
    with pytest.raises(StorageError, match=r"failed \(PUT: 503 SlowDown, 5 tries\); check AWS_ENDPOINT_URL.*stays"):
        run_command(profile, url, Request(ray=cluster.address), dry_run=False, log_file=str(log))
    assert time.monotonic() - broken[0] < BROKEN_S
    since = [request for request in proxy.requests if request.key.startswith("breaks/")]
    assert len(since) < 5000
    assert log.read_text().count("AWS_ENDPOINT_URL") == 1, log.read_text()
    proxy.judge = lambda request: None
    left = bodies(proxy, url)
    assert torn(left) == []
    assert "raw_images/00000.parquet" in left
    assert "pipeline_manifest.json" not in left
    assert run_command(profile, url, Request(ray=cluster.address), dry_run=False, log_file=str(log)) == 0
    assert hashes(bodies(proxy, url)) == expected
