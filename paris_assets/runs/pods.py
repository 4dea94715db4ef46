"""Dagster's launcher of runs as Kubernetes Jobs, where each pod asks for what the assets of its run need.

A run makes all of its assets in one process, so its pod needs the most of what each needs. By Dagster's own launcher
every run has the same resources, or those of its tag ``dagster-k8s/config``, which decides here too where it names any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import dagster as dg
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import get_user_defined_k8s_config
from kubernetes.utils import parse_quantity

from paris_assets.errors import UsageError
from paris_assets.runs.asset_needs import AssetNeeds, needs_field

Resources = Mapping[str, Mapping[str, Any]]
"""`requests` or `limits` -> name of a resource -> quantity, as Kubernetes has them."""

KINDS = ("requests", "limits")
_RESOURCES = dg.Shape({kind: dg.Field(dg.Permissive(), is_required=False) for kind in KINDS})


class PodLauncher(K8sRunLauncher):
    """One Job per run; see the module.

    Args:
        assets: asset -> what a run needs that makes it.
        pools: concurrency pool of assets -> what a run needs that makes one of them; ``assets`` has the say.
        resources: what every run has at least.
        settings: what Dagster's launcher takes.

    Raises:
        UsageError: an asset, pool or quantity that is none; names it.
    """

    def __init__(self, assets: Any = None, pools: Any = None, resources: Any = None, **settings: Any) -> None:
        self._needs: AssetNeeds[Resources] = AssetNeeds(assets or {}, pools or {})
        most([*self._needs.assets.values(), *self._needs.pools.values(), resources or {}])
        super().__init__(resources=resources, **settings)

    @classmethod
    def config_type(cls) -> Any:
        """That of Dagster's launcher, and ours."""
        needs = needs_field(_RESOURCES, "requests and limits")
        return {**super().config_type(), "assets": needs, "pools": needs}

    def get_container_context_for_run(self, dagster_run: dg.DagsterRun) -> K8sContainerContext:
        """What the pod of a run is made of."""
        context = super().get_container_context_for_run(dagster_run)
        if "resources" in get_user_defined_k8s_config(dagster_run.tags).container_config:
            return context
        needs = [self.resources, *self._needs.of(dagster_run, self._instance)]
        return context.merge(K8sContainerContext(resources=most(needs)))


def most(needs: Iterable[Resources]) -> dict[str, dict[str, str]]:
    """The largest quantity of each resource that any of them names; a limit is no lower than the request, which
    Kubernetes refuses.

    Raises:
        UsageError: a quantity that is none.
    """
    found: dict[str, dict[str, str]] = {}
    for need in needs:
        for kind in KINDS:
            for name, quantity in (need.get(kind) or {}).items():
                before = found.setdefault(kind, {}).get(name, "0")
                found[kind][name] = _larger(name, before, str(quantity))
    limits, requests = found.get("limits", {}), found.get("requests", {})
    for name in limits.keys() & requests.keys():
        limits[name] = _larger(name, limits[name], requests[name])
    return found


def _larger(name: str, one: str, other: str) -> str:
    return max(one, other, key=lambda quantity: _amount(name, quantity))


def _amount(name: str, quantity: str) -> Decimal:
    try:
        return parse_quantity(quantity)
    except ValueError as error:
        raise UsageError(
            f"run_launcher in dagster.yaml asks for {name}: {quantity}: give a quantity as Kubernetes has "
            "them, such as 500m, 4 or 16Gi"
        ) from error
