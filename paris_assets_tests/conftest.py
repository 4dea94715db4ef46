"""Fixtures of several test modules: a published folder, and a real S3-compatible server."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from paris_assets.process import prepare_process

prepare_process()
# Machines are shared: a slow example is no failure.
hypothesis.settings.register_profile("shared", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first: several processes then end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A path under a name, made by the first test process that asks for it; the others wait and use the same."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)

    def find(name: str, make: Callable[[Path], None]) -> Path:
        path, made = folder / name, folder / f"{name}.made"
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                make(path)
                made.touch()
        return path

    return find


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound published folder of two shards; tests that change it copy it first."""
    from paris_assets_tests.verification.published import publish_two_shards

    folder = tmp_path_factory.mktemp("published") / "root"
    publish_two_shards(folder)
    return folder


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """`s3://bucket` on a moto server, with the environment that reaches it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }
    old = {key: os.environ.get(key) for key in environment}
    os.environ.update(environment)
    import boto3

    boto3.client("s3").create_bucket(Bucket="bucket")
    yield "s3://bucket"
    server.stop()
    for key, value in old.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
