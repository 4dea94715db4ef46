"""Tars that have just been written, looked into here and there: cheap enough for every shard of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from paris_assets.lint.dataset import check_together
from paris_assets.lint.file_report import FileReport, hash_of
from paris_assets.lint.local_copies import mapped
from paris_assets.lint.problems import Problem, Problems
from paris_assets.lint.tar_headers import headers
from paris_assets.lint.webdataset import key_of, lint_tar

MOST_SAMPLES = 32
"""Samples of a tar whose members are looked into; names of all are."""


def lint_sampled(tars: Mapping[str, tuple[Path, int]], required: Iterable[str]) -> list[Problem]:
    """Problems of tars, by themselves and together; of each so many samples, spread evenly, are looked into.

    Args:
        tars: path as it is shown -> (local file, samples that it is to hold).
        required: fields that every sample is to have.
    """
    reports = [_report(path, *found) for path, found in tars.items()]

    def names(path: str, wanted: set[int]) -> dict[int, str]:
        with mapped(tars[path][0]) as view:
            keys = [key for header in headers(view) if (key := key_of(header)) is not None]
        return {found: key.decode() for key in keys if (found := hash_of(key)) in wanted}

    check_together(reports, names, {}, required)
    return [problem for report in reports for problem in report.problems.listed]


def _report(path: str, local: Path, samples: int) -> FileReport:
    spread = np.unique(np.linspace(0, max(0, samples - 1), min(samples, MOST_SAMPLES)).astype(int))
    chosen, report = set(spread.tolist()), FileReport(Problems(path), path.rpartition("/")[0])
    with mapped(local) as view:
        lint_tar(view, report, chosen.__contains__)
    return report
