"""The summary that ends a run."""

from __future__ import annotations

import resource
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.flow import account, kinds_of
from paris_assets.dag.graph import order
from paris_assets.dag.records import ALL
from paris_assets.ingest.fetched import how_to_allow
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.planning.run_times import covered
from paris_assets.runs.rejections import often
from paris_assets.runs.run import RunReport
from paris_assets.runs.times import noted, stages, times_page
from paris_assets.texts.lengths import lengths_of

SLOWEST = 6
UNITS = {
    **dict.fromkeys(("caption_kinds", "repeated_captions"), "captions"),
    **dict.fromkeys(("source_rows", "raw_images", "duplicate_groups", "pool_vectors", "caption_figures"), "rows"),
    **dict.fromkeys(("concept_assignments", "pool_scores", "pool_selection"), "rows"),
    **dict.fromkeys(("concept_model", "concept_evidence"), "rows > concepts"),
    "concept_verdicts": "concepts",
    "subset_files": "rows > subsets",
    "score_quantiles": "images > rules",
    "concept_counts": "images > concepts",
    "curation_report": "images > bounds",
    "cluster_model": "images > clusters",
    "cluster_report": "images > files",
    "cluster_values": "clusters",
    "value_ranges": "images > ranges",
    "mds_index": "files > folders",
    "expert_summary": "files > clusters",
    "pipeline_manifest": "shards > files",
    "pool_report": "rows > subsets",
    "selection_probe": "rows > values",
    "training_probe": "images > values",
}
"""Asset -> what its numbers count; images where it is not named."""
PAGES = {
    "analysis/pool_report.html": "pool_report",
    "analysis/curation_report.html": "curation_report",
    "analysis/cluster_report.html": "cluster_report",
    "analysis/vae_reconstruction_samples.png": "latent_report",
    "analysis/vae_latents.html": "latent_report",
    "pipeline_manifest.json": "pipeline_manifest",
    "analysis/training_probe.html": "training_probe",
}
"""File that a reader may want -> the asset that writes it."""


@dataclass
class AssetSummary:
    """One asset over all its partitions.

    Attributes:
        seconds: of all processes together; ``wall_s``: while at least one was at work on it.
        made: partitions of this run, and ``finished`` of all that there are.
    """

    asset: str
    rows_in: int = 0
    rows_out: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    wall_s: float = 0.0
    made: int = 0
    finished: int = 0
    partitions: int = 0
    kinds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, Any]:
        """As the manifest states them: in, out and rejects by reason."""
        counts = {"in": self.rows_in, "out": self.rows_out, "rejects": dict(sorted(self.rejects.items()))}
        return {**counts, **({"kinds": kinds_of(self.kinds)} if self.kinds else {})}


def summarise(catalog: Catalog, report: RunReport) -> list[AssetSummary]:
    """Rows in and out, rejects and seconds of every asset, from the records and this run."""
    seconds: dict[str, float] = defaultdict(float)
    made: Counter[str] = Counter()
    for task in report.tasks:
        for asset, spent in task.seconds.items():
            seconds[asset] += spent
            made[asset] += 1
    spans = [span for task in report.tasks for span in task.spans.items()]
    walls = {name: covered(span for asset, span in spans if asset == name) for name in made}
    rows = []
    shards = catalog.shards()
    for name in order(catalog.graph):
        keys = shards if catalog.graph[name].partitioned else [ALL]
        line = AssetSummary(
            name, seconds=seconds[name], wall_s=walls.get(name, 0), made=made[name], partitions=len(keys)
        )
        for shard in keys:
            # What a failed run left of an earlier one is no result of these settings.
            record = catalog.record(name, shard) if catalog.done(name, shard) else None
            if record:
                line.finished += 1
                line.rows_in += record.counts.get("rows_in", record.rows)
                line.rows_out += record.facts.get("kept", record.rows)
                line.rejects.update(record.rejects)
                line.kinds += [record.facts["kinds"]] if "kinds" in record.facts else []
        rows.append(line)
    return rows


def print_summary(catalog: Catalog, report: RunReport, console: Console) -> None:
    """Stages, rejects, clusters, failed checks, and where the results lie."""
    rows = summarise(catalog, report)
    console.print(_stages([line for line in rows if line.finished]))
    console.print(_operators(catalog, report), markup=False, soft_wrap=True, end="")
    for step in _account(rows):
        console.print(f"  {step}", markup=False, soft_wrap=True)
    for line in rows:
        for said in often(catalog.profile, line.asset, line.rows_in, line.rejects):
            console.print(said, style="yellow", markup=False, soft_wrap=True)
    _print_captions(catalog, console)
    _print_clusters(catalog, console)
    unread = _unread(catalog)
    if unread:
        console.print(f"could not be read: {unread.in_words()}", markup=False, soft_wrap=True, highlight=False)
    hosts = _private_hosts(catalog)
    if hosts:
        console.print(f"refused: {how_to_allow(hosts)}", markup=False, soft_wrap=True, highlight=False)
    checks = [check for task in report.tasks for check in task.failed_checks]
    for check in checks:
        console.print(f"check {check}", style="yellow", markup=False)
    if checks:
        console.print(f"commands in these lines are for --root {catalog.location.url}", markup=False, soft_wrap=True)
    spent = covered(span for task in report.tasks for span in task.spans.values())
    outside = max(0.0, 1 - spent / report.wall_s) if report.wall_s else 0.0
    here = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    peak = max([*here, *(task.peak_kib for task in report.tasks)]) / 2**20  # actors are no children
    console.print(
        f"{report.wall_s:.1f} s in all, {outside:.0%} of it outside asset work (Dagster, checks, start-up); "
        f"largest process {peak:.1f} GiB"
    )
    console.print(f"results: {catalog.location.url}", markup=False, soft_wrap=True)
    for name, asset in PAGES.items():
        if catalog.done(asset, ALL) and catalog.location.size(name) is not None:
            console.print(f"         {catalog.location.uri(name)}", soft_wrap=True, markup=False)
    if times := times_page(catalog):
        console.print(f"times:   {times}", soft_wrap=True, markup=False)


def _account(rows: list[AssetSummary]) -> list[str]:
    """Every step as a sentence; what is not finished for all shards says for how many."""
    there = {line.asset: line for line in rows if line.finished}
    steps = account({asset: line.counts for asset, line in there.items()})
    return [f"{step}{_unfinished(there[step.stage])}" for step in steps]


def _unfinished(line: AssetSummary) -> str:
    left = line.finished < line.partitions
    return f" ({line.finished} of {line.partitions} shards: {line.asset} is not finished)" if left else ""


def _unread(catalog: Catalog) -> LeftOut:
    """What describes rows of the source and gave nothing."""
    records = [catalog.record("source_rows", shard) for shard in catalog.shards()]
    return LeftOut.of(record.facts.get("unread", {}) for record in records if record)


def _private_hosts(catalog: Catalog) -> list[str]:
    """Hosts whose rows were refused because they lie, or lead, in a private network."""
    records = [catalog.record("raw_images", shard) for shard in catalog.shards()]
    return sorted({host for record in records if record for host in record.facts.get("private_hosts", [])})[:5]


def _stages(rows: list[AssetSummary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("asset", "in", "out", "of", "seconds", "per s"):
        table.add_column(column, justify="left" if column == "asset" else "right", no_wrap=True)
    table.add_column("rejected", overflow="fold")
    for line in rows:
        rejected = ", ".join(f"{reason} {count}" for reason, count in sorted(line.rejects.items()))
        timed = (
            (f"{line.seconds:.2f}", f"{line.rows_in / line.wall_s:.0f}") if line.made and line.wall_s else ("-", "-")
        )
        table.add_row(line.asset, f"{line.rows_in}", f"{line.rows_out}", unit_of(line.asset), *timed, rejected)
    return table


def _operators(catalog: Catalog, report: RunReport) -> str:
    """The signals and networks that took longest, by the clock on the wall; nothing where none was at work."""
    shown = stages(noted(catalog, report.tasks), order(catalog.graph))
    found = [(asset.name, one) for stage in shown for asset in stage.parts for one in asset.parts if one.rate]
    found.sort(key=lambda pair: -pair[1].wall_s)
    said = [f"{one.name} of {asset} {one.wall_s:.2f} s ({one.rate:,.0f} per s)" for asset, one in found[:SLOWEST]]
    return f"  operators that took longest: {', '.join(said)}\n" if said else ""


def unit_of(asset: str) -> str:
    """What an asset takes in and gives, where that is not the same: rows of the source, images, clusters, files."""
    return UNITS.get(asset, "images")


def _print_captions(catalog: Catalog, console: Console) -> None:
    """How many captions the text encoder cut, and how many it would at other lengths."""
    records = [catalog.record("text_embeddings", shard) for shard in catalog.shards()]
    found = lengths_of(record.facts for record in records if record)
    if found:
        longer = ", ".join(f"{share:.1%} than {cut}" for cut, share in found["share_longer_than"].items())
        cut, counted = found["captions_truncated"], found["captions_counted"]
        console.print(f"captions: {cut} of {counted} cut at {catalog.profile.text.tokens} tokens; longer: {longer}")


def _print_clusters(catalog: Catalog, console: Console) -> None:
    record = catalog.record("cluster_report")
    if record is None or not catalog.done("cluster_report", ALL):
        return
    facts: dict[str, Any] = record.facts
    sizes = facts.get("sizes", [])
    console.print(f"clusters: {', '.join(map(str, sizes))} images")
    figures = ("silhouette", "davies_bouldin", "calinski_harabasz", "boundary_fraction", "stability_mean")
    console.print("          " + ", ".join(f"{name} {facts[name]:.3f}" for name in figures if name in facts))
