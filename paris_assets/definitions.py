"""Everything is wired here, and only here."""

from __future__ import annotations

import os
from types import ModuleType

import dagster as dg

from paris_assets.captions import assets as captions_assets
from paris_assets.captions import checks as captions_checks
from paris_assets.clusters import assets as clusters_assets
from paris_assets.clusters import checks as clusters_checks
from paris_assets.config import Profile
from paris_assets.curation import assets as curation_assets
from paris_assets.curation import checks as curation_checks
from paris_assets.experts import assets as experts_assets
from paris_assets.experts import checks as experts_checks
from paris_assets.ingest import assets as ingest_assets
from paris_assets.ingest import checks as ingest_checks
from paris_assets.ingest.resource import LoopbackServer
from paris_assets.latents import assets as latents_assets
from paris_assets.latents import checks as latents_checks
from paris_assets.signals import assets as signals_assets
from paris_assets.signals import checks as signals_checks
from paris_assets.storage.fingerprint import Graph, Node
from paris_assets.storage.io_manager import TableIOManager
from paris_assets.storage.s3 import s3_resource
from paris_assets.storage.store import Store, open_store
from paris_assets.storage.table_asset import IO_MANAGER

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
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSET_MODULES),
        asset_checks=dg.load_asset_checks_from_modules(CHECK_MODULES),
        resources={
            "store": store,
            IO_MANAGER: TableIOManager(store),
            "loopback_server": LoopbackServer(folder=store.profile.ingest.serve),
            **({"s3": s3_resource()} if store.root.on_s3 else {}),
        },
        executor=dg.in_process_executor,
    )


defs = build_definitions(os.environ.get("PARIS_ROOT", DEFAULT_ROOT))
