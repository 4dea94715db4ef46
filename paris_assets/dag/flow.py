"""How many rows and images every stage took in and what became of them, so that no number appears or goes unexplained.

A row is one line of the source; an image is one content (the sha256 of its bytes), which several rows may have. Stages
up to the ledger and the search for copies count rows, all others distinct images of a shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from paris_assets.dag.records import Records

ROWS, IMAGES = "rows", "images"
TELLING = {"curation_report", "pipeline_manifest", "training_probe"}
"""Assets that tell of all others: an earlier one is there or not by chance, and the bytes would tell."""
CURATED = {
    "captions": "captioned",
    "text_embeddings": "with text embeddings",
    "image_embeddings": "embedded",
    "latents": "with a latent",
    "cluster_assignments": "in a cluster",
    "training_selection": "selected for training",
}
"""Asset of curated images -> what the images are that go on."""
PUBLISHED = {"expert_shards": "published", "expert_mds": "published as MDS", "router_arrays": "in router arrays"}
"""The same of what is published."""


class Step(NamedTuple):
    """What came into a stage and what became of it: ``count`` is the sum of ``parts``, where the account is whole.

    Attributes:
        unit: ``rows``, ``images`` or captions of a kind, of ``count`` and of every part.
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


def stage_counts(records: Records, assets: Collection[str]) -> dict[str, dict[str, Any]]:
    """Rows in, rows out and rejects by reason of those of the assets that have been made, summed over shards."""
    counts: dict[str, dict[str, Any]] = {}
    for asset in sorted(set(records.keys).intersection(assets)):
        made, rejects = records.of(asset), Counter[str]()
        for record in made:
            rejects.update(record.rejects)
        if made:
            counts[asset] = {
                "in": sum(record.counts.get("rows_in", record.rows) for record in made),
                "out": sum(int(record.facts.get("kept", record.rows)) for record in made),
                "rejects": dict(sorted(rejects.items())),
            }
            if kinds := kinds_of(record.facts.get("kinds", {}) for record in made):
                counts[asset]["kinds"] = kinds
    return counts


def account(counts: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    """Every step from rows of the source to published samples that these counts tell of.

    Args:
        counts: asset -> ``in``, ``out`` and ``rejects`` (reason -> count), summed over shards; of `captions` also
            ``kinds`` (see ``kinds_of``).
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
    if "content_scores" in there:
        steps.append(_rejecting(counts, "content_scores", IMAGES, "scored"))
    if "filtered_images" in there:
        steps.append(_rejecting(counts, "filtered_images", IMAGES, "kept by the rules"))
    if {"filtered_images", "duplicate_groups"} <= there:
        steps.append(_rows_of_kept(counts))
    if {"duplicate_groups", "curated_images"} <= there:
        rows, curated = counts["duplicate_groups"], counts["curated_images"]["out"]
        copies = {f"dropped as copies ({reason})": count for reason, count in rows["rejects"].items()}
        steps.append(Step("curated_images", ROWS, rows["in"], {"curated, one of each picture": curated, **copies}))
    for asset, words in CURATED.items():
        steps += [_rejecting(counts, asset, IMAGES, words)] if asset in there else []
        steps += [_of_kind(asset, *kind) for kind in counts.get(asset, {}).get("kinds", {}).items()]
    samples = next((asset for asset in PUBLISHED if asset in there), None)
    if "training_split" in there and samples:  # images that experts are given: selected, and with a latent
        parts = {"to train on or held out": counts["training_split"]["out"], **counts[samples]["rejects"]}
        steps.append(Step("training_split", IMAGES, counts[samples]["in"], parts))
    steps += [_rejecting(counts, asset, IMAGES, words) for asset, words in PUBLISHED.items() if asset in there]
    return steps


def kinds_of(facts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Kind of captions -> ``valid``, and the reasons of those that are not -> how many, summed over what records of
    `captions` state as the fact ``kinds``."""
    found: dict[str, Counter[str]] = {}
    for kinds in facts:
        for kind, counts in kinds.items():
            found.setdefault(kind, Counter()).update(counts)
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(found.items())}


def with_words(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Steps as JSON values, each with its sentence as ``said``."""
    return [{**step._asdict(), "said": str(step)} for step in steps]


def _rejecting(counts: Mapping[str, Mapping[str, Any]], asset: str, unit: str, words: str) -> Step:
    """A stage that lets some through and gives a reason for each of the others."""
    held = counts[asset]
    return Step(asset, unit, held["in"], {words: held["out"], **held["rejects"]})


def _of_kind(asset: str, kind: str, counts: Mapping[str, int]) -> Step:
    """What became of the captions of one kind, of which an image has at most one."""
    invalid = {reason: count for reason, count in counts.items() if reason != "valid"}
    return Step(asset, f"{kind} captions", sum(counts.values()), {"valid": counts.get("valid", 0), **invalid})


def _rows_of_kept(counts: Mapping[str, Mapping[str, Any]]) -> Step:
    """Copies are looked for among all rows of the images that the rules kept: there are more rows than images."""
    kept, rows = counts["filtered_images"]["out"], counts["duplicate_groups"]["in"]
    parts = {"images kept by the rules": kept, "further rows that hold the same bytes": rows - kept}
    return Step("duplicate_groups", ROWS, rows, parts)
