"""How many rows and images every stage took in and what became of them, so that no number appears or goes unexplained.

A row is one line of the source; an image is one content (the sha256 of its bytes), which several rows may have. Stages
up to the ledger and the search for copies count rows, all others distinct images of a shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from paris_assets.dag.records import Records

ROWS, IMAGES = "rows", "images"
TELLING = {"curation_report", "pipeline_manifest"}
"""Assets that tell of all others."""


class Step(NamedTuple):
    """What came into a stage and what became of it: ``count`` is the sum of ``parts``, where the account is whole.

    Attributes:
        unit: ``rows`` or ``images``, of ``count`` and of every part.
        parts: words -> how many, what goes on first.
    """

    stage: str
    unit: str
    count: int
    parts: dict[str, int]

    @property
    def whole(self) -> bool:
        """Whether the parts add up."""
        return self.count == sum(self.parts.values())

    def __str__(self) -> str:
        said = " + ".join(f"{count:,} {words}" for words, count in self.parts.items() if count or words == self.first)
        missing = "" if self.whole else f" (and {self.count - sum(self.parts.values()):+,} that nothing explains)"
        return f"{self.count:,} {self.unit} = {said}{missing}"

    @property
    def first(self) -> str:
        """The part that goes on."""
        return next(iter(self.parts))


def account(counts: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    """Every step from rows of the source to published samples that these counts tell of.

    Args:
        counts: asset -> ``in``, ``out`` and ``rejects`` (reason -> count), summed over shards.
    """
    there = counts.keys()
    steps: list[Step] = []
    if "raw_images" in there:
        steps.append(_rejecting(counts, "raw_images", ROWS, "fetched"))
    if {"raw_images", "image_signals"} <= there:
        fetched, distinct = counts["raw_images"]["out"], counts["image_signals"]["out"]
        parts = {
            "distinct images": distinct,
            "further rows with the bytes of another of their shard": fetched - distinct,
        }
        steps.append(Step("image_signals", ROWS, fetched, parts))
    if "filtered_images" in there:
        steps.append(_rejecting(counts, "filtered_images", IMAGES, "kept by the rules"))
    if {"filtered_images", "duplicate_groups"} <= there:
        steps.append(_rows_of_kept(counts))
    if {"duplicate_groups", "curated_images"} <= there:
        rows, curated = counts["duplicate_groups"], counts["curated_images"]["out"]
        copies = {f"dropped as copies ({reason})": count for reason, count in rows["rejects"].items()}
        steps.append(Step("curated_images", ROWS, rows["in"], {"curated, one of each picture": curated, **copies}))
    if "latents" in there:
        steps.append(_rejecting(counts, "latents", IMAGES, "with a latent"))
    if {"curated_images", "latents", "expert_shards"} <= there:
        shards = _rejecting(counts, "expert_shards", IMAGES, "published")
        steps.append(shards)
    return steps


def stage_counts(records: Records) -> dict[str, dict[str, Any]]:
    """Rows in, rows out and rejects by reason of every asset, summed over shards."""
    counts: dict[str, dict[str, Any]] = {}
    # Not of what tells of the others: an earlier one is there or not by chance, and the bytes would tell.
    for asset in sorted(set(records.keys) - TELLING):
        made, rejects = records.of(asset), Counter[str]()
        for record in made:
            rejects.update(record.rejects)
        if made:
            counts[asset] = {
                "in": sum(record.counts.get("rows_in", record.rows) for record in made),
                "out": sum(int(record.facts.get("kept", record.rows)) for record in made),
                "rejects": dict(sorted(rejects.items())),
            }
    return counts


def _rejecting(counts: Mapping[str, Mapping[str, Any]], asset: str, unit: str, words: str) -> Step:
    """A stage that lets some through and gives a reason for each of the others."""
    held = counts[asset]
    return Step(asset, unit, held["in"], {words: held["out"], **held["rejects"]})


def _rows_of_kept(counts: Mapping[str, Mapping[str, Any]]) -> Step:
    """Copies are looked for among all rows of the images that the rules kept: there are more rows than images."""
    kept, rows = counts["filtered_images"]["out"], counts["duplicate_groups"]["in"]
    parts = {"images kept by the rules": kept, "further rows that hold the same bytes": rows - kept}
    return Step("duplicate_groups", ROWS, rows, parts)
