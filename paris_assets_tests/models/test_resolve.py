from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from paris_assets.config import Model, Profile
from paris_assets.models import device
from paris_assets.models.registry import ModelError, Models, build
from paris_assets.models.resolve import numeric_problems, profile_models, resolve_networks
from paris_assets.profiles import dump_profile, load_profile, parse_profile

PINNED = {"device": "cpu", "precision": "fp32"}


def _profile(**embedder: Any) -> Profile:
    return load_profile("demo", {f"embedder.{name}": value for name, value in embedder.items()})


def _machine(monkeypatch: pytest.MonkeyPatch, cpu_bf16: bool = False, gpus: int = 0, gpu_bf16: bool = True) -> None:
    """Make torch tell of another machine."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512" if cpu_bf16 else "AVX2")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": cpu_bf16})
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu_bf16)


def _runs_on(profile: Profile) -> dict[str, tuple[str, str]]:
    return {setting: (model.device, model.precision) for setting, model in profile_models(profile).items()}


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({}, ("cpu", "fp32")),
        ({"cpu_bf16": True}, ("cpu", "bf16")),
        ({"gpus": 1}, ("cuda", "bf16")),
        ({"gpus": 1, "gpu_bf16": False, "cpu_bf16": True}, ("cuda", "fp32")),
    ],
)
def test_auto_becomes_what_the_machine_computes_with(
    monkeypatch: pytest.MonkeyPatch, machine: dict[str, Any], expected: tuple[str, str]
) -> None:
    _machine(monkeypatch, **machine)
    resolved = resolve_networks(_profile())
    assert _runs_on(resolved) == {
        "scores.nsfw": ("cpu", "fp32"),  # onnxruntime, whatever the machine
        "captions.captioner": expected,
        "text.encoder": (expected[0], "fp32"),  # the demo's own setting
        "embedder": expected,
        "latents.codec": expected,
    }
    assert resolve_networks(resolved) == resolved
    assert parse_profile(dump_profile(resolved), "profile.yaml") == resolved
    assert numeric_problems(resolved) == []
    others = {"scores", "captions", "text", "embedder", "latents"}
    assert resolved.model_dump(exclude=others) == _profile().model_dump(exclude=others)


def test_resolved_is_what_really_runs() -> None:
    for setting, model in profile_models(resolve_networks(load_profile("demo"))).items():
        assert build(model).identity()["precision"] == model.precision, setting


def test_what_the_root_has_resolved_wins_over_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, cpu_bf16=True)
    stored = resolve_networks(_profile())
    _machine(monkeypatch, gpus=1)
    assert resolve_networks(_profile(), stored) == stored
    # Another network, or the same at another revision, has no rows yet.
    other = resolve_networks(_profile(implementation="dinov2", path="facebook/dinov2-base"), stored)
    assert (other.embedder.device, other.embedder.precision) == ("cuda", "bf16")
    assert other.latents == stored.latents


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"precision": "fp32"}, ("cpu", "fp32")),
        ({"device": "cpu"}, ("cpu", "bf16")),
        ({"device": "cuda"}, ("cuda", "fp32")),  # what a CPU computes in says nothing of a GPU
        ({"device": "cuda", "precision": "fp16"}, ("cuda", "fp16")),
    ],
)
def test_what_is_set_wins_over_what_the_root_has(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], expected: tuple[str, str]
) -> None:
    _machine(monkeypatch, cpu_bf16=True)
    stored = resolve_networks(_profile())
    _machine(monkeypatch, gpus=1, gpu_bf16=False)
    resolved = resolve_networks(_profile(**given), stored)
    assert (resolved.embedder.device, resolved.embedder.precision) == expected


@pytest.mark.parametrize(
    ("here", "given", "said"),
    [
        (
            {},
            {"device": "cpu", "precision": "bf16"},
            "embedder: precision bf16 needs a CPU that computes in it (AVX512-BF16 or AMX), and this machine has AVX2: "
            "run it on such a machine, or make its rows anew with what this one has: --set embedder.precision=fp32",
        ),
        (
            {"cpu_bf16": True},
            {"device": "cuda", "precision": "fp32"},
            "embedder: device cuda needs 1 GPU, and this machine has none: run it on such a machine, or make its rows "
            "anew with what this one has: --set embedder.device=cpu --set embedder.precision=bf16",
        ),
        (
            {"gpus": 1, "gpu_bf16": False},
            {"precision": "bf16"},
            "embedder: precision bf16 needs a GPU that computes in it, and this machine has Tesla T4: run it on such a "
            "machine, or make its rows anew with what this one has: --set embedder.precision=fp32",
        ),
        (
            {"gpus": 1},
            {"device": "cuda:1", "precision": "bf16"},
            "embedder: device cuda:1 needs 2 GPUs, and this machine has 1: run it on such a machine, or make its "
            "rows anew with what this one has: --set embedder.device=cuda",
        ),
        (
            {},
            {"device": "gpu"},
            "embedder: torch knows no device 'gpu', and this machine has cpu: run it on such a machine, or make its "
            "rows anew with what this one has: --set embedder.device=cpu",
        ),
    ],
)
def test_a_machine_that_cannot_compute_so_says_it_and_offers_the_override(
    monkeypatch: pytest.MonkeyPatch, here: dict[str, Any], given: dict[str, Any], said: str
) -> None:
    _machine(monkeypatch, **here)
    profile = _profile(**given)
    assert numeric_problems(profile) == [said]
    changes = dict(pair.removeprefix("embedder.").split("=") for pair in said.split() if "=" in pair)
    assert numeric_problems(_profile(**{**given, **changes})) == []


def test_runs_that_nobody_planned_are_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, cpu_bf16=False)
    network = Model(implementation="efficientnet-lite0", device="cpu", precision="bf16")
    with pytest.raises(ModelError, match=r"efficientnet-lite0: precision bf16 needs a CPU .* has AVX2: run"):
        Models().load(network)
    assert Models().load(network.model_copy(update={"precision": "fp32"})).identity()["precision"] == "fp32"


def test_a_network_that_has_one_device_and_precision_is_not_asked_for_others() -> None:
    profile = load_profile("demo", {"scores.nsfw.precision": "bf16"})
    assert numeric_problems(profile) == [
        "scores.nsfw: open-nsfw runs on the cpu in fp32: leave device and precision at auto"
    ]


@pytest.mark.slow
def test_a_cpu_that_is_told_to_act_as_an_older_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, cpu_bf16=True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not device.native_bf16_on_cpu()
    # torch reads its own variable once.
    code = "from paris_assets.models.device import native_bf16_on_cpu; print(native_bf16_on_cpu())"
    command, environment = [sys.executable, "-c", code], {**os.environ, "ATEN_CPU_CAPABILITY": "avx2"}
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "False\n"


def test_bf16_is_native_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, cpu_bf16=True)
    assert device.native_bf16_on_cpu()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    assert not device.native_bf16_on_cpu()


def test_what_is_pinned_needs_no_torch() -> None:
    settings = {f"{setting}.{name}": value for setting in profile_models(_profile()) for name, value in PINNED.items()}
    code = (
        "import sys, json; from paris_assets.profiles import load_profile\n"
        "from paris_assets.models.resolve import numeric_problems, resolve_networks\n"
        f"profile = load_profile('demo', {settings!r})\n"
        "print(numeric_problems(resolve_networks(profile)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


def test_where_a_network_runs_is_as_resolved() -> None:
    placement = device.place(Model(implementation="x", device="cpu", precision="auto"))
    assert placement.precision == device.best_precision("cpu")
