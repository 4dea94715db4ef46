"""What Dagster does not publish and is used all the same."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import paris_assets

PACKAGE = Path(paris_assets.__file__).parent
# Read, not imported: where a name has moved, nothing of the package can be.
PRIVATE = PACKAGE / "dag/private.py"


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def is_there(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ModuleNotFoundError:
        return False


def test_private_names_are_there() -> None:
    taken = list(imports(PRIVATE))
    assert len(taken) > 3
    assert all(module.startswith("dagster._") for module, _ in taken), "what is public is imported where it is used"
    moved = [f"{module}.{name}" for module, name in taken if not is_there(module, name)]
    assert moved == [], "this version of Dagster has them elsewhere, or no more"


def test_private_names_are_imported_in_one_module_and_each_is_needed() -> None:
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path == PRIVATE:
            continue
        found = list(imports(path))
        assert [module for module, _ in found if module.startswith("dagster._")] == [], path
        used |= {name for module, name in found if module == "paris_assets.dag.private"}
        reached = [
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dg"
        ]
        assert [name for name in reached if name.startswith("_")] == [], path
    assert used == {name for _, name in imports(PRIVATE)}
