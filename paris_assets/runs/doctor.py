"""`paris doctor`: what this machine can run and what is missing."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from paris_assets.config import Profile, Score
from paris_assets.dag.checks import checks_of
from paris_assets.dag.s3 import open_location
from paris_assets.errors import did_you_mean
from paris_assets.forecast.disk import free_space, nearest_folder
from paris_assets.models.registry import KNOWN, requirements
from paris_assets.models.resolve import numeric_problems, profile_models
from paris_assets.models.score_columns import score_columns
from paris_assets.planning.profile_file import stored_profile
from paris_assets.runs.fitting import FITTING, METHODS
from paris_assets.runs.preflight import setting_problems
from paris_assets.runs.space import gpu_lines, wanted_bytes
from paris_assets.settings.import_path import ImportPathError, load_class

PACKAGES = (
    "dagster",
    "torch",
    "transformers",
    "diffusers",
    "numba",
    "polars",
    "pyarrow",
    "simplejpeg",
    "webdataset",
)
MIN_FREE_BYTES = 1 << 30


def missing_for(profile: Profile) -> list[str]:
    """What keeps the profile from running here, each with what to do; empty when nothing does."""
    absent = absent_packages()
    if absent:
        return [f"{', '.join(absent)} are not installed: pip install 'paris_assets[run]'"]
    problems = [f"{setting}: {problem}" for setting, found in _lacking(profile).items() for problem in found]
    problems += numeric_problems(profile)
    serve = profile.ingest.serve
    if serve and not Path(serve).is_dir():
        problems.append(f"ingest.serve: no folder {serve}; run from the folder that holds it, or give its full path")
    problems += [*_class_problems(profile), *_rule_problems(profile), *_check_problems(profile)]
    return [*problems, *setting_problems(profile)]


def absent_packages() -> list[str]:
    """What the extra `run` declares and this environment lacks: nothing can be made here, only read."""
    try:
        declared = [Requirement(line) for line in requires("paris_assets") or ()]
    except PackageNotFoundError:  # not installed, but read from a folder: then nothing is declared
        return []
    wanted = [each.name for each in declared if each.marker and each.marker.evaluate({"extra": "run"})]
    return [name for name in wanted if _version(name) is None]


def _lacking(profile: Profile) -> dict[str, list[str]]:
    """Setting -> what its network lacks. All at once: each may wait for a hub that does not answer."""
    models = profile_models(profile)
    with ThreadPoolExecutor() as pool:
        return dict(zip(models, pool.map(requirements, models.values()), strict=True))


def _rule_problems(profile: Profile) -> list[str]:
    """Signals that cannot be used, scores that hide a column, and rules that cannot judge what they will see."""
    from paris_assets.rules.columns import rule_columns, rule_problem
    from paris_assets.signals.measure import signal_problem, signal_schema
    from paris_assets.signals.signal import encoded_files_problem

    problem = signal_problem(profile.signals) or encoded_files_problem(profile)
    if problem:
        return [problem]
    signals = signal_schema(profile.signals)
    lacking = sorted({"phash", "thumbnail"} - set(signals))
    if lacking:
        hashes = "paris_assets.signals.perceptual_hash:PerceptualHash"
        return [f"signals.measures gives no {', '.join(lacking)}, which duplicate_groups reads: add {hashes}"]
    scores = [(column, name) for name, columns in score_columns(profile.scores).items() for column in columns]
    first, second = rule_columns(signals, dict(scores))
    problems = [
        f"scores.{name}: the file or a signal has a column {column!r}" for column, name in scores if column in first
    ]
    other = dict(scores)
    problems += [
        f"scores.{name}: {other[column]} has a column {column!r}, too"
        for column, name in scores
        if other[column] != name
    ]
    curation = profile.curation
    tiers = {f"tiers.{tier.name}": (tier.rules, second) for tier in curation.tiers}
    judged = {
        "signal_rules": (curation.signal_rules, first),
        "score_rules": (curation.score_rules, second),
        "quantile_rules": (curation.quantile_rules, second),
    }
    for where, (rules, columns) in {**judged, **tiers}.items():
        for rule in rules:
            problem = rule_problem(rule, columns)
            if problem:
                moved = "" if rule_problem(rule, second) else "; move the rule to curation.score_rules"
                problems.append(f"curation.{where}: {problem}{moved}")
    return problems


def _check_problems(profile: Profile) -> list[str]:
    """Names in `checks.warn_only` that are no checks, be it of assets that this profile does without, and in
    `checks.max_rejected_by` that are no rules."""
    from paris_assets.definitions import ASSETS, CHECKS
    from paris_assets.rules.verdicts import UNDECODABLE

    checks = {check.name for check in checks_of({asset.name for asset in ASSETS}, *CHECKS)}
    rules = {UNDECODABLE, *(rule.name for rule in profile.curation.rejecting)}
    named = {"warn_only": ("check", checks), "max_rejected_by": ("rule", rules)}
    problems = []
    for setting, (kind, names) in named.items():
        unknown = sorted(set(getattr(profile.checks, setting)) - names)
        said = ", ".join(f"{name}{did_you_mean(name, names)}" for name in unknown)
        problems += [f"checks.{setting}: no {kind} {said}; there are {', '.join(sorted(names))}"] if unknown else []
    return problems


def _class_problems(profile: Profile) -> list[str]:
    """Networks that are not what their setting asks for; the modules of those named by import path are imported."""
    problems = []
    for setting, model in profile_models(profile).items():
        if model.implementation in KNOWN:
            problems += _misplaced(setting, model.implementation)
            continue
        if requirements(model):
            continue
        try:
            network = load_class(model.implementation)
        except ImportPathError as error:
            problems.append(f"{setting}: {error}")
            continue
        head = isinstance(model, Score) and model.on is not None
        wanted = METHODS["heads" if head else setting.partition(".")[0]]
        lacking = [method for method in wanted if not _offers(network, method)]
        if lacking:
            said = f"{setting}: {model.implementation} has no {', no '.join(lacking)}"
            problems.append(f"{said}; paris_assets/models/protocols.py says what it needs")
    return problems


def _offers(network: type, method: str) -> bool:
    """Whether a class has a method, or a property or an annotated attribute in its place."""
    found = getattr(network, method, None)
    annotated = (getattr(base, "__annotations__", {}) for base in network.__mro__)
    return callable(found) or isinstance(found, property) or any(method in names for names in annotated)


def _misplaced(setting: str, implementation: str) -> list[str]:
    """A network of this package where one of another kind is asked for."""
    fitting = FITTING[setting.partition(".")[0]]
    if implementation in fitting:
        return []
    return [f"{setting}: {implementation} does other work: give {', '.join(fitting)} or an import path"]


def examine(profile: Profile, root_url: str) -> int:
    """Print the examination; 0 when the profile can run."""
    console = Console(highlight=False)
    problems = missing_for(profile)
    console.print(f"python {platform.python_version()}, {os.cpu_count()} cores, {_memory()}")
    console.print(f"device {_device()}")
    for line in gpu_lines(profile):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    for name in PACKAGES:
        console.print(f"  {name} {_version(name) or f'[red]missing[/red]: pip install {name}'}")
    console.print(f"profile {profile.name}")
    for setting, model in profile_models(profile).items():
        lacks = any(problem.startswith(f"{setting}: ") for problem in problems)
        state = "[red]missing[/red]" if lacks else "ready"
        console.print(f"  {setting}: {model.implementation} {model.path or ''} {state}", soft_wrap=True)
    problems += _root_problems(root_url, profile)
    for problem in problems:
        console.print(f"[red]missing[/red] {escape(problem)}", soft_wrap=True)
    console.print("everything that this profile needs is here" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


def _root_problems(root_url: str, profile: Profile) -> list[str]:
    root = open_location(root_url)
    if root.remote:
        try:
            root.probe()
        except OSError as error:
            return [f"root {root.url} cannot be used: {error}"]
        return []
    stored = stored_profile(root)
    folder = nearest_folder(Path(root.url))
    problems = [] if os.access(folder, os.W_OK) else [f"root {root.url}: {folder} is not writable"]
    rows, said = wanted_bytes(root, profile)
    free = free_space(folder)
    Console(highlight=False).print(f"disk {free >> 20:,} MiB free at {folder}; {said}", markup=False, soft_wrap=True)
    wanted = max(MIN_FREE_BYTES, rows)
    if free < wanted:
        problems.append(f"root {root.url}: {free >> 20:,} MiB free on its disk; at least {wanted >> 20:,} are wanted")
    if stored:
        said = f"root {root.url} holds a run of profile {stored.name} on {stored.source.path}"
        Console(highlight=False).print(said, markup=False, soft_wrap=True)
    return problems


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.0f} GiB memory"


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "unknown: pip install torch"
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    from paris_assets.models.device import native_bf16_on_cpu

    return "cpu, bf16 native" if native_bf16_on_cpu() else "cpu, fp32"
