"""Limits per host over the runs of the shipped deployments: the coordinator as they start it, and processes that know
of it by what they set."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from paris_assets.ingest.web import link
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.ingest.web.link import COORDINATOR, CoordinatorError, parse_address
from paris_assets.runs.arguments import build_parser
from paris_assets_tests.deploy.instance import DEPLOY
from paris_assets_tests.deploy.test_docker import COMPOSE, OURS, environment
from paris_assets_tests.deploy.test_kubernetes import GIVEN, NAMES, PLAN, PODS, manifests
from paris_assets_tests.ingest.servers import serving
from paris_assets_tests.ingest.test_coordinator import NAMES as HOSTS
from paris_assets_tests.ingest.test_coordinator import ROWS, WORKERS, Crowd, _by_processes, _settings, _shard

COMMANDS: dict[str, tuple[list[str], str]] = {
    "docker": (COMPOSE["services"]["coordinator"]["command"], environment(COMPOSE["services"]["code"])[COORDINATOR]),
    "kubernetes": (PODS["coordinator"]["containers"][0]["args"], GIVEN[COORDINATOR]),
}
"""Deployment -> the coordinator's command, and the address that what fetches is given."""


def listened_at(deployment: str) -> int:
    """The port of a deployment's coordinator, which listens at all addresses of its container."""
    program, *arguments = COMMANDS[deployment][0]
    assert (program, arguments[0]) == ("paris", "coordinator")
    options = build_parser().parse_args(arguments)
    key, host, port = parse_address(options.listen)
    assert (key, host) == ("", "0.0.0.0"), "its key is that of the variable, which others cannot read"
    return port


@contextmanager
def started(deployment: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A deployment's coordinator at a free port: its process, its key and the port."""
    command, address = COMMANDS[deployment]
    key, host, shipped = parse_address(address)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    there = [word.replace(str(shipped), str(port)) for word in command[1:]]
    given = {**os.environ, COORDINATOR: f"{key}@{host}:{port}"}  # a name that is known to nobody here
    process = subprocess.Popen(
        [sys.executable, "-m", "paris_assets.cli", *there], env=given, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, key, port
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("deployment", COMMANDS)
def test_limits_hold_over_the_runs_of_a_deployment(deployment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd()
    with started(deployment) as (process, key, port), serving(crowd) as server:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == f"listening at 0.0.0.0:{port}, with the key of {COORDINATOR}\n"
        assert key not in said
        settings = _settings(server, per_host={"connections": 2})
        monkeypatch.setenv(COORDINATOR, f"{key}@127.0.0.1:{port}")
        results = _by_processes(settings)
        monkeypatch.setattr(link, "PATIENCE_S", 0.0)
        for other in (f"another@127.0.0.1:{port}", f"127.0.0.1:{port}"):
            monkeypatch.setenv(COORDINATOR, other)
            with pytest.raises(CoordinatorError, match="the connection ended"):
                list(fetch_images(_shard(WORKERS), settings))
        process.send_signal(signal.SIGTERM)  # what ends a container; its first process has to handle it
        assert process.wait(timeout=60) == 0
    assert [fetched.status for fetched in results] == ["ok"] * WORKERS * ROWS
    assert crowd.most == {name: 2 for name in HOSTS}
    assert {path: count for path, count in crowd.paths.items() if path.endswith("robots.txt")} == {
        f"{name}/robots.txt": 1 for name in HOSTS
    }


def test_compose_has_one_coordinator_that_all_of_ours_know_and_wait_for() -> None:
    key, host, port = parse_address(COMMANDS["docker"][1])
    assert key == "secret-third"
    assert "replicas" not in str(COMPOSE["services"][host])
    assert listened_at("docker") == port
    assert "ports" not in COMPOSE["services"][host], "the network of the containers alone"
    assert f"('127.0.0.1', {port})" in COMPOSE["services"][host]["healthcheck"]["test"][-1]
    for name in ("code", "paris"):  # runs of the UI are processes of the code server
        assert environment(OURS[name])[COORDINATOR] == COMMANDS["docker"][1]
        assert OURS[name]["depends_on"][host] == {"condition": "service_healthy"}
    assert not OURS[host]["depends_on"], "it needs nothing, and least of all itself"


def test_pods_have_one_coordinator_that_all_that_fetch_know() -> None:
    key, host, port = parse_address(COMMANDS["kubernetes"][1])
    assert key
    (opened,) = NAMES["Service", host]["spec"]["ports"]
    assert opened["port"] == port
    deployment = NAMES["Deployment", host]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    (listening,) = PODS[host]["containers"][0]["ports"]
    assert (listening["name"], listening["containerPort"]) == (opened["targetPort"], listened_at("kubernetes"))
    secret = {"secretRef": {"name": "paris-secrets"}}
    assert COORDINATOR in NAMES["Secret", "paris-secrets"]["stringData"]
    assert all(secret in PODS[name]["containers"][0]["envFrom"] for name in ("code", "first_run"))
    config = manifests("dagster.yaml")[0]["run_launcher"]["config"]
    assert config["env_secrets"] == ["paris-secrets"], "of every run's pod"


def test_the_coordinator_has_no_rights_and_no_other_secret() -> None:
    pod = PODS["coordinator"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    (container,) = pod["containers"]
    (variable,) = container["env"]
    assert "envFrom" not in container
    reference = {"name": "paris-secrets", "key": COORDINATOR}
    assert variable == {"name": COORDINATOR, "valueFrom": {"secretKeyRef": reference}}


def test_beside_the_chart_the_coordinator_alone_is_applied() -> None:
    command = "kubectl apply -k deploy/kubernetes --selector app=coordinator"
    assert command in (DEPLOY.parent / "docs/deploying.md").read_text()
    labelled: list[dict[str, Any]] = [
        one for name in PLAN["resources"] for one in manifests(name) if one["metadata"].get("labels")
    ]
    assert {(one["kind"], *one["metadata"]["labels"].items()) for one in labelled} == {
        ("Deployment", ("app", "coordinator")),
        ("Service", ("app", "coordinator")),
    }
    values = yaml.safe_load((DEPLOY / "helm/values.yaml").read_text())
    launcher = values["runLauncher"]["config"]["customRunLauncher"]["config"]
    assert launcher["env_secrets"] == ["paris-secrets"]
    assert launcher["job_namespace"] == PLAN["namespace"]
