"""Who may import whom, and what the wiring may not load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import paris_assets

PACKAGE = Path(paris_assets.__file__).parent
STAGES = ("ingest", "signals", "curation", "captions", "clusters", "latents", "experts")
HEAVY = ("torch", "transformers", "diffusers", "faiss", "onnxruntime", "ray", "sklearn", "matplotlib")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(module: Path) -> set[str]:
    """Modules that a module imports, at its top or within functions, and what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage: str) -> None:
    others = [f"paris_assets.{name}" for name in STAGES if name != stage]
    for module in sorted((PACKAGE / stage).rglob("*.py")):
        crossing = [name for name in imported(module) if name.startswith(tuple(others))]
        assert not crossing, f"{module.relative_to(PACKAGE)} imports {crossing}"


@pytest.mark.parametrize("folder", ["settings", "rules", "models", "storage"])
def test_what_stages_stand_on_does_not_import_them(folder: str) -> None:
    for module in sorted((PACKAGE / folder).rglob("*.py")):
        crossing = [name for name in imported(module) if name.startswith(tuple(f"paris_assets.{s}" for s in STAGES))]
        assert not crossing, f"{module.relative_to(PACKAGE)} imports {crossing}"


def test_plain_modules_do_not_know_dagster() -> None:
    wiring = {"assets.py", "checks.py", "resource.py"}
    for stage in (*STAGES, "settings", "rules", "models"):
        for module in sorted((PACKAGE / stage).rglob("*.py")):
            if module.name not in wiring:
                assert not any(name.split(".")[0] == "dagster" for name in imported(module)), module


def test_importing_the_definitions_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, paris_assets.definitions; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    environment = {"PARIS_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.split() == []


def test_imports_have_no_circle() -> None:
    """Imports within functions and for types count: they only hide a circle."""
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in MODULES
    }
    edges = {name: {target for target in imported(path) if target in names} - {name} for name, path in names.items()}
    done: set[str] = set()
    while len(done) < len(names):
        free = {name for name in names if name not in done and edges[name] <= done}
        assert free, f"circle among {sorted(set(names) - done)}"
        done |= free


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_fit_on_a_few_screens(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 250


def public(
    tree: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """(dotted name, definition) of what others may use of a module: no leading underscore at any level."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_others_may_use_is_documented_and_typed(module: Path) -> None:
    for name, node in public(ast.parse(module.read_text())):
        setter = any(isinstance(decorator, ast.Attribute) for decorator in node.decorator_list)
        assert setter or ast.get_docstring(node), f"{name} has no docstring"
        if isinstance(node, ast.ClassDef):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        bare = [each.arg for each in given if each and not each.annotation and each.arg not in ("self", "cls")]
        assert not bare, f"{name} takes {bare} of unknown type"
        assert node.returns, f"{name} gives something of unknown type"
