"""What can be said of the Dockerfile and the compose file without Docker."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from moto.server import ThreadedMotoServer

from paris_assets import definitions
from paris_assets_tests.deploy.instance import DEPLOY, POSTGRES_URL, opened, variables

PROJECT = DEPLOY.parent
LINES = (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", " ").splitlines()
COMPOSE = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if "build" in one}
SCRIPTS = {point.name for point in entry_points(group="console_scripts")}
GIVEN = {"POSTGRES_PASSWORD": "secret", "S3_PASSWORD": "secret-too", "COORDINATOR_KEY": "secret-third"}


def said(instruction: str) -> list[str]:
    """What follows an instruction of the Dockerfile, wherever it stands."""
    return [line.removeprefix(instruction).strip() for line in LINES if line.startswith(f"{instruction} ")]


def filled_in(text: str) -> str:
    """A value of the compose file with its variables, by their defaults where GIVEN has none."""
    found = re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda part: GIVEN.get(part[1]) or (part[3] if part[2] == "-" else ""), text
    )
    assert "$" not in found
    return found


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: filled_in(value) for name, value in service["environment"].items()}


def goes_along(path: str) -> bool:
    """Whether .dockerignore lets a path into the build: the last line that matches it or a folder above decides."""
    answer = True
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        places = [path, *(str(parent) for parent in Path(path).parents)][:-1] if "/" in path else [path]
        names = [Path(place).name for place in places] if "**/" in line else places
        if line and not line.startswith("#") and any(fnmatch.fnmatch(name, pattern) for name in names):
            answer = line.startswith("!")
    return answer


def test_what_is_copied_is_there_and_goes_along() -> None:
    copied = [word for line in said("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert copied
    for path in copied:
        assert (PROJECT / path).exists(), path
        assert goes_along(path), path


@pytest.mark.parametrize("path", [".venv/bin/python", "data/runs/demo", "paris_assets_tests", "docs", ".git/config"])
def test_what_no_image_needs_stays_out(path: str) -> None:
    assert not goes_along(path)


def test_compiled_files_of_the_package_stay_out() -> None:
    assert goes_along("paris_assets/cli.py")
    assert not goes_along("paris_assets/dag/__pycache__/assets.pyc")


def test_the_package_in_the_image_is_whole() -> None:
    config = (PROJECT / "setup.cfg").read_text()
    folders = set(re.findall(r"paris_assets\.\w+ = (\S+)", config)) | {"paris_assets"}
    assert folders <= {word for line in said("COPY") for word in line.split()[:-1]}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    copied = {word for line in said("COPY") for word in line.split()}
    assert {project["readme"], "LICENSE", "requirements.lock", "pyproject.toml", "setup.cfg"} <= copied


def test_python_and_torch_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    arguments = dict(line.split("=", 1) for line in said("ARG") if "=" in line)
    assert re.fullmatch(r"3\.\d+\.\d+", arguments["PYTHON"])
    oldest = re.search(r"3\.(\d+)", project["requires-python"])
    assert oldest
    assert int(arguments["PYTHON"].split(".")[1]) >= int(oldest[1])
    assert set(arguments["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    assert arguments["TORCH"] == "cpu"
    (torch,) = [line for line in said("RUN") if "download.pytorch.org/whl/${TORCH}" in line]
    (pattern,) = re.findall(r"grep '([^']+)'", torch)
    locked = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if re.match(pattern, line)]
    assert len(locked) == 1
    assert any("--constraint requirements.lock" in line and "[${EXTRAS}]" in line for line in said("RUN"))


def test_the_image_runs_as_a_user_and_says_how_it_is() -> None:
    (user,) = said("USER")
    assert int(user) > 0
    assert any(f"--uid {user} " in line for line in said("RUN"))
    (health,) = said("HEALTHCHECK")
    for command in (said("CMD")[0], re.sub(r".*?CMD", "", health)):
        assert json.loads(command)[0] in SCRIPTS
    assert "paris_assets.definitions" in json.loads(said("CMD")[0])


def test_every_service_of_ours_runs_what_is_installed() -> None:
    assert {"code", "webserver", "daemon", "coordinator", "paris"} <= set(OURS)
    for name, service in OURS.items():
        commands = [service.get("command", json.loads(said("CMD")[0]))]
        test = service.get("healthcheck", {}).get("test")
        commands += [test[1:]] if test else []
        for command in commands:
            assert command[0] in SCRIPTS | {"python"}, name
    for service in OURS.values():
        assert (DEPLOY / "docker" / service["build"]["context"]).resolve() == PROJECT
        assert (PROJECT / service["build"]["dockerfile"]).is_file()


def test_services_wait_for_services_and_keep_what_is_to_stay() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services) - {name}
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / "docker" / source).is_file(), mount
    for name in ("postgres", "store"):
        assert services[name]["volumes"]
        assert re.search(r":[\w.-]*\d", services[name]["image"]), "a version, not the latest"


def test_no_password_is_shipped_and_one_port_is_open_to_this_machine() -> None:
    text = (DEPLOY / "docker/compose.yaml").read_text()
    assert set(re.findall(r"PASSWORD: (.*)", text)) == {
        "${POSTGRES_PASSWORD:?choose one}",
        "${S3_PASSWORD:?choose one of 8 characters or more}",
    }
    key = "${COORDINATOR_KEY:?choose one}@coordinator:7077"
    assert COMPOSE["services"]["code"]["environment"]["PARIS_COORDINATOR"] == key
    assert COMPOSE["services"]["coordinator"]["environment"] == {"PARIS_COORDINATOR": key}, "and no other secret"
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]


def test_dagster_takes_its_configuration_with_what_compose_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_load((DEPLOY / "docker/dagster.yaml").read_text())
    with_dagster = [service for name, service in OURS.items() if name != "coordinator"]
    for service in with_dagster:
        assert set(variables(text)) <= set(service["environment"])
    given = environment(COMPOSE["services"]["code"])
    assert given["PARIS_POSTGRES_URL"] == POSTGRES_URL
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    instance = opened("docker")
    assert isinstance(instance.run_launcher, dg.DefaultRunLauncher)
    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)


def test_the_workspace_is_the_code_server() -> None:
    (entry,) = yaml.safe_load((DEPLOY / "docker/workspace.yaml").read_text())["load_from"]
    server = entry["grpc_server"]
    assert server["host"] in COMPOSE["services"]
    command = json.loads(said("CMD")[0])
    assert command[command.index("-p") + 1] == str(server["port"]) == said("EXPOSE")[0]
    assert server["location_name"] == definitions.__name__
    assert find_spec(server["location_name"])


def test_the_bucket_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    python, *arguments = COMPOSE["services"]["bucket"]["command"]
    assert python == "python"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    given = {**environment(COMPOSE["services"]["bucket"]), "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    try:
        for _ in range(2):
            subprocess.run([sys.executable, *arguments], check=True)
        names = [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
    finally:
        server.stop()
    assert names.count(given["LOGS_BUCKET"]) == 1
    assert given["PARIS_ROOT"].startswith(f"s3://{given['LOGS_BUCKET']}/")


def test_commands_in_comments_name_files_that_are_there() -> None:
    for file in ("Dockerfile", "compose.yaml"):
        for line in re.findall(r"^#\s+(docker .*)$", (DEPLOY / "docker" / file).read_text(), re.MULTILINE):
            words = shlex.split(line)
            assert (PROJECT / words[words.index("-f") + 1]).is_file(), line
