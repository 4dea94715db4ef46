"""Dagster's runs and events in PostgreSQL, where a variable names a database: SQLite serves one machine only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

from paris_assets.errors import UsageError

POSTGRES = "PARIS_POSTGRES_URL"
RECYCLED_S = 300
"""After which a kept connection is made anew: firewalls forget those that say nothing."""
MORE_AT_ONCE = 20
DRIVER = "postgresql+psycopg2://"  # SQLAlchemy takes another one by default, which dagster-postgres does not bring


def in_postgres(settings: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a new home: as it is, or with a database where the variable names one."""
    if not os.environ.get(POSTGRES):
        return settings
    kept = {name: value for name, value in settings.items() if name not in ("run_storage", "event_log_storage")}
    return {**kept, "storage": {"postgres": {"postgres_url": {"env": POSTGRES}}}}


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Keep a connection for each store of an instance in PostgreSQL: Dagster opens one for each statement.

    For the process of a command alone: of many workers the kept ones would be more than a server takes.
    """
    runs: Any = instance.run_storage
    events: Any = instance.event_log_storage
    if not hasattr(runs, "postgres_url") or not hasattr(events, "postgres_url"):
        return
    instance.optimize_for_webserver(statement_timeout=0, pool_recycle=RECYCLED_S, max_overflow=MORE_AT_ONCE)
    for connect in (runs.connect, events.index_connection):
        with connect() as connection:
            event.listen(connection.engine, "checkout", partial(_ask, connection.dialect))


def _ask(dialect: Any, connection: Any, *_: Any) -> None:
    """Have the pool open another connection in the place of a kept one that no longer answers."""
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error


@contextmanager
def reachable(settings: Path) -> Iterator[None]:
    """Say what to do where the database that a home's configuration names cannot be used.

    Raises:
        UsageError: it is named in another way, its package is missing, or the server does not answer.
    """
    text = settings.read_text()
    if "postgres" not in text:
        yield
        return
    if find_spec("dagster_postgres") is None:
        raise UsageError(f"{settings} names a PostgreSQL database: pip install 'paris_assets[postgres]'")
    if POSTGRES in text and not os.environ.get(POSTGRES, "").startswith(DRIVER):
        raise UsageError(f"{settings} keeps runs in the database of {POSTGRES}: export it as {DRIVER}USER@HOST/NAME")
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (DagsterPostgresException, DBAPIError) as error:
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UsageError(
            f"the database that {settings} names cannot be used ({cause}): see that it is there"
        ) from error
