"""Everything is wired here, and only here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import dagster as dg

from paris_assets.captions import assets as captions_assets
from paris_assets.captions import checks as captions_checks
from paris_assets.clusters import assets as clusters_assets
from paris_assets.clusters import checks as clusters_checks
from paris_assets.config import Profile
from paris_assets.curation import assets as curation_assets
from paris_assets.curation import checks as curation_checks
from paris_assets.dag.assets import IO_MANAGER
from paris_assets.dag.failed_checks import failed_checks_check
from paris_assets.dag.fingerprint import Graph, Node
from paris_assets.dag.io_manager import TableIOManager
from paris_assets.dag.s3 import s3_resource
from paris_assets.dag.store import Store, open_store
from paris_assets.demo.resource import loopback_server
from paris_assets.experts import assets as experts_assets
from paris_assets.experts import checks as experts_checks
from paris_assets.ingest import assets as ingest_assets
from paris_assets.ingest import checks as ingest_checks
from paris_assets.latents import assets as latents_assets
from paris_assets.latents import checks as latents_checks
from paris_assets.sensors import SENSORS
from paris_assets.signals import assets as signals_assets
from paris_assets.signals import checks as signals_checks

DEFAULT_ROOT = "data/runs/demo"
ASSET_MODULES: list[ModuleType] = [
    ingest_assets,
    signals_assets,
    curation_assets,
    captions_assets,
    clusters_assets,
    latents_assets,
    experts_assets,
]
CHECK_MODULES: list[ModuleType] = [
    ingest_checks,
    signals_checks,
    curation_checks,
    captions_checks,
    clusters_checks,
    latents_checks,
    experts_checks,
]


def asset_graph() -> Graph:
    """Every asset as the storage sees it, by name."""
    assets = dg.load_assets_from_modules(ASSET_MODULES)
    specs = [spec for definition in assets if isinstance(definition, dg.AssetsDefinition) for spec in definition.specs]
    return {spec.key.to_user_string(): Node.from_spec(spec) for spec in specs}


def build_definitions(root: str | Store, profile: Profile | None = None) -> dg.Definitions:
    """The project under one root.

    Args:
        root: folder or fsspec URL, or an open store.
        profile: settings; by default those recorded at the root, else the demo profile.
    """
    store = root if isinstance(root, Store) else open_store(root, profile=profile)
    store.graph = asset_graph()
    checks = dg.load_asset_checks_from_modules(CHECK_MODULES)
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        asset_checks=[*checks, failed_checks_check("pipeline_manifest", checks)],
        sensors=SENSORS,
        resources={
            "store": _lent(store),
            IO_MANAGER: TableIOManager(store),
            "loopback_server": loopback_server(store.profile.ingest.serve),
            **({"s3": s3_resource()} if store.root.on_s3 else {}),
        },
        executor=dg.in_process_executor,
    )


def _lent(store: Store) -> dg.ResourceDefinition:
    """The store for the time of one run; local copies of remote files are removed when it ends."""

    def lent_store(_: dg.InitResourceContext) -> Iterator[Store]:
        try:
            yield store
        finally:
            store.close()

    return dg.ResourceDefinition(lent_store, description="The root: its tables, records, files and profile.")


defs: dg.Definitions


def __getattr__(name: str) -> Any:
    # Built when Dagster asks for it: whoever imports this module for another root must not open the default one.
    if name != "defs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, build_definitions(os.environ.get("PARIS_ROOT", DEFAULT_ROOT)))


def __dir__() -> list[str]:
    return sorted({*globals(), "defs"})  # where Dagster looks for definitions
