"""Runs as Jobs: the very object that Kubernetes would be sent, for runs of a real plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from kubernetes import client

from paris_assets import definitions
from paris_assets.definitions import build_definitions
from paris_assets.errors import UsageError
from paris_assets.runs.pods import PodLauncher, most
from paris_assets_tests.deploy.instance import DEPLOY
from paris_assets_tests.deploy.test_kubernetes import modelled

CONFIG = yaml.safe_load((DEPLOY / "kubernetes/dagster.yaml").read_text())["run_launcher"]["config"]
IMAGE = "registry.example.com/paris-assets:1"
DEFAULT, POOLS = CONFIG["resources"], CONFIG["pools"]


class Kubernetes:
    """Takes Jobs in place of a cluster."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    def create_namespaced_job(self, body: client.V1Job, namespace: str, **_: Any) -> None:
        assert namespace == CONFIG["job_namespace"]
        job: Any = client.ApiClient().sanitize_for_serialization(body)
        self.jobs.append(job)


class Cluster:
    """An instance with our launcher, and the job of all assets."""

    def __init__(self, folder: Path) -> None:
        self.job = build_definitions(str(folder / "root")).resolve_job_def("all_stages")
        self.instance, self.kubernetes = dg.DagsterInstance.local_temp(str(folder)), Kubernetes()
        api = {"k8s_client_batch_api": self.kubernetes, "k8s_client_core_api": object()}
        self.launcher = PodLauncher(**CONFIG, **api)
        self.launcher.register_instance(self.instance)

    def launch(self, *assets: str, **tags: str) -> dict[str, Any]:
        """The Job of a run that makes these assets."""
        pointer = ModuleCodePointer(definitions.__name__, "defs", None)
        origin = JobPythonOrigin(self.job.name, RepositoryPythonOrigin("python", pointer, IMAGE, ["dagster"], {}))
        run = self.instance.create_run_for_job(
            self.job.get_subset(asset_selection={dg.AssetKey(name) for name in assets}),
            asset_selection=frozenset(dg.AssetKey(name) for name in assets),
            job_code_origin=origin,
            tags=tags,
        )
        self.launcher.launch_run(LaunchRunContext(run, None))
        return self.kubernetes.jobs[-1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    with mock.patch("dagster_k8s.launcher.load_kubernetes_config"):
        return Cluster(tmp_path_factory.mktemp("cluster"))


def container(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def test_a_run_is_a_job_that_kubernetes_takes(cluster: Cluster) -> None:
    job = cluster.launch("source_rows")
    assert modelled(job).spec.ttl_seconds_after_finished == 86400
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "dagster"
    assert pod["securityContext"] == {"runAsNonRoot": True, "fsGroup": 10001}
    assert container(job)["image"] == IMAGE
    assert container(job)["args"][:3] == ["dagster", "api", "execute_run"]
    given = [next(iter(one.values()))["name"] for one in container(job)["envFrom"]]
    assert given == ["paris-settings", "paris-secrets"]
    (mount,) = container(job)["volumeMounts"]
    assert pod["volumes"] == [{"name": mount["name"], "configMap": {"name": CONFIG["instance_config_map"]}}]
    assert mount["mountPath"] == "/opt/dagster/dagster_home/dagster.yaml"


def test_a_pod_asks_for_the_most_of_what_its_assets_need(cluster: Cluster) -> None:
    assert container(cluster.launch("source_rows"))["resources"] == DEFAULT
    assert container(cluster.launch("latents"))["resources"] == POOLS["gpu"]
    assert container(cluster.launch("duplicate_groups", "source_rows"))["resources"] == POOLS["fit"]
    assert container(cluster.launch("captions", "latents"))["resources"] == CONFIG["assets"]["captions"]
    assert container(cluster.launch("latents", "duplicate_groups"))["resources"] == {
        "requests": {"cpu": "8", "memory": "32Gi"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": "1"},
    }


def test_what_the_tag_of_a_run_asks_for_decides(cluster: Cluster) -> None:
    small = '{"container_config": {"resources": {"requests": {"cpu": "500m"}}}}'
    asked = container(cluster.launch("latents", **{"dagster-k8s/config": small}))["resources"]
    assert asked == {"requests": {"cpu": "500m", "memory": "6Gi"}, "limits": DEFAULT["limits"]}


def test_the_larger_quantity_is_found_whatever_its_unit() -> None:
    needs = [{"requests": {"cpu": "900m", "memory": "1G"}}, {"requests": {"cpu": 2, "memory": "900Mi"}}]
    assert most(needs) == {"requests": {"cpu": "2", "memory": "1G"}}
    assert most([]) == {}


def test_a_limit_is_no_lower_than_the_request() -> None:
    needs = [{"requests": {"memory": "6Gi"}, "limits": {"memory": "12Gi"}}, {"requests": {"memory": "32Gi"}}]
    assert most(needs) == {"requests": {"memory": "32Gi"}, "limits": {"memory": "32Gi"}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"assets": {"caption": {}}}, "names caption .did you mean 'captions'"),
        ({"pools": {"cpu": {}}}, "pools .* names cpu.*one of fit, gpu, io"),
        ({"assets": {"captions": {"limits": {"memory": "16 gigs"}}}}, "asks for memory: 16 gigs: give a quantity"),
    ],
)
def test_what_cannot_be_meant_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PodLauncher(**{**CONFIG, **settings})
