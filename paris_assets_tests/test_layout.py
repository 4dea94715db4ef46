"""What neither the import contracts nor ruff say of the package's modules (pyproject.toml holds both)."""

import subprocess
import sys
from pathlib import Path

import paris_assets

PACKAGE = Path(paris_assets.__file__).parent
HEAVY = ("torch", "transformers", "diffusers", "faiss", "onnxruntime", "ray", "sklearn", "matplotlib")
MAX_LINES = 250


def test_importing_the_definitions_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, paris_assets.definitions; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    environment = {"PARIS_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.split() == []


def test_modules_fit_on_a_few_screens() -> None:
    lines = {path.relative_to(PACKAGE): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
