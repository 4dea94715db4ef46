"""The manifests by Kubernetes' own models, which take no unknown field; values of the chart beside them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client

from paris_assets import definitions
from paris_assets.runs import pods
from paris_assets.runs.arguments import build_parser
from paris_assets_tests.deploy.instance import DEPLOY, POSTGRES_URL, opened, variables

FOLDER = DEPLOY / "kubernetes"
PLAN = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MODELS = {
    ("v1", "Namespace"): client.V1Namespace,
    ("v1", "ConfigMap"): client.V1ConfigMap,
    ("v1", "Secret"): client.V1Secret,
    ("v1", "Service"): client.V1Service,
    ("v1", "ServiceAccount"): client.V1ServiceAccount,
    ("apps/v1", "Deployment"): client.V1Deployment,
    ("batch/v1", "Job"): client.V1Job,
    ("rbac.authorization.k8s.io/v1", "Role"): client.V1Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): client.V1RoleBinding,
}


def manifests(*names: str) -> list[dict[str, Any]]:
    return [one for name in names for one in yaml.safe_load_all((FOLDER / name).read_text())]


APPLIED = manifests(*PLAN["resources"])
BY_HAND = ["first_run.yaml", "secrets.example.yaml"]
NAMES = {(one["kind"], one["metadata"].get("name")): one for one in [*APPLIED, *manifests("secrets.example.yaml")]}
PODS = {name: one["spec"]["template"]["spec"] for (kind, name), one in NAMES.items() if kind == "Deployment"} | {
    "first_run": manifests("first_run.yaml")[0]["spec"]["template"]["spec"]
}
GIVEN = {**NAMES["ConfigMap", "paris-settings"]["data"], **NAMES["Secret", "paris-secrets"]["stringData"]}


def modelled(manifest: dict[str, Any]) -> Any:
    """A manifest as an object of the client's models.

    Raises:
        Exception: an unknown field, a missing one or one of another type; names it.
    """
    model = MODELS[manifest["apiVersion"], manifest["kind"]]
    return k8s_model_from_dict(model, k8s_snake_case_dict(model, manifest))


def test_every_manifest_is_one_that_kubernetes_has() -> None:
    for manifest in [*APPLIED, *manifests(*BY_HAND)]:
        assert modelled(manifest).kind == manifest["kind"]


def test_a_field_that_kubernetes_does_not_have_is_refused() -> None:
    (wrong,) = manifests("first_run.yaml")
    wrong["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(Exception, match=r"Unexpected keys in model class V1Container: \{'resource'\}"):
        modelled(wrong)


def test_every_file_is_applied_or_said_to_be_by_hand() -> None:
    (generated,) = PLAN["configMapGenerator"]
    named = {*PLAN["resources"], *generated["files"], *BY_HAND, "kustomization.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == named
    assert {one["metadata"].get("namespace") for one in manifests(*BY_HAND)} == {PLAN["namespace"]}
    assert ("Namespace", PLAN["namespace"]) in NAMES


@pytest.mark.parametrize("name", PODS)
def test_a_pod_names_what_is_there(name: str) -> None:
    pod, (generated,) = PODS[name], PLAN["configMapGenerator"]
    if pod.get("automountServiceAccountToken", True):
        assert ("ServiceAccount", pod["serviceAccountName"]) in NAMES
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    for source in container.get("envFrom", []):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            assert key not in source or (kind, source[key]["name"]) in NAMES
    for reference in [one["valueFrom"]["secretKeyRef"] for one in container.get("env", []) if "valueFrom" in one]:
        assert reference["key"] in NAMES["Secret", reference["name"]]["stringData"]
    assert container["resources"]["requests"]
    for volume in pod.get("volumes", []):
        assert volume["configMap"]["name"] == generated["name"]
    mounted = [mount["subPath"] for mount in container.get("volumeMounts", [])]
    assert set(mounted) <= set(generated["files"])
    assert {word for word in container["args"] if word.endswith(".yaml")} <= {
        mount["mountPath"] for mount in container.get("volumeMounts", [])
    }


def test_selectors_services_and_ports_meet() -> None:
    for (kind, name), one in NAMES.items():
        if kind == "Deployment":
            assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
        if kind == "Service":
            deployment = NAMES["Deployment", name]["spec"]
            assert one["spec"]["selector"] == deployment["selector"]["matchLabels"]
            opened_ports = {port["name"] for port in deployment["template"]["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= opened_ports
    role = NAMES["RoleBinding", "dagster"]
    assert (role["roleRef"]["kind"], role["roleRef"]["name"]) in NAMES
    assert NAMES["Deployment", "daemon"]["spec"]["strategy"] == {"type": "Recreate"}
    (entry,) = manifests("workspace.yaml")[0]["load_from"]
    (port,) = NAMES["Service", entry["grpc_server"]["host"]]["spec"]["ports"]
    assert port["port"] == entry["grpc_server"]["port"]
    assert entry["grpc_server"]["location_name"] == definitions.__name__


def test_the_first_run_is_a_command_that_paris_takes() -> None:
    program, *arguments = PODS["first_run"]["containers"][0]["args"]
    assert program == "paris"
    assert build_parser().parse_args(arguments).select
    assert set(variables(yaml.safe_load((FOLDER / "dagster.yaml").read_text()))) <= set(GIVEN)


def test_runs_have_the_image_of_the_code_server() -> None:
    (image,) = PLAN["images"]
    assert {pod["containers"][0]["image"] for name, pod in PODS.items() if name != "first_run"} == {image["name"]}
    assert PODS["first_run"]["containers"][0]["image"] == f"{image['newName']}:{image['newTag']}"
    (replacement,) = PLAN["replacements"]
    assert replacement["source"]["name"] == "code"
    (variable,) = PODS["code"]["containers"][0]["env"]
    assert variable["name"] in replacement["targets"][0]["fieldPaths"][0]


def test_dagster_takes_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    for name, value in {**GIVEN, "PARIS_POSTGRES_URL": POSTGRES_URL}.items():
        monkeypatch.setenv(name, value)
    instance = opened("kubernetes")
    assert isinstance(instance.run_launcher, pods.PodLauncher)
    assert instance.run_launcher.job_namespace == PLAN["namespace"]
    assert ("ServiceAccount", instance.run_launcher.service_account_name) in NAMES
    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)


def test_the_chart_is_given_the_same() -> None:
    values = yaml.safe_load((DEPLOY / "helm/values.yaml").read_text())
    ours = yaml.safe_load((FOLDER / "dagster.yaml").read_text())
    launcher = values["runLauncher"]["config"]["customRunLauncher"]
    assert values["runLauncher"]["type"] == "CustomRunLauncher"
    password = {"postgres_password_secret": launcher["config"]["postgres_password_secret"]}
    assert launcher == {**ours["run_launcher"], "config": {**ours["run_launcher"]["config"], **password}}
    more = values["additionalInstanceConfig"]
    assert more == {name: ours[name] for name in more}
    assert values["computeLogManager"]["config"]["s3ComputeLogManager"] == ours["compute_logs"]["config"]
    (code,) = values["dagster-user-deployments"]["deployments"]
    (image,) = PLAN["images"]
    for part in (code, values["dagsterWebserver"], values["dagsterDaemon"]):
        assert (part["image"]["repository"], part["image"]["tag"]) == (image["newName"], image["newTag"])
        assert [one["name"] for one in part["envSecrets"]] == launcher["config"]["env_secrets"]
    (server,) = values["dagsterWebserver"]["workspace"]["servers"]
    assert server == {"host": code["name"], "port": code["port"], "name": definitions.__name__}
    assert code["dagsterApiGrpcArgs"] == ["-m", definitions.__name__]
    pod = {"containers": [{"name": "code", "volumeMounts": code["volumeMounts"], "resources": code["resources"]}]}
    pod |= {"volumes": code["volumes"], "securityContext": code["podSecurityContext"]}
    assert k8s_model_from_dict(client.V1PodSpec, k8s_snake_case_dict(client.V1PodSpec, pod)).volumes
