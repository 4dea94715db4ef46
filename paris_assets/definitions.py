"""Everything is wired here, and only here."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from paris_assets.captions import assets as captions_assets
from paris_assets.captions import checks as captions_checks
from paris_assets.clusters import assets as clusters_assets
from paris_assets.clusters import checks as clusters_checks
from paris_assets.compute import Compute
from paris_assets.concepts import assets as concepts_assets
from paris_assets.concepts import checks as concepts_checks
from paris_assets.config import Profile
from paris_assets.curation import assets as curation_assets
from paris_assets.curation import checks as curation_checks
from paris_assets.dag.assets import assets_of, graph_of
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.checks import TableCheck, checks_of
from paris_assets.dag.failed_checks import failed_checks_check
from paris_assets.dag.graph import Graph
from paris_assets.dag.io_manager import IO_MANAGER, Listener, TableIOManager
from paris_assets.dag.jobs import nightly, stage_jobs
from paris_assets.dag.records import Records
from paris_assets.dag.run_config import profile_resource
from paris_assets.dag.s3 import open_location, s3_resource
from paris_assets.dag.step_output import STEP_OUTPUT, step_output
from paris_assets.dag.tables import Tables
from paris_assets.dag.takedowns import Takedowns
from paris_assets.demo.resource import loopback_server
from paris_assets.experts import assets as experts_assets
from paris_assets.experts import checks as experts_checks
from paris_assets.experts.codec import assets as codec_assets
from paris_assets.experts.codec import checks as codec_checks
from paris_assets.experts.mds import assets as mds_assets
from paris_assets.experts.mds import checks as mds_checks
from paris_assets.images.reader import ImageTars
from paris_assets.ingest import assets as ingest_assets
from paris_assets.ingest import checks as ingest_checks
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.latents import assets as latents_assets
from paris_assets.latents import checks as latents_checks
from paris_assets.models.registry import Models
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.standing import standing_checks, standing_keys
from paris_assets.planning.totals import last_totals, total_checks
from paris_assets.planning.unchecked import look
from paris_assets.pool import assets as pool_assets
from paris_assets.pool import checks as pool_checks
from paris_assets.profiles import load_profile
from paris_assets.proof import assets as proof_assets
from paris_assets.proof import checks as proof_checks
from paris_assets.sensors import SENSORS
from paris_assets.signals import assets as signals_assets
from paris_assets.signals import checks as signals_checks
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location

DEFAULT_ROOT = "data/runs/demo"
PAGES = "PARIS_PAGES"  # variable with the address at which `paris dev` serves what a root publishes for people to read
ASSETS = assets_of(
    ingest_assets, pool_assets, signals_assets, curation_assets, captions_assets, concepts_assets,
    clusters_assets, latents_assets, codec_assets, mds_assets, experts_assets, proof_assets,
)  # fmt: skip
CHECKS = (
    ingest_checks, pool_checks, signals_checks, curation_checks, captions_checks, concepts_checks,
    clusters_checks, latents_checks, codec_checks, mds_checks, experts_checks, proof_checks,
)  # fmt: skip
LAST_ASSET = "pipeline_manifest"
ANOTHER_HOME = (
    "DAGSTER_HOME is not set: what is finished under %s is shown after the first look of the sensor ended_runs, but "
    "the history of runs is not. `paris dev` (in a checkout `make dev`) opens the root with its history."
)


def asset_graph(profile: Profile) -> Graph:
    """Every asset that a profile uses, as planning sees it, by name."""
    return graph_of(ASSETS, profile)


def asset_checks(graph: Graph) -> list[TableCheck]:
    """Every check of the assets of a graph."""
    return checks_of(graph, *CHECKS)


def open_catalog(location: Location | str, profile: Profile | None = None) -> Catalog:
    """The partitions of a root.

    Args:
        location: the root, its folder or fsspec URL.
        profile: settings; by default those recorded at the root, else the demo profile.
    """
    root = location if isinstance(location, Location) else open_location(location)
    settings = profile or stored_profile(root) or load_profile()
    return Catalog(root, settings, asset_graph)


def _silent(_asset: str, _shard: str, _event: str) -> None:
    """Listens to nothing."""


def build_definitions(
    root: str | Catalog,
    profile: Profile | None = None,
    listener: Listener = _silent,
    journal: Path | None = None,
    instance: dg.DagsterInstance | None = None,
    compute: Compute | None = None,
) -> dg.Definitions:
    """The project under one root.

    Args:
        root: folder or fsspec URL, or its catalog.
        profile: settings; by default those recorded at the root, else the demo profile.
        listener: told of every partition that starts and ends.
        journal: a local file in which the processes of one `paris run` tell each other which tables they have verified.
            Where it is given, what speaks of all shards is left out: the command ends with a look at all of them.
        instance: Dagster's, of which pages show what was last counted over all shards.
        compute: who does the parts of steps over all shards; by default the threads of this process.
    """
    catalog = root if isinstance(root, Catalog) else open_catalog(root, profile)
    graph, resources = catalog.graph, resources_of(catalog, journal, compute)
    checks = asset_checks(graph)
    keys = [*(check.key for check in checks), *standing_keys(graph)]
    gathered = [failed_checks_check(LAST_ASSET, keys)] if LAST_ASSET in graph else []
    totals = total_checks(graph) if journal is None else []
    looks = look(checks, LAST_ASSET if LAST_ASSET in graph else None)
    tables = _io_manager(TableIOManager(resources["tables_of_checks"], listener))
    said = _said(graph, instance)
    return dg.Definitions(
        assets=[asset.define(catalog.profile, graph, said[asset.name]) for asset in ASSETS if asset.name in graph],
        asset_checks=[*(check.define() for check in checks), *standing_checks(graph), *totals, *gathered],
        jobs=[*stage_jobs([asset for asset in ASSETS if asset.name in graph]), looks],
        schedules=[nightly(looks)],
        sensors=SENSORS,
        resources={
            **resources,
            "profile": profile_resource(catalog.profile, catalog.location.url),
            IO_MANAGER: tables,
            "io_manager": tables,  # in place of Dagster's own, which pickles: nothing here is handed on in that way
        },
        executor=dg.in_process_executor,
        loggers={"console": dg.colored_console_logger, STEP_OUTPUT: step_output},
    )


def _said(graph: Graph, instance: dg.DagsterInstance | None) -> dict[str, str]:
    """What the page of an asset says above the figures of the last shard: totals, and links to what people read, where
    `paris dev` serves it."""
    address, totals = os.environ.get(PAGES), last_totals(instance, graph) if instance else {}
    said = {}
    for asset in ASSETS:
        links = [f"[{name}]({address}/{path})" for name, path in asset.pages.items() if address]
        said[asset.name] = "\n\n".join([*links, *([totals[asset.name]] if asset.name in totals else [])])
    return said


def _io_manager(tables: TableIOManager) -> dg.IOManagerDefinition:
    # It asks for the settings so that every run looks at its run config, whichever assets it makes.
    return dg.IOManagerDefinition(lambda _: tables, required_resource_keys={"profile"})


def resources_of(catalog: Catalog, journal: Path | None = None, compute: Compute | None = None) -> dict[str, Any]:
    """What assets, checks and sensors ask for by name; small and of one purpose each."""
    profile, location = catalog.profile, catalog.location
    return {
        "catalog": catalog,
        "tables_of_checks": Tables(catalog, journal),
        "profile": profile,
        "models": Models(),
        "compute": compute or Compute(),
        "records": Records(catalog.record, _Keys(catalog)),
        "takedowns": Takedowns(catalog.takedowns),
        "source": RegisteredSource(profile.source, catalog.shard_entry, location),
        "files": _for_one_run(location),
        "images": _images(),
        "loopback_server": loopback_server(profile.ingest.serve),
        **({"s3": s3_resource()} if location.on_s3 else {}),
    }


class _Keys(Mapping[str, list[str]]):
    """Asset -> its partitions, as they are registered when asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getitem__(self, asset: str) -> list[str]:
        return self._catalog.keys(asset)

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.graph)

    def __len__(self) -> int:
        return len(self._catalog.graph)


def _for_one_run(location: Location) -> dg.ResourceDefinition:
    def files(_: dg.InitResourceContext) -> Iterator[LocalFiles]:
        opened = LocalFiles(location)
        try:
            yield opened
        finally:
            opened.close()

    said = "Files of the root on the local disk; copies of remote ones are removed when the run ends."
    return dg.ResourceDefinition(files, description=said)


def _images() -> dg.ResourceDefinition:
    def images(context: dg.InitResourceContext) -> ImageTars:
        return ImageTars(context.resources.files)

    said = "Image bytes, from the tars that the ledgers describe."
    return dg.ResourceDefinition(images, description=said, required_resource_keys={"files"})


defs: dg.Definitions


def __getattr__(name: str) -> Any:
    # Built when Dagster asks for it: whoever imports this module for another root must not open the default one.
    if name != "defs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    root, instance = os.environ.get("PARIS_ROOT", DEFAULT_ROOT), None
    if os.environ.get("DAGSTER_HOME"):
        instance = dg.DagsterInstance.get()
    else:
        logging.getLogger(__name__).warning(ANOTHER_HOME, root)
    return globals().setdefault(name, build_definitions(root, instance=instance))


def __dir__() -> list[str]:
    return sorted({*globals(), "defs"})  # where Dagster looks for definitions
