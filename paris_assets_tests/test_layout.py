"""Who may import whom, and what the wiring may not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import paris_assets

PACKAGE = Path(paris_assets.__file__).parent
STAGES = ("ingest", "signals", "curation", "captions", "clusters", "latents", "experts")
HEAVY = ("torch", "transformers", "diffusers", "faiss", "onnxruntime", "ray", "sklearn", "matplotlib")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(module: Path, inside_functions: bool = True) -> set[str]:
    """Modules that a module imports, and what it takes from them."""
    tree, names = ast.parse(module.read_text()), set()
    for node in ast.walk(tree) if inside_functions else tree.body:
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


@pytest.mark.parametrize("folder", ["storage", "models"])
def test_storage_and_models_do_not_import_stages(folder: str) -> None:
    for module in sorted((PACKAGE / folder).rglob("*.py")):
        crossing = [name for name in imported(module) if name.startswith(tuple(f"paris_assets.{s}" for s in STAGES))]
        assert not crossing, f"{module.relative_to(PACKAGE)} imports {crossing}"


def test_plain_modules_do_not_know_dagster() -> None:
    wiring = {"assets.py", "checks.py", "resource.py"}
    for stage in (*STAGES, "models"):
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
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in MODULES
    }
    edges = {
        name: {target for target in imported(path, inside_functions=False) if target in names} - {name}
        for name, path in names.items()
    }
    done: set[str] = set()
    while len(done) < len(names):
        free = {name for name in names if name not in done and edges[name] <= done}
        assert free, f"circle among {sorted(set(names) - done)}"
        done |= free


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_fit_on_a_few_screens(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 300
