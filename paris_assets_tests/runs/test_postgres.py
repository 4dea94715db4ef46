"""Runs and events in a real PostgreSQL, where a machine has one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
import yaml
from dagster._core.instance.config import PoolGranularity

from paris_assets.runs.execution import open_instance
from paris_assets.runs.postgres import POSTGRES, keep_connections
from paris_assets.storage.location import Location
from paris_assets_tests.deploy.instance import DEPLOY
from paris_assets_tests.fixtures.ray_cluster import postgres, postgres_programs

STARTED = db.text("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
NOT_MINE = "pid <> pg_backend_pid() AND datname IS NOT NULL"
OTHERS = db.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {NOT_MINE}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[db.Engine]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    monkeypatch.setenv("DAGSTER_HOME", "")
    with postgres(programs) as url:
        monkeypatch.setenv(POSTGRES, url)
        engine = db.create_engine(url, isolation_level="AUTOCOMMIT")
        yield engine
        engine.dispose()


def looks(instance: dg.DagsterInstance, count: int) -> None:
    for _ in range(count):
        assert instance.get_runs_count() == 0
        assert instance.get_dynamic_partitions("image_shards") == []


def test_a_command_keeps_its_connections_and_does_without_those_that_were_closed(
    server: db.Engine, tmp_path: Path
) -> None:
    with open_instance(Location(tmp_path)) as instance, server.connect() as own:
        keep_connections(instance)
        looks(instance, 2)
        before = own.execute(STARTED).scalar_one()
        looks(instance, 50)
        own.execute(OTHERS)
        looks(instance, 50)
        assert own.execute(STARTED).scalar_one() - before <= 4


def test_limits_of_a_deployment_are_not_those_of_a_machine_that_opens_its_database(
    server: db.Engine, tmp_path: Path
) -> None:
    """`paris run`, which binds a new root, has a home of its own and the deployment's database."""
    with open_instance(Location(tmp_path / "root")) as instance:
        assert instance.event_log_storage.get_pool_limits() == []
    for deployment, default in (("docker", 1), ("ray", 8), ("kubernetes", 8)):
        shipped = yaml.safe_load((DEPLOY / deployment / "dagster.yaml").read_text())
        kept = {name: shipped[name] for name in ("storage", "concurrency")}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(kept))
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            assert instance.global_op_concurrency_default_limit == default
            assert instance.get_concurrency_config().pool_config.pool_granularity == PoolGranularity.RUN
    command = [str(Path(sys.executable).with_name("dagster")), "instance", "concurrency", "set", "gpu", "3"]
    subprocess.run(command, env={**os.environ, "DAGSTER_HOME": str(tmp_path)}, check=True, capture_output=True)
    with open_instance(Location(tmp_path / "root")) as instance:
        limits = instance.event_log_storage.get_pool_limits()
        assert [(pool.name, pool.limit, pool.from_default) for pool in limits] == [("gpu", 3, False)]


def test_other_stores_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Location(tmp_path)) as instance:
        with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            before = connection.engine
        keep_connections(instance)
        with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            assert connection.engine is before
        assert instance.get_runs_count() == 0
