"""The decorators of all assets: one Parquet table per partition, made by a plain function of its inputs."""

import hashlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import dagster as dg
import polars as pl

from paris_assets.config import Model, Profile
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import NOT_FOLLOWED, code_version
from paris_assets.dag.commit import Keeps
from paris_assets.dag.display import COLUMNS, LINEAGE, column_lineage, table_schema
from paris_assets.dag.graph import Graph, TableSpec
from paris_assets.dag.io_manager import IO_MANAGER, Making, broken_told
from paris_assets.dag.records import ALL
from paris_assets.dag.run_tags import resumed
from paris_assets.models.registry import network_modules
from paris_assets.partitions import image_shards
from paris_assets.settings.import_path import SHIPPED
from paris_assets.settings.section import sections
from paris_assets.spent import CLOCK
from paris_assets.storage.output import Output
from paris_assets.storage.schema import Schema
from paris_assets.storage.shards import Shards

Body = Callable[..., Output]
Condition = Callable[[Profile], bool]
OWNERS = ["team:paris-assets"]
SHARD = "shard"
TABLES = {pl.LazyFrame, Shards}


@dataclass(frozen=True)
class TableAsset:
    """An asset before a profile is known: a function, and what planning and people need to know of its table.

    The function's parameters are what it reads. Those annotated ``pl.LazyFrame`` (a table of this shard, or a global
    one) and ``Shards`` (a table of all shards) are inputs and name the asset; ``| None`` where a profile may do without
    it. ``shard`` is the partition's key. Others are resources.
    """

    body: Body
    schema: Schema
    partitioned: bool
    group: str
    kinds: frozenset[str]
    settings: tuple[str, ...]
    row_settings: tuple[str, ...]
    deps: tuple[str, ...]
    used_if: Condition
    optional_inputs: Mapping[str, Condition]
    unit: str
    data_files: tuple[str, ...]
    volatile: tuple[str, ...]
    slice_by: str | None
    refit_on_settings_only: bool
    keeps_rows: Keeps
    pool: str | None
    pages: Mapping[str, str]

    @property
    def name(self) -> str:
        """The asset's key, its function's name."""
        return self.body.__name__

    def inputs(self, profile: Profile, names: frozenset[str]) -> list[str]:
        """Parameters that are tables which the profile has and this asset reads under it.

        Args:
            names: assets that the profile uses.
        """
        read = [name for name, parameter in self._parameters().items() if TABLES & _types(parameter)]
        return [
            name
            for name in read
            if name in names and (name not in self.optional_inputs or self.optional_inputs[name](profile))
        ]

    def spec(self, profile: Profile, names: frozenset[str]) -> TableSpec:
        """What planning sees of it under a profile that uses the assets of these names."""
        order_only = [name for name in self.deps if name in names]
        return TableSpec(
            name=self.name,
            partitioned=self.partitioned,
            code_version=self._code_version(profile),
            settings=tuple(self.settings),
            inputs=tuple(sorted({*self.inputs(profile, names), *order_only})),
            row_settings=self.row_settings,
            refit_on_settings_only=self.refit_on_settings_only,
            data_files=self.data_files,
            volatile=self.volatile,
            slice_by=self.slice_by,
            reads_takedowns="takedowns" in self._parameters(),
        )

    def _code_version(self, profile: Profile) -> str:
        """Hash of the code that may change what is written: of the body, of the classes that settings name, of what
        resources do, and of the table's columns."""
        named = [part for path in (*self.settings, *self.row_settings) for part in sections(profile.at(path))]
        modules = {
            module for part in named if isinstance(part, Model) for module in network_modules(part.implementation)
        }
        modules |= {
            path.partition(":")[0] for part in named for path in part.import_paths() if path.startswith(SHIPPED)
        }
        resources = [parameter.annotation.__module__ for parameter in self._parameters().values()]
        modules |= {
            module for module in resources if module.startswith(SHIPPED) and not module.startswith(NOT_FOLLOWED)
        }
        columns = repr([(name, str(column.kind)) for name, column in self.schema.items()])
        version = f"{code_version(self.body, sorted(modules))} {columns}"
        return hashlib.sha256(version.encode()).hexdigest()[:16]

    def define(self, profile: Profile, graph: Graph, said: str = "") -> dg.AssetsDefinition:
        """The Dagster asset of one profile.

        Args:
            said: Markdown that its page shows below the description.
        """
        spec, read = graph[self.name], self.inputs(profile, frozenset(graph))
        resources = [
            name for name in self._parameters() if name != SHARD and not TABLES & _types(self._parameters()[name])
        ]
        absent = [name for name in self._parameters() if TABLES & _types(self._parameters()[name]) and name not in read]

        def make(context: dg.AssetExecutionContext, **inputs: Any) -> Making:
            shard = context.partition_key if self.partitioned else ALL
            catalog: Catalog = context.resources.catalog
            if not resumed(context.run):
                catalog.refresh()
            given = {**inputs, **{name: getattr(context.resources, name) for name in resources}}
            given |= dict.fromkeys(absent)
            with broken_told(catalog.location):
                CLOCK.take()  # of what failed before
                wanted, start = catalog.wanted(self.name, shard), time.monotonic()
                output = self.body(**given, **({SHARD: shard} if SHARD in self._parameters() else {}))
                return Making(output, self.schema, wanted, self.keeps_rows, time.monotonic() - start, self.unit)

        return dg.asset(
            name=self.name,
            description=f"{inspect.getdoc(self.body)}\n\n{said}".rstrip(),
            ins={name: dg.AssetIn(key=name) for name in read},
            deps=[name for name in spec.inputs if name not in read],
            required_resource_keys={"catalog", *resources},
            group_name=self.group,
            kinds=set(self.kinds),
            owners=OWNERS,
            tags={"stage": self.group, "compute": self.pool or "cpu"},
            code_version=spec.code_version,
            metadata={
                COLUMNS: table_schema(self.schema),
                LINEAGE: column_lineage(self.schema, spec.inputs),
            },
            io_manager_key=IO_MANAGER,
            partitions_def=image_shards if self.partitioned else None,
            pool=self.pool,
        )(make)

    def _parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.body).parameters)


def shard_asset(schema: Schema, **declared: Any) -> Callable[[Body], TableAsset]:
    """An asset with one partition per image shard; see ``all_asset`` for the arguments."""
    return _table_asset(schema, partitioned=True, **declared)


def all_asset(schema: Schema, **declared: Any) -> Callable[[Body], TableAsset]:
    """An unpartitioned asset that reads every shard.

    Args:
        schema: columns of its table.
        group: asset group, named like the stage.
        kinds: what it is made with, shown in the UI.
        settings: dotted paths of the profile on which the rows depend.
        row_settings: dotted paths that decide which rows there are; rows that stay keep their values.
        deps: assets that have to be made first and whose content it depends on, beside its parameters.
        used_if: whether a profile has this asset; by default each has.
        optional_inputs: parameter -> whether it is read under a profile; by default each is, where the profile has it.
        unit: what a row that enters is, for the rate of a materialisation: ``images_per_second``.
        data_files: patterns of files beside the table (``{shard}`` is filled in), for removing leftovers.
        volatile: columns that may differ between equal runs and enter no hash.
        slice_by: column by whose values a shard reads its part of this global table.
        refit_on_settings_only: the asset is made again when settings change, not when its inputs grow.
        keeps_rows: when ``Output.rows``, a function of the partition as it stands, is given it: ``when_resumed``, if
            rows were made under the same code, settings and weights (those of networks); ``when_retried``, if the
            partition is finished and the run is to try again what failed for a passing reason; ``when_grown``, if
            nothing has changed for the shards that a global table covers. The latter two also if nothing has changed
            but by a takedown; so does ``when_taken_down``, under which the partition then stays as it stands.
            ``when_refitted``: always.
        pages: name -> path of a published file that people read in a browser.
        pool: concurrency pool of the instance (``gpu``, ``fit``, ``io``).
    """
    return _table_asset(schema, partitioned=False, **declared)


def _always(_: Profile) -> bool:
    return True


def _table_asset(
    schema: Schema,
    *,
    partitioned: bool,
    group: str,
    kinds: set[str],
    settings: Sequence[str] = (),
    row_settings: Sequence[str] = (),
    deps: Sequence[str] = (),
    used_if: Condition = _always,
    optional_inputs: Mapping[str, Condition] | None = None,
    unit: str = "images",
    data_files: Sequence[str] = (),
    volatile: Sequence[str] = (),
    slice_by: str | None = None,
    refit_on_settings_only: bool = False,
    keeps_rows: Keeps = "when_resumed",
    pool: str | None = None,
    pages: Mapping[str, str] | None = None,
) -> Callable[[Body], TableAsset]:
    def decorate(body: Body) -> TableAsset:
        return TableAsset(
            body, schema, partitioned, group, frozenset(kinds), tuple(settings), tuple(row_settings), tuple(deps),
            used_if, optional_inputs or {}, unit, tuple(data_files), tuple(volatile), slice_by,
            refit_on_settings_only, keeps_rows, pool, pages or {},
        )  # fmt: skip

    return decorate


def graph_of(assets: Sequence[TableAsset], profile: Profile) -> Graph:
    """Every asset that a profile uses, by name."""
    used = [asset for asset in assets if asset.used_if(profile)]
    names = frozenset(asset.name for asset in used)
    return {asset.name: asset.spec(profile, names) for asset in used}


def assets_of(*modules: Any) -> list[TableAsset]:
    """The assets that stages' modules define, in the order in which they stand there."""
    return [value for module in modules for value in vars(module).values() if isinstance(value, TableAsset)]


def _types(parameter: inspect.Parameter) -> set[Any]:
    """What a parameter may be: its annotation, or the members of a union."""
    return {parameter.annotation, *get_args(parameter.annotation)}
