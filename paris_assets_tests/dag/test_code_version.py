"""What changes the version of an asset's code: on a small package written for each test, and on the real one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType

import pytest

import paris_assets
from paris_assets.dag.code_version import NOT_FOLLOWED, PACKAGE, code_version, modules_of
from paris_assets.ingest.assets import raw_images
from paris_assets.models.registry import KNOWN, network_modules
from paris_assets.profiles import load_profile

REPOSITORY = Path(paris_assets.__file__).parents[1]
STAGES = ("ingest", "signals", "curation", "captions", "concepts", "clusters", "latents", "experts")

ASSETS = '''
"""Assets."""
from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from paris_assets.images import resource, tars
from paris_assets.sizes import LARGE, SMALL
if TYPE_CHECKING:
    from paris_assets.kinds import Kind

LIMIT = 3
UNUSED = 4


def _limited(rows):
    return rows[:LIMIT]


@asset(columns=UNUSED)
def latents(images: resource.Images, raw: pl.LazyFrame) -> Kind:
    """Latents."""
    from paris_assets.latents.encode import encode

    return encode(_limited(raw), SMALL)  # of one shard


@asset
def report(latents: pl.LazyFrame) -> pl.LazyFrame:
    """Report."""
    from paris_assets.errors import MissingInput
    from paris_assets.latents.show import show

    if latents is None:
        raise MissingInput("latents")
    return show(latents, tars, LARGE)
'''
ENCODE = '''
"""Encoding."""
from typing import TYPE_CHECKING

import numpy as np

from paris_assets.config import Latents
from paris_assets.latents import batches

if TYPE_CHECKING:
    from paris_assets.kinds import Kind


def encode(rows, size):
    """Rows."""
    from paris_assets.images.decode import decode

    return batches.batched(decode(rows), size)
'''
FILES = {
    "latents/assets.py": ASSETS,
    "latents/encode.py": ENCODE,
    "latents/batches.py": "import paris_assets.latents.padding\n\n\ndef batched(rows, size):\n    return rows\n",
    "latents/padding.py": "from paris_assets.latents.encode import encode  # a circle\n\nFILL = 0  # black\n",
    "latents/show.py": 'TEMPLATE = "page.html.jinja"\n\n\ndef show(*tables):\n    return tables\n',
    "latents/page.html.jinja": "<p>{{ psnr }}</p>\n",
    "images/decode.py": "def decode(rows):\n    return rows\n",
    "images/resource.py": "class Images:\n    pass\n",
    "images/tars.py": "def read(file):\n    return file\n",
    "models/small.py": "class Small:\n    pass\n",
    "models/registry.py": "import paris_assets.models.small as small\n",
    "config.py": "class Latents:\n    pass\n",
    "errors.py": "class MissingInput(RuntimeError):\n    pass\n",
    "kinds.py": "class Kind:\n    pass\n",
    "sizes.py": "SMALL, LARGE = 1, 2\n",
}
LATENTS = ["images.decode", "latents.batches", "latents.encode", "latents.padding", "sizes"]


def write_package(folder: Path, changed: dict[str, str] | None = None) -> Path:
    """A package of the real one's name, with an ``__init__`` without code in every folder."""
    for name, text in {**FILES, **(changed or {})}.items():
        file = folder / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for package in (file.parent, folder / PACKAGE):
            if not (package / "__init__.py").exists():
                (package / "__init__.py").write_text('"""A package."""\n')
    return folder


def body_of(folder: Path, name: str, stage: str = "latents") -> FunctionType:
    """The function of an asset as its decorator gets it; nothing is run."""
    file = folder / PACKAGE / stage / "assets.py"
    parts = compile(file.read_bytes(), str(file), "exec").co_consts
    code = next(part for part in parts if isinstance(part, CodeType) and part.co_name == name)
    return FunctionType(code, {"__name__": f"{PACKAGE}.{stage}.assets"})


def own(*names: str) -> list[str]:
    return [f"{PACKAGE}.{name}" for name in names]


Changes = Callable[..., bool]


@pytest.fixture
def changes(tmp_path: Path) -> Changes:
    """Whether a change of one file changes an asset's version."""
    before = write_package(tmp_path / "before")

    def compared(name: str, old: str, new: str, asset: str = "latents", also: tuple[str, ...] = ()) -> bool:
        assert old in FILES[name]
        after = write_package(tmp_path / "after", {name: FILES[name].replace(old, new)})
        return code_version(body_of(before, asset), also) != code_version(body_of(after, asset), also)

    return compared


def test_modules_are_those_that_the_body_leads_to(tmp_path: Path) -> None:
    folder = write_package(tmp_path)
    assert modules_of(body_of(folder, "latents")) == own(*LATENTS)
    assert modules_of(body_of(folder, "report")) == own("images.tars", "latents.show", "sizes")


def test_modules_named_in_strings_are_added(tmp_path: Path) -> None:
    body = body_of(write_package(tmp_path), "latents")
    assert modules_of(body, own("models.small")) == sorted(own(*LATENTS, "models.small"))
    assert modules_of(body, own("latents.show", "models.registry")) == sorted(
        own(*LATENTS, "latents.show", "models.registry", "models.small")
    )
    assert code_version(body, own("models.small", "kinds")) == code_version(body, own("kinds", "models.small"))
    assert code_version(body, own("models.small")) != code_version(body)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("latents/encode.py", "decode(rows), size", "decode(rows), 2 * size"),
        ("latents/padding.py", "FILL = 0", "FILL = 1"),  # three imports away
        ("images/decode.py", "return rows", "return rows[1:]"),  # imported within a function
        ("sizes.py", "1, 2", "1, 3"),  # imported at the top of the assets' file
        ("latents/assets.py", "_limited(raw)", "_limited(raw[1:])"),
        ("latents/assets.py", "rows[:LIMIT]", "rows[: LIMIT + 1]"),  # a function of the same file
        ("latents/assets.py", "LIMIT = 3", "LIMIT = 5"),  # a constant that this function uses
        ("latents/assets.py", "import LARGE, SMALL", "import LARGE, LARGE as SMALL"),
    ],
)
def test_code_that_an_asset_runs_changes_its_version(changes: Changes, name: str, old: str, new: str) -> None:
    assert changes(name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("latents/padding.py", "# black", "# what surrounds a picture"),
        ("latents/encode.py", '"""Rows."""', '"""Rows,\n\n    # one by one."""'),
        ("latents/encode.py", "\n\n    return", "\n    # why\n\n\n    return"),
        ("latents/assets.py", '"""Latents."""', '"""Latents of a shard."""'),
        ("latents/assets.py", "# of one shard", ""),
        ("latents/assets.py", "show(latents, tars, LARGE)", "show(latents)"),  # another asset
        ("latents/assets.py", "@asset\ndef report", "@asset(pool='gpu')\ndef report"),
        ("latents/assets.py", "columns=UNUSED", "columns=UNUSED, pool='gpu'"),  # what Dagster shows
        ("latents/assets.py", "UNUSED = 4", "UNUSED = 5"),
        ("latents/assets.py", "import resource, tars", "import decode, resource, tars"),
        ("latents/show.py", "return tables", "return tables[:1]"),  # another asset's worker
        ("latents/page.html.jinja", "<p>", "<div>"),
        ("images/resource.py", "pass", "limit = 1"),  # named in an annotation
        ("kinds.py", "pass", "limit = 1"),  # imported for types
        ("config.py", "pass", "limit = 1"),
    ],
)
def test_what_an_asset_does_not_run_changes_nothing(changes: Changes, name: str, old: str, new: str) -> None:
    assert not changes(name, old, new)


def test_a_template_belongs_to_the_module_that_names_it(changes: Changes) -> None:
    assert changes("latents/page.html.jinja", "<p>", "<div>", asset="report")


def test_an_asset_that_takes_a_table_called_like_another_asset_is_not_made_of_that(changes: Changes) -> None:
    assert not changes("latents/assets.py", "encode(_limited(raw), SMALL)", "raw", asset="report")


def test_an_added_module_counts(changes: Changes) -> None:
    also = tuple(own("models.small"))
    assert changes("models/small.py", "pass", "limit = 1", also=also)


def test_packages_count_where_they_hold_code(tmp_path: Path) -> None:
    code = "from paris_assets.kinds import Kind\n"
    plain, other = write_package(tmp_path / "a"), write_package(tmp_path / "b", {"images/__init__.py": code})
    assert modules_of(body_of(other, "latents")) == sorted(own(*LATENTS, "images", "kinds"))
    assert code_version(body_of(other, "latents")) != code_version(body_of(plain, "latents"))


def test_the_same_files_elsewhere_have_the_same_version(tmp_path: Path) -> None:
    here, there = write_package(tmp_path / "here"), write_package(tmp_path / "site-packages")
    for file in there.rglob("*.*"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
        os.utime(file, (0, 0))
    for asset in ("latents", "report"):
        assert code_version(body_of(here, asset)) == code_version(body_of(there, asset))


def test_an_import_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    body = body_of(write_package(tmp_path, {"sizes.py": "from paris_assets.gone.away import SMALL\n"}), "latents")
    with pytest.raises(
        ValueError, match=r"paris_assets\.gone\.away\.SMALL is imported, but is no module of paris_assets"
    ):
        code_version(body)
    body = body_of(write_package(tmp_path / "other"), "latents")
    for name in ("paris_assets.models.large", "numpy.linalg"):
        with pytest.raises(ValueError, match=f"{name} is no module of paris_assets"):
            modules_of(body, [name])


def test_a_file_that_changed_under_a_loaded_function_is_named(tmp_path: Path) -> None:
    body = body_of(write_package(tmp_path), "report")
    file = tmp_path / PACKAGE / "latents/assets.py"
    file.write_text("\n\n" + file.read_text())
    with pytest.raises(ValueError, match=r"assets\.py, line \d+: report does not begin here: .* start again"):
        code_version(body)


def test_a_decorated_function_is_refused() -> None:
    with pytest.raises(TypeError, match="give the one that the decorator was given"):
        code_version(FunctionType)


def test_a_function_of_another_package_is_made_of_ours() -> None:
    def body() -> object:
        from paris_assets.images import decode

        return decode

    assert f"{PACKAGE}.images.decode" in modules_of(body)


def real(asset: str, stage: str, also: list[str] | None = None) -> list[str]:
    return modules_of(body_of(REPOSITORY, asset, stage), also or [])


def test_latents_are_made_of_their_encoder_the_decoder_and_the_network_in_use() -> None:
    found = real("latents", "latents", network_modules("autoencoder-kl"))
    assert {f"{PACKAGE}.{name}" for name in ("latents.encode", "images.decode", "models.autoencoder")} <= set(found)
    assert f"{PACKAGE}.models.blip2" not in found
    assert not [name for name in found if name.startswith(f"{PACKAGE}.clusters")]
    assert f"{PACKAGE}.models.autoencoder" not in real("latents", "latents")


def test_images_are_not_fetched_again_for_an_edit_of_the_server_that_lends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = list[str]()
    monkeypatch.setattr("paris_assets.dag.assets.code_version", lambda body, also: found.extend(modules_of(body, also)))
    raw_images.spec(load_profile("demo"), frozenset({"source_rows", "raw_images"}))
    assert f"{PACKAGE}.ingest.web.fetch" in found
    assert not [name for name in found if name.startswith(f"{PACKAGE}.demo")]


def test_the_page_of_clusters_is_part_of_their_report() -> None:
    assert f"{PACKAGE}.clusters.page" in real("cluster_report", "clusters")


def test_the_account_of_rows_is_part_of_the_manifest() -> None:
    assert f"{PACKAGE}.dag.flow" in real("pipeline_manifest", "experts")
    assert f"{PACKAGE}.dag.flow" in real("curation_report", "curation")


@pytest.mark.parametrize("implementation", KNOWN)
def test_every_network_begins_in_a_module(implementation: str) -> None:
    (module,) = network_modules(implementation)
    assert module in real("latents", "latents", [module])


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_is_not_followed_is_there(name: str) -> None:
    place = REPOSITORY.joinpath(*name.split("."))
    assert place.is_dir() or place.with_suffix(".py").is_file()


def test_edits_of_the_real_package_reach_the_assets_that_run_them(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    with (tmp_path / PACKAGE / "images/decode.py").open("a") as file:
        file.write("\nLIMIT = 1\n")
    with (tmp_path / PACKAGE / "clusters/report.html.jinja").open("a") as file:
        file.write("<p></p>\n")

    def same(asset: str, stage: str) -> bool:
        before, after = (body_of(folder, asset, stage) for folder in (REPOSITORY, tmp_path))
        return code_version(before) == code_version(after)

    assert not same("raw_images", "ingest")
    assert not same("latents", "latents")
    assert not same("cluster_report", "clusters")
    assert same("filtered_images", "curation")
    assert same("duplicate_groups", "curation")


WHOLE_PACKAGE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from paris_assets.dag.code_version import code_version, modules_of
files = [file.relative_to(sys.argv[1]) for file in Path(sys.argv[1], "paris_assets").rglob("*.py")]
names = [".".join(file.with_suffix("").parts) for file in files if file.stem != "__init__"]
print(code_version(modules_of, names))
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"dagster", "polars", "numpy", "torch", "pydantic"}))
"""


def whole_package(python: str) -> list[str]:
    command = [python, "-I", "-W", "error", "-c", WHOLE_PACKAGE, str(REPOSITORY)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_gives_the_same_version_and_nothing_is_loaded_for_it(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-I", "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here")
    (found,) = whole_package(python)
    assert [found] == whole_package(sys.executable)
