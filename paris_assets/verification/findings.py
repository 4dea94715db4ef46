"""What a verification found: problems by file, joins that could not be checked, and how much was checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_MADE_BY = (
    (r"expert_shards/cluster_[^/]+/(?P<shard>.+)-\d+\.tar", "expert_shards"),
    (r"router_arrays/(?P<shard>[^/]+)/.+", "router_arrays"),
    (r"expert_shards/(empty_prompt\.npy|cluster_[^/]+/\w+\.txt)", "expert_summary"),
    (r"expert_mds/cluster_[^/]+/.*?(?P<shard>[^/]+)-\d+\.mds(\.zstd)?", "expert_mds"),
    (r"expert_mds/(.+/index\.json|codec\.json)", "mds_index"),
    (r"expert_shards/codec\.json", "expert_summary"),
    (r"router_arrays/codec\.json", "value_ranges"),
    (r"router_training/.+|expert_shards/README\.md|pipeline_manifest\.json", "pipeline_manifest"),
    (r"subsets/.+", "subset_files"),
    (r"analysis/concept_sweep\.html", "concept_model"),
    (r"analysis/curation_report\.html", "curation_report"),
    (r"analysis/pool_report\.html", "pool_report"),
    (r"analysis/selection_probe\.png", "selection_probe"),
    (r"analysis/training_probe\..+", "training_probe"),
    (r"analysis/concepts\.html", "concept_counts"),
    (r"analysis/cluster_.+", "cluster_report"),
    (r"analysis/.+", "latent_report"),
    (r"(?P<asset>[^/]+)/all\.parquet", ""),
    (r"(?P<asset>[^/]+)/(?P<shard>[^/]+)\.(parquet|tar)", ""),
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what should be there, what is there and what to do."""

    file: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}; {self.remedy}"


@dataclass
class Findings:
    """Problems in the order they were met; ``checked`` counts files, bytes, samples and joined values."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def problem(self, file: str, expected: str, found: str, remedy: str | None = None) -> None:
        """Add a problem; without a remedy, the command that makes the file again is given."""
        self.problems.append(Problem(file, expected, found, remedy or made_again(file)))

    def samples(self, file: str, expected: str, found: str, keys: Sequence[object], remedy: str | None = None) -> None:
        """Add one problem for all samples of a file that share a defect; nothing when there are none."""
        if keys:
            count = f"1 sample: {keys[0]}" if len(keys) == 1 else f"{len(keys)} samples, first {keys[0]}"
            self.problem(file, expected, f"{found} in {count}", remedy)


def made_again(file: str) -> str:
    """The command that makes a file again even though its record says that it is finished."""
    for pattern, asset in _MADE_BY:
        match = re.fullmatch(pattern, file)
        if match:
            found = match.groupdict()
            shards = f" --shards {found['shard']}" if found.get("shard") else ""
            return f"make it again: paris run --force --select {asset or found['asset']}{shards}"
    return "make it again: paris run"
