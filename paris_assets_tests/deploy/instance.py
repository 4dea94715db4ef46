"""A shipped dagster.yaml, as Dagster reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster._serdes.config_class import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

DEPLOY = Path(__file__).parents[2] / "deploy"
POSTGRES_URL = "postgresql+psycopg2://paris:secret@postgres/paris"


def opened(folder: str) -> InstanceRef:
    """The instance of a folder below deploy/: Dagster's check of its configuration as a whole. The storage's own is
    checked here, since Dagster connects where it opens it."""
    instance = InstanceRef.from_dir(str(DEPLOY / folder))
    storage = instance.storage_data
    assert isinstance(storage, ConfigurableClassData)
    assert storage.class_name == DagsterPostgresStorage.__name__
    read = process_config(resolve_to_config_type(DagsterPostgresStorage.config_type()), storage.config_dict)
    assert read.success, read.errors
    assert read.value == {"postgres_url": POSTGRES_URL, "should_autocreate_tables": True}
    return instance


def variables(value: Any) -> Iterator[str]:
    """Names of the variables that a configuration refers to."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            yield value["env"]
        for part in value.values():
            yield from variables(part)
    elif isinstance(value, list):
        for part in value:
            yield from variables(part)
