"""`paris lint`: what is wrong with WebDataset tars and MDS folders, whoever wrote them."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from paris_assets.dag.s3 import open_location
from paris_assets.errors import UsageError
from paris_assets.lint.dataset import check_together
from paris_assets.lint.file_report import FileReport
from paris_assets.lint.found import LEFT_OUT, MANIFEST, SUMS, TARS, Found, find
from paris_assets.lint.jobs import Job, Linter
from paris_assets.lint.mds_index import INDEX
from paris_assets.lint.problems import MOST, REMEDIES, Problem, Problems
from paris_assets.settings.local_path import local_path
from paris_assets.storage.location import Location

MAGIC = "*?["


@dataclass(frozen=True)
class LintRequest:
    """What the command line asks for.

    Attributes:
        most: problems of a kind that are listed of a file.
        members: fields that every sample of a tar is to have.
    """

    paths: Sequence[str]
    as_json: bool = False
    most: int = MOST
    members: Sequence[str] = ()
    workers: int = 0


@dataclass(frozen=True)
class Linted:
    """All that was found at one place."""

    problems: list[Problems]
    files: int
    samples: int
    size_bytes: int

    @property
    def counts(self) -> Counter[str]:
        """Kind -> how many problems, those that are not listed among them."""
        total: Counter[str] = Counter()
        for found in self.problems:
            total.update(found.counts)
        return total

    def listed(self) -> list[Problem]:
        """The problems that are listed, file by file."""
        return [problem for found in self.problems for problem in found.listed]


def lint_request(options: Namespace) -> LintRequest:
    """What the command line asks for."""
    if options.most < 1 or options.workers < 0:
        raise UsageError("--most takes at least 1, --workers 0 (as many as there are cores) or more")
    members = [name.strip() for name in (options.members or "").split(",") if name.strip()]
    return LintRequest(options.paths, options.json, options.most, members, options.workers)


def lint_command(request: LintRequest) -> int:
    """Print a line per problem and a summary; 0 when nothing is wrong, 1 otherwise.

    Raises:
        UsageError: there is no training file.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    results = [lint(path, request) for path in request.paths]
    found = any(result.counts for result in results)
    if request.as_json:
        print(json.dumps(as_json(results), indent=1, sort_keys=True, ensure_ascii=False))
        return 1 if found else 0
    for result in results:
        _print(result, console)
    return 1 if found else 0


def lint(path: str, request: LintRequest) -> Linted:
    """Look into the training files of one path.

    Raises:
        UsageError: there is none.
    """
    location, files, within = files_at(path)
    linter = Linter(location, request.most, workers=request.workers or min(8, os.cpu_count() or 1))
    found = find(location, files, request.most, within)
    if not found.tars and not found.shards and not found.indices:
        raise UsageError(
            f"{path}: no training files there; name a tar, a folder of tars, an MDS folder (with {INDEX}), a pattern, "
            "or a URL of these"
        )
    reports = [*_reports(linter, found.tars, found, request), *_reports(linter, found.shards, Found(), LintRequest(()))]
    problems = [*found.indices, *(report.problems for report in reports)]
    samples, size = sum(report.samples for report in reports), sum(report.size_bytes for report in reports)
    listed = sorted((each for each in problems if each.counts), key=lambda each: each.file)
    return Linted(listed, len(reports), samples, size)


def _reports(linter: Linter, jobs: list[Job], found: Found, request: LintRequest) -> list[FileReport]:
    """Reports of files of one kind, with what they show together."""
    reports, by_file = list[FileReport](), dict[str, Job]()
    for job, report in zip(jobs, linter.run(jobs), strict=True):
        reports.append(report)
        by_file[report.problems.file] = job

    def names(file: str, wanted: set[int]) -> dict[int, str]:
        return linter.names(by_file[file], wanted)

    check_together(reports, names, found.expected, request.members or found.members)
    return reports


class Place(NamedTuple):
    """A location, files below it by a listing, and what those begin with that a manifest may ask for."""

    location: Location
    files: list[str]
    within: str = ""


def files_at(path: str) -> Place:
    """The files that a path, pattern or URL means. What lies within a published folder is held to its manifest.

    Raises:
        UsageError: a local path that is not there.
    """
    local = local_path(path)
    address = path.rstrip("/") if local is None else str(Path(local).absolute())
    if any(sign in address for sign in MAGIC) and (local is None or not Path(local).exists()):
        start = address[: min(address.index(sign) for sign in MAGIC if sign in address)]
        base = start.rpartition("/")[0]
        location = open_location(base)
        return Place(location, _of_interest(location.glob(address[len(base) + 1 :])))
    if local is not None and not Path(local).exists():
        raise UsageError(f"{path}: no such file or folder")
    base, _, name = address.rpartition("/")
    single = address.endswith((*TARS, INDEX)) and not (local is not None and Path(local).is_dir())
    if name == MANIFEST:
        address, single = base, False
    location = open_location(base if single else address)
    above = _published_above(address)
    if above is not None:
        root, below = above
        inside = [file for file in _of_interest(root.glob("**")) if file == below or file.startswith(f"{below}/")]
        return Place(root, [MANIFEST, *inside], below)
    if single:
        return Place(location, [name, *((SUMS,) if location.size(SUMS) is not None else ())], name)
    files = _of_interest(location.glob("**"))
    return Place(location, [file for file in files if file.partition("/")[0] not in LEFT_OUT])


def _published_above(address: str) -> tuple[Location, str] | None:
    """The folder above that has a manifest which speaks of this path, and the path below it."""
    parts = address.split("/")
    for depth in (1, 2, 3):
        if len(parts) > depth + 1 and "" not in parts[-depth - 1 : -depth] and parts[-depth] not in LEFT_OUT:
            root = open_location("/".join(parts[:-depth]))
            if root.size(MANIFEST) is not None:
                return root, "/".join(parts[-depth:])
    return None


def _of_interest(paths: Iterable[str]) -> list[str]:
    kept = (MANIFEST, SUMS, INDEX)
    return sorted(path for path in paths if path.endswith(TARS) or ".mds" in path or path.rpartition("/")[2] in kept)


def as_json(results: Iterable[Linted]) -> dict[str, Any]:
    """What was found as JSON values."""
    results = list(results)
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
    problems = [{**problem._asdict(), "remedy": problem.remedy} for each in results for problem in each.listed()]
    return {
        "problems": problems,
        "counts": dict(counts),
        "files": sum(result.files for result in results),
        "samples": sum(result.samples for result in results),
        "size_bytes": sum(result.size_bytes for result in results),
    }


def _print(result: Linted, console: Console) -> None:
    for found in result.problems:
        for problem in found.listed:
            console.print(str(problem), style="red")
        for kind, count in sorted(found.unlisted().items()):
            console.print(f"{found.file}: and {count:,} more like this ({kind}); {REMEDIES[kind]}", style="red")
    total = result.counts.total()
    said = "no problems" if not total else "1 problem" if total == 1 else f"{total:,} problems"
    kinds = f" ({', '.join(f'{kind} {count:,}' for kind, count in sorted(result.counts.items()))})" if total else ""
    megabytes = result.size_bytes / 1e6
    console.print(f"{said}{kinds}; {result.files:,} files, {result.samples:,} samples, {megabytes:,.1f} MB looked into")
