"""Runs and events in a real PostgreSQL, where a machine has one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db

from paris_assets.runs.execution import open_instance
from paris_assets.runs.postgres import POSTGRES, keep_connections
from paris_assets.storage.location import Location
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


def test_other_stores_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Location(tmp_path)) as instance:
        with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            before = connection.engine
        keep_connections(instance)
        with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            assert connection.engine is before
        assert instance.get_runs_count() == 0
