"""The decorators of all asset checks: a judgement on one partition, with the figures that led to it.

A check is a plain function; its parameters are what it reads. Those annotated ``pl.LazyFrame`` or ``Shards`` name a
table, as in assets; ``shard``, ``record`` (commit record of the partition) and ``bounds`` speak for themselves, others
are resources.
"""

import inspect
import warnings
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from paris_assets.dag.assets import SHARD, TABLES
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.errors import MissingInput
from paris_assets.partitions import image_shards
from paris_assets.storage.torn_reads import torn_reads_told

Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class CheckOutcome:
    """What a check found.

    Attributes:
        said: a sentence: what is wrong and how many, or what is right.
        figures: numbers that plot, and the bounds that decided under the names of their settings.
        advice: what to do about it, for the reader of a failed check.
        warns: a failure is a warning whatever the profile says: too few data to be sure.
    """

    passed: bool
    said: str
    figures: Figures = field(default_factory=dict)
    advice: str = ""
    warns: bool = False

    @classmethod
    def of(cls, problems: list[str], good: str, figures: Figures, advice: str = "") -> "CheckOutcome":
        """Passed unless there are problems; said are only those."""
        return cls(not problems, "; ".join(problems) or good, figures, advice)

    def sentence(self, shard: str) -> str:
        """What the UI and the command line show: where, what, and what to do when it failed."""
        said = f"{self.said[:1].upper()}{self.said[1:]}" if shard == ALL else f"Shard {shard}: {self.said}"
        return f"{said}." if self.passed or not self.advice else f"{said}. {self.advice}"


def make_again(asset: str, shard: str) -> str:
    """Advice for a partition whose bytes are wrong, which its own record does not show."""
    shards = "" if shard == ALL else f" --shards {shard}"
    return f"Make it again: `paris run --force --select {asset}{shards}`."


# Checks per partition work, but Dagster still calls them a preview on every definition.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")

Body = Callable[..., CheckOutcome]


@dataclass(frozen=True)
class TableCheck:
    """A check of every partition of an asset.

    Attributes:
        asset: whose partitions are checked.
        body: the function; its name and docstring are the check's.
    """

    asset: str
    body: Body
    partitioned: bool

    @property
    def name(self) -> str:
        """The check's name."""
        return self.body.__name__

    @property
    def key(self) -> dg.AssetCheckKey:
        """Dagster's key of it."""
        return dg.AssetCheckKey(dg.AssetKey(self.asset), self.name)

    def evaluate(self, tables: Tables, resources: dict[str, Any], shard: str) -> dict[str, Any]:
        """What the check says of a partition as it stands, as Dagster's results and evaluations take it.

        Raises:
            MissingInput: what it compares with has not been made.
        """
        with torn_reads_told(tables.catalog.location):
            outcome = self.body(**self.arguments(tables, resources, shard))
        warns = outcome.warns or self.name in tables.catalog.profile.checks.warn_only
        return {
            "passed": outcome.passed,
            "severity": dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
            "description": outcome.sentence(shard),
            # Bounds stay the same from shard to shard: as text they are shown, and not plotted.
            "metadata": {
                name: dg.MetadataValue.text(f"{value}") if name.startswith("checks.") else value
                for name, value in outcome.figures.items()
            },
        }

    def define(self) -> dg.AssetChecksDefinition:
        """The Dagster check."""

        def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            if self.partitioned and not context.has_partition_key:
                raise dg.Failure(f"{self.name} judges one shard: `paris run` judges all that have not been judged")
            shard = context.partition_key if self.partitioned else ALL
            resources = {name: getattr(context.resources, name) for name in self.resources()}
            return dg.AssetCheckResult(**self.evaluate(context.resources.tables_of_checks, resources, shard))

        return dg.asset_check(
            asset=self.asset,
            name=self.name,
            description=inspect.getdoc(self.body),
            partitions_def=image_shards if self.partitioned else None,
            required_resource_keys={"tables_of_checks", *self.resources()},
        )(check)

    def tables(self) -> list[str]:
        """Names of the tables that the function reads."""
        return [name for name, one in self._parameters().items() if one.annotation in TABLES]

    def resources(self) -> list[str]:
        """Names of the resources that the function asks for."""
        known = {SHARD, "record", "bounds"}
        return [name for name, one in self._parameters().items() if one.annotation not in TABLES and name not in known]

    def arguments(self, tables: Tables, resources: dict[str, Any], shard: str) -> dict[str, Any]:
        """A value for every parameter of the function."""
        catalog, given = tables.catalog, dict[str, Any]()
        graph = catalog.graph
        partitioned = [name for name in self._parameters() if name in graph and graph[name].partitioned]
        for name, parameter in self._parameters().items():
            if parameter.annotation in TABLES:
                together = () if self.partitioned else partitioned
                given[name] = tables.for_shard(name, shard) if self.partitioned else tables.for_all(name, together)
            elif name == "record":
                given[name] = catalog.record(self.asset, shard)
                if given[name] is None:
                    raise MissingInput(f"{self.asset}/{shard} has not been made: materialise it first")
            else:
                given[name] = {SHARD: shard, "bounds": catalog.profile.checks}.get(name) or resources[name]
        return given

    def _parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.body).parameters)


def shard_check(asset: str) -> Callable[[Body], TableCheck]:
    """A check of every shard of an asset. Its name and description are those of the function."""
    return lambda body: TableCheck(asset, body, partitioned=True)


def all_check(asset: str) -> Callable[[Body], TableCheck]:
    """A check of an unpartitioned asset."""
    return lambda body: TableCheck(asset, body, partitioned=False)


def checks_of(names: Container[str], *modules: Any) -> list[TableCheck]:
    """The checks that stages' modules define on the assets of these names, where all that they read is among them."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, TableCheck)]
    return [check for check in found if all(name in names for name in (check.asset, *check.tables()))]
