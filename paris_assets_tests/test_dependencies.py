"""What is imported is declared, what is declared is imported, and the locked versions are among the declared."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
NOT_IMPORTED = {"dagster-webserver", "s3fs", "aiobotocore"}  # of `paris dev`; what fsspec reads sources on S3 with


def declared(*extras: str) -> dict[str, Requirement]:
    """What pip installs beside the package, by name, without what that brings in turn."""
    lines = [
        *SETTINGS["dependencies"],
        *(line for extra in extras for line in SETTINGS["optional-dependencies"][extra]),
    ]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def imported() -> dict[str, list[str]]:
    """Distribution -> modules of the package that import it, at their top or within functions."""
    providers, found = packages_distributions(), {}
    for path in sorted((PROJECT / "paris_assets").rglob("*.py")):
        for name in set(_top_names(ast.parse(path.read_text()))) - {"paris_assets"} - sys.stdlib_module_names:
            for distribution in providers.get(name, [name])[:1]:
                found.setdefault(canonicalize_name(distribution), []).append(str(path.relative_to(PROJECT)))
    return found


def _top_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_every_import_is_declared() -> None:
    named = declared("run", "offline", "text", "pool", "sentencepiece", "ray", "postgres", "k8s")
    assert {name: modules for name, modules in imported().items() if name not in named} == {}


def test_everything_declared_is_imported() -> None:
    assert set(declared("run")) - set(imported()) - NOT_IMPORTED == set()


def test_setup_names_every_package() -> None:
    config = ConfigParser()
    config.read(PROJECT / "setup.cfg")
    found = {str(path.parent.relative_to(PROJECT)).replace("/", ".") for path in PROJECT.glob("paris_assets/**/*.py")}
    assert set(config["options"]["packages"].split()) == found | {"paris_assets.sample"}


def test_the_lock_holds_versions_that_are_declared() -> None:
    lines = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    locked = {str(canonicalize_name(name)): version for name, _, version in (line.partition("==") for line in lines)}
    outside = [
        f"{requirement}, locked {locked.get(name)}"
        for name, requirement in declared("run", "offline", "pool", "ray", "postgres", "k8s", "dev").items()
        if not requirement.specifier.contains(locked.get(name, "0"))
    ]
    assert outside == []
