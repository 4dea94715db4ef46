"""README, CONTRIBUTING, CHANGELOG and docs/ say what is so: links, commands, settings, files, names and drawings."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from paris_assets.config import Encode, Endpoint, Kind, Model, OwnRule, Profile, QuantileRule, Rule, Score, Tier
from paris_assets.dag.graph import Graph
from paris_assets.definitions import ASSETS, asset_graph
from paris_assets.profiles import load_profile, parse_overrides, shipped_profiles
from paris_assets.runs.arguments import build_parser
from paris_assets.settings.captions import Fallback
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.settings.curation import CopyDuplicates, VectorDuplicates
from paris_assets.settings.experts import ArrayRange, Codec, LatentRange, Mds
from paris_assets.settings.ingest import PerHost, Robots
from paris_assets.settings.judge import CaptionRules, Evidence, Judge, JudgeEndpoint, ScoreBounds
from paris_assets.settings.latents import Buckets
from paris_assets.settings.pool_rows import CaptionFigures, LanguageDetector, PoolVectors, WordNet
from paris_assets.settings.probe import Probe
from paris_assets.settings.ray import ActorNeeds
from paris_assets.settings.section import Section
from paris_assets.settings.selectors import Steps
from paris_assets.settings.training_probe import TrainingProbe
from tools import settings_reference

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
FILES = [README, PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]
PAGES = {str(path.relative_to(PROJECT)): path.read_text() for path in FILES}
PROFILE = load_profile("demo")
TOP = ("paris_assets", "paris_assets_tests", "tools", "data/sample", "data/pictures", "docs", "deploy", ".ci")
PARENTS = {"NETWORK": Model, "SCORE": Score}  # what settings.md abbreviates
MAX_README_LINES, MAX_RECIPE_LINES = 100, 20

every_page = pytest.mark.parametrize("page", PAGES)


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def words(line: str) -> list[str]:
    """A command line without its comment, cut as a shell does."""
    return shlex.split(line, comments=True)


def commands(text: str, program: str) -> Iterator[list[str]]:
    """The arguments of a program's command lines: in fenced and indented blocks, and between backticks."""
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    lines += re.findall(r"^ {4}(\S.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    lines += quoted(text)
    yield from (words(line)[1:] for line in lines if line.split(" ")[0] == program)


def quoted(text: str) -> list[str]:
    """What stands between backticks within a line of prose."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def slugs(text: str) -> set[str]:
    """Anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = ((PROJECT / page).parent / path).resolve() if path else PROJECT / page
        assert found.is_file(), f"{page} links to {target}"
        assert found.is_relative_to(PROJECT), f"{page} links out of the project: {target}"
        assert not anchor or anchor in slugs(found.read_text()), f"{page} links to {target}"


@every_page
def test_commands_are_ones_that_paris_takes(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in commands(PAGES[page], "paris"):
        said = f"{page}: paris {' '.join(arguments)}"
        assert not re.search(r"[<>\[\]]|\.\.\.", said), f"{said}: what a reader fills in is a word in capitals"
        if len(arguments) <= 1:  # in prose: `paris verify`
            arguments = [*arguments, "--help"]
        try:
            options = build_parser().parse_args(arguments)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"{said}: {capsys.readouterr().err}")
        else:
            check_values(options, said)


def check_values(options: argparse.Namespace, said: str) -> None:
    """Names of profiles, settings and assets in a command are real ones."""
    profile = getattr(options, "profile", None)
    if profile in (None, *shipped_profiles()):
        load_profile(profile or "demo", parse_overrides(getattr(options, "set", [])))
    else:
        assert re.search(rf"^# {re.escape(profile)}:", PAGES["docs/extending.md"], re.MULTILINE), said
    if getattr(options, "start", None):
        assert options.start in asset_graph(PROFILE), said


@every_page
def test_other_commands_exist(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert {arguments[0] for arguments in commands(PAGES[page], "make") if arguments} <= targets
    for arguments in commands(PAGES[page], "python"):
        assert arguments[0] == "-m"
        if "NAME" not in arguments[1]:
            assert importlib.util.find_spec(arguments[1]), f"{page}: python {' '.join(arguments)}"


@every_page
def test_settings_that_are_named_exist(page: str) -> None:
    for text in quoted(PAGES[page]):
        path = re.fullmatch(r"(\w+)((?:\.\w+)+)(?:[=:] ?.*)?", text)
        if path and (path[1] in Profile.model_fields or path[1] in PARENTS) and path[2] != ".py":
            assert has_setting(f"{path[1]}{path[2]}"), f"{page} names {text}"


def has_setting(path: str) -> bool:
    """Whether a dotted path leads to a setting, through scores of any name."""
    if path.startswith("ingest.encode."):  # null, where a profile sets none of these
        return path.removeprefix("ingest.encode.") in Encode.model_fields
    first, *names = path.split(".")
    given = PARENTS.get(first, getattr(PROFILE, first, None))
    place: Any = _section_of(Profile.model_fields[first].annotation) if given is None else given
    for name in names:
        if isinstance(place, dict):  # of encoders, scores and kinds of captions, by name
            place = {"scores": Score, "captions": Kind}.get(first, Model)
            continue
        kind = place if isinstance(place, type) else type(place)
        if not issubclass(kind, Section) or name not in kind.model_fields:
            return False
        known = None if isinstance(place, type) else getattr(place, name)
        place = _section_of(kind.model_fields[name].annotation) if known is None else known
    return True


def _section_of(annotation: Any) -> Any:
    """The section that a setting may hold, else its type."""
    parts = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, Section)]
    return parts[0] if parts else annotation


def test_a_name_that_is_no_setting_is_seen() -> None:
    assert has_setting("clusters.k")
    assert has_setting("embedder.path")
    assert has_setting("scores.nsfw.batch_size")
    assert has_setting("scores.aesthetic.on")
    assert has_setting("picture_embeddings.clip-l14.path")
    assert not has_setting("picture_embeddings.clip-l14.on")
    assert has_setting("captions.kinds.long.endpoint")
    assert not has_setting("captions.kinds.long.on")
    assert not has_setting("clusters.count")
    assert has_setting("ingest.encode.short_side")
    assert not has_setting("ingest.encode.long_side")
    assert not has_setting("text.encoder.layers")


@every_page
def test_files_and_variables_that_are_named_exist(page: str) -> None:
    source = "\n".join(path.read_text() for path in (PROJECT / "paris_assets").rglob("*.py"))
    for text in quoted(PAGES[page]):
        if re.fullmatch(r"PARIS_[A-Z_]+", text):
            assert f'"{text}"' in source, f"{page} names the variable {text}"
        if text.startswith(tuple(f"{top}/" for top in TOP)) and not re.search(r"NAME|[{}<>* ]", text):
            assert (PROJECT / text).exists() or text == "paris_assets/sample", f"{page} names {text}"


def test_pages_are_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= MAX_README_LINES
    recipes = re.split(r"^## ", PAGES["CONTRIBUTING.md"], flags=re.MULTILINE)[1:]
    assert [recipe.split("\n")[0] for recipe in recipes] == ["A signal for everyone", "A model", "A stage"]
    assert max(len(recipe.splitlines()) for recipe in recipes) <= MAX_RECIPE_LINES


def test_the_page_of_settings_is_what_its_script_writes() -> None:
    assert PAGES["docs/settings.md"] == settings_reference.page(), "run python -m tools.settings_reference"


def test_the_page_of_settings_has_every_setting() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", PAGES["docs/settings.md"], re.MULTILINE)
    kinds = (Rule, OwnRule, QuantileRule, Tier, VectorDuplicates, Kind, Endpoint, Fallback)
    kinds = (*kinds, PoolVectors, CaptionFigures, LanguageDetector, WordNet, ActorNeeds)
    kinds = (*kinds, Evidence, Judge, JudgeEndpoint, CaptionRules, ScoreBounds, ConceptModel, Probe, *get_args(Steps))
    kinds = (*kinds, ArrayRange, LatentRange, Codec, Mds, Buckets, CopyDuplicates, TrainingProbe)
    own = [field for kind in kinds for field in kind.model_fields]
    of_networks = [f"NETWORK.{name}" for name in Model.model_fields]
    of_networks += [
        "SCORE.implementation",
        *(f"SCORE.{name}" for name in Score.model_fields.keys() - Model.model_fields),
    ]
    for place, kind in {"encode": Encode, "robots": Robots, "per_host": PerHost}.items():
        of_networks += [f"ingest.{place}.{name}" for name in kind.model_fields]
    of_one_row = (Model, TrainingProbe)  # their own settings have a table elsewhere
    whole = [name for name, value in PROFILE if not isinstance(value, Section) or isinstance(value, of_one_row)]
    inner = [
        f"{name}.{field}"
        for name, value in PROFILE
        if isinstance(value, Section) and not isinstance(value, of_one_row)
        for field in type(value).model_fields
    ]
    assert sorted(rows) == sorted([*whole, *inner, *own, *of_networks])


Drawing = dict[str, tuple[bool, set[str]]]
"""Asset -> whether its box is rounded, and the assets from which arrows lead to it."""


def drawn(page: str) -> Drawing:
    """The graph that a page shows."""
    (drawing,) = blocks(PAGES[page], "mermaid")
    rounded, found = set(re.findall(r"(\w+)\(\[\1\]\)", drawing)), Drawing()
    for line in filter(re.compile("-->").search, drawing.splitlines()):
        steps = [re.findall(r"\w+", step) for step in re.sub(r"\(\[\w+\]\)", "", line).split("-->")]
        for name in {name for step in steps for name in step}:
            found.setdefault(name, (name in rounded, set()))
        for before, after in pairwise(steps):
            for name in after:
                found[name][1].update(before)
    return found


def as_drawn(graph: Graph, page: Drawing) -> Drawing:
    """A graph with those of its arrows that a page shows: a drawing leaves some out."""
    return {
        name: (not spec.partitioned, page.get(name, (False, set()))[1] & set(spec.inputs))
        for name, spec in graph.items()
    }


def test_the_drawn_pool_is_the_real_one() -> None:
    graph = asset_graph(load_profile("datacomp"))
    pool = {asset.name for asset in ASSETS if asset.group == "pool"}
    assert pool <= set(graph)
    shown = drawn("docs/datacomp.md")
    assert shown == as_drawn({name: graph[name] for name in (*pool, "source_rows", "raw_images")}, shown)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_drawn_graph_is_the_real_one(page: str) -> None:
    shown = drawn(page)
    assert shown == as_drawn(asset_graph(PROFILE), shown)


def test_the_layers_are_those_of_the_contract() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    (layers,) = [each["layers"] for each in project["tool"]["importlinter"]["contracts"] if each["id"] == "layers"]
    there = [" | ".join(room for room in layer.split(" | ") if not room.startswith("(")) for layer in layers]
    (drawn,) = blocks(PAGES["docs/architecture.md"], "text")
    assert drawn.splitlines() == there


def test_code_that_is_shown_is_the_package() -> None:
    shown = [block.partition("\n") for block in blocks(PAGES["docs/architecture.md"], "python")]
    assert shown
    for file, _, text in shown:
        assert text in (PROJECT / file.removeprefix("# ")).read_text()
