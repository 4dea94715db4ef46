"""Classes by import path: where they are found, and how a change of their code is seen."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from paris_assets.config import own_code
from paris_assets.dag.fingerprint import own_fingerprint, row_choice
from paris_assets.definitions import asset_graph
from paris_assets.profiles import load_profile
from paris_assets.settings.import_path import ImportPathError, class_version, load_class

GRAPH = asset_graph(load_profile("demo"))
ASK = "from paris_assets.settings.import_path import class_version; print(class_version('theirs:Thing'))"


def asked(folder: Path, code: str) -> str:
    """The version of a class in ``folder``, by a fresh process that does not search its current folder by itself."""
    (folder / "theirs.py").write_text(code)
    run = subprocess.run([sys.executable, "-P", "-c", ASK], cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_the_version_is_that_of_the_file_unless_the_class_has_one(tmp_path: Path) -> None:
    first = asked(tmp_path, "class Thing: pass")
    assert len(first) == 64
    assert first == asked(tmp_path, "class Thing: pass") != asked(tmp_path, "class Thing: size = 1")
    assert asked(tmp_path, "class Thing: code_version = 2") == "2"
    assert asked(tmp_path, "class Thing: code_version = 2; size = 1") == "2"


def test_the_version_of_a_class_that_is_passed_on_changes_with_the_file_that_defines_it(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("class Thing: pass")
    first = asked(tmp_path, "from inner import Thing")
    assert first == asked(tmp_path, "from inner import Thing")
    (tmp_path / "inner.py").write_text("class Thing: size = 1")
    assert first != asked(tmp_path, "from inner import Thing")


def test_a_module_within_an_archive_has_to_declare_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "class Thing: pass\nclass Versioned: code_version = 3")
    monkeypatch.syspath_prepend(tmp_path / "archive.zip")
    with pytest.raises(ImportPathError, match=r"zipped:Thing: the file of module zipped cannot be read: give"):
        class_version("zipped:Thing")
    assert class_version("zipped:Versioned") == "3"


def test_the_current_folder_comes_last(tmp_path: Path) -> None:
    (tmp_path / "polars.py").write_text("raise SystemExit('the wrong polars')")
    assert len(asked(tmp_path, "import polars\nclass Thing(polars.DataFrame): pass")) == 64


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("Thing", "is no import path"),
        ("..theirs:Thing", "is no import path"),
        ("no.such.module:Thing", "No module named 'no'; run from the folder that holds it"),
        ("paris_assets.partitions:Nothing", "has no attribute 'Nothing'"),
    ],
)
def test_a_path_to_nothing_says_why(path: str, said: str) -> None:
    with pytest.raises(ImportPathError, match=said):
        load_class(path)


def test_code_of_this_package_has_no_version_here() -> None:
    assert class_version("paris_assets.signals.entropy:Entropy") is None
    assert own_code(load_profile("demo"), ["signals", "curation", "scores", "embedder"]) == {}


class Signal:
    code_version = "1"


class Rule(Signal):
    pass


class Embedder(Signal):
    pass


@pytest.mark.parametrize(
    ("setting", "cls", "changed", "chosen"),
    [
        ("signals.measures", Signal, {"image_signals"}, set()),
        ("curation.signal_rules", Rule, {"filtered_images", "curation_report"}, {"content_scores"}),
        ("embedder", Embedder, {"image_embeddings"}, set()),
    ],
    ids=["signal", "rule", "embedder"],
)
def test_changed_code_changes_the_fingerprints_of_what_it_makes(
    setting: str, cls: type[Signal], changed: set[str], chosen: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{__name__}:{cls.__name__}"
    value = {
        "signals.measures": [path],
        "curation.signal_rules": [{"name": "mine", "implementation": path}],
        "embedder": {"implementation": path},
    }
    profile = load_profile("demo", {setting: value[setting]})

    def versions() -> dict[str, tuple[str, object]]:
        class_version.cache_clear()
        return {name: (own_fingerprint(spec, profile), row_choice(spec, profile)) for name, spec in GRAPH.items()}

    before = versions()
    assert versions() == before
    monkeypatch.setattr(cls, "code_version", "2")
    after = versions()
    assert {name for name in GRAPH if after[name][0] != before[name][0]} == {*changed, "pipeline_manifest"}
    assert {name for name in GRAPH if after[name][1] != before[name][1]} == chosen
    class_version.cache_clear()
