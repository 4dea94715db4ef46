"""`paris diff`: what changed between two runs, and what became of their images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console

from paris_assets.dag.catalog import REGISTRY, Catalog
from paris_assets.dag.tables import Tables
from paris_assets.definitions import ASSETS, open_catalog
from paris_assets.verification.command import read_manifest
from paris_assets.verification.differences import Change, Files, Stage, changes, files, stages
from paris_assets.verification.moved_images import Moved, moved_images

FEW = 5
LISTED_BEFORE = ("profile", "seed", "settings", "code", "models")
FIGURES = ("takedowns", "cluster_quality", "images_per_cluster", "split_per_cluster", "shards", "shards_missing")


@dataclass(frozen=True)
class Side:
    """One run: its manifest, and its tables where they lie beside it."""

    name: str
    manifest: dict[str, Any]
    catalog: Catalog | None


@dataclass(frozen=True)
class Difference:
    """What changed.

    Attributes:
        values: what went in: profile, seed, settings, code, models.
        code: assets whose code or weights changed, though their settings did not; known where both are roots.
        figures: what came out, of all.
        source: source rows by shard that differ.
        images: None where a side has no tables.
    """

    values: list[Change]
    code: list[str]
    source: list[Change]
    stages: list[Stage]
    figures: list[Change]
    images: Moved | None
    files: Files

    def __bool__(self) -> bool:
        listed = [self.values, self.code, self.source, self.stages, self.figures, *self.files[:3]]
        moved = self.images is not None and any(rows.height for rows in self.images[:4])
        return any(listed) or moved


def diff_command(before: str, after: str, as_json: bool, full: bool) -> int:
    """Print what differs; 0 when nothing does, 1 otherwise.

    Raises:
        NoManifest: one of the two is no manifest, or a root without one.
    """
    one, other = open_side(before), open_side(after)
    found = compare(one, other)
    if as_json:
        print(json.dumps(as_values(one, other, found), indent=1, sort_keys=True, ensure_ascii=False, default=str))
        return int(bool(found))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for side in (one, other):
        console.print(f"{'A' if side is one else 'B'}: {side.name}, version {side.manifest['version']}")
    for line in lines(found, full):
        console.print(line)
    return int(bool(found))


def open_side(path: str) -> Side:
    """A run by its root or manifest.

    Raises:
        NoManifest: it is none.
    """
    root, manifest = read_manifest(path)
    return Side(path, manifest, None if root.size(REGISTRY) is None else open_catalog(root))


def compare(before: Side, after: Side) -> Difference:
    """Everything that differs."""
    old, new = before.manifest, after.manifest
    values = changes(*({key: side[key] for key in LISTED_BEFORE if key in side} for side in (old, new)))
    figures = changes(*({key: side[key] for key in FIGURES if key in side} for side in (old, new)))
    both = (before.catalog, after.catalog)
    code, source, images = list[str](), list[Change](), None
    if both[0] is not None and both[1] is not None:
        code, source = _other_code(both[0], both[1]), _other_source(both[0], both[1])
        images = moved_images(Tables(both[0]), Tables(both[1]))
    counts = stages(old["counts"], new["counts"], [asset.name for asset in ASSETS])
    return Difference(values, code, source, counts, figures, images, files(old["files"], new["files"]))


def _other_code(before: Catalog, after: Catalog) -> list[str]:
    """Assets that were made under the same settings by other code, or with other weights."""
    found = []
    for asset in sorted(before.graph.keys() & after.graph.keys()):
        if before.settings_fingerprint(asset) != after.settings_fingerprint(asset):
            continue
        old, new = ({_made(side, asset, key) for key in side.keys(asset)} - {""} for side in (before, after))
        if old and new and not old & new:
            found.append(asset)
    return found


def _made(catalog: Catalog, asset: str, shard: str) -> str:
    record = catalog.record(asset, shard)
    return record.rows_fingerprint if record else ""


def _other_source(before: Catalog, after: Catalog) -> list[Change]:
    """Source rows of shards that only one has, or whose rows differ."""
    sides = [{key: side.record("source_rows", key) for key in side.shards()} for side in (before, after)]
    found = []
    for key in sorted(sides[0].keys() | sides[1].keys()):
        old, new = (side.get(key) for side in sides)
        if (old and old.content) != (new and new.content):
            told = [f"{record.rows} rows" if record else None for record in (old, new)]
            found.append(Change(key, *told))
    return found


def lines(found: Difference, full: bool) -> Iterator[str]:
    """What differs, for people."""
    if not found:
        yield "the same: settings, models, counts, images and files"
        return
    most = None if full else FEW
    yield from _listed("what went in", [_said(change) for change in found.values], most)
    yield from _listed("code or weights, under the same settings", found.code, most)
    yield from _listed("source rows", [f"shard {_said(change)}" for change in found.source], most)
    for stage in found.stages:
        yield f"{stage.asset}: {'; '.join(map(_said, stage.counts))}"
    yield from _listed("figures", [_said(change) for change in found.figures], most)
    if found.images is None:
        yield "images are compared between roots only: tables of one lie elsewhere"
    else:
        yield from _of_images(found.images, most)
    changed = found.files
    yield (
        f"files: {len(changed.added)} added, {len(changed.removed)} removed, {len(changed.changed)} changed, "
        f"{changed.same} the same"
    )
    if full:
        yield from (f"  + {path}" for path in changed.added)
        yield from (f"  - {path}" for path in changed.removed)
        yield from (f"  ~ {path}" for path in changed.changed)


def _of_images(images: Moved, most: int | None) -> Iterator[str]:
    for name, rows in (("lost", images.lost), ("gained", images.gained)):
        told = rows.select("stage", pl.col("reason").str.split(" of ").list.first()).rows()
        reasons = Counter(f"{stage} {reason}" for stage, reason in told)
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        where = "" if not why else f" (in {'B' if name == 'lost' else 'A'}: {why})"
        yield f"images {name}: {rows.height}{where}"
        for row in rows.head(most or rows.height).iter_rows(named=True):
            yield f"  {row['image_id']} of expert {row['cluster']}: {row['stage']}, {row['reason']}"
    sides = f"to the other side of the split: {images.other_side.height}"
    yield f"images moved to another expert: {images.moved.height}, {sides}"
    for rows, word in ((images.moved, "expert"), (images.other_side, "split")):
        for row in rows.head(most or rows.height).iter_rows(named=True):
            yield f"  {row['image_id']}: {word} {row['before']} -> {row['after']}"
    yield f"images in the same expert: {images.same}"


def _listed(name: str, said: Sequence[str], most: int | None) -> Iterator[str]:
    if not said:
        return
    yield f"{name}: {len(said)} differ"
    yield from (f"  {line}" for line in said[:most])
    if most is not None and len(said) > most:
        yield f"  and {len(said) - most} more: --full"


def _said(change: Change) -> str:
    return f"{change.name} {_short(change.before)} -> {_short(change.after)}"


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_values(before: Side, after: Side, found: Difference) -> dict[str, Any]:
    """What differs as JSON values, all of it."""
    images = None
    if found.images is not None:
        tables = {name: value for name, value in found.images._asdict().items() if isinstance(value, pl.DataFrame)}
        images = {name: rows.to_dicts() for name, rows in tables.items()} | {"same": found.images.same}
    return {
        "same": not found,
        "versions": [before.manifest["version"], after.manifest["version"]],
        "values": [change._asdict() for change in found.values],
        "code": found.code,
        "source_rows": [change._asdict() for change in found.source],
        "stages": {stage.asset: [change._asdict() for change in stage.counts] for stage in found.stages},
        "figures": [change._asdict() for change in found.figures],
        "images": images,
        "files": found.files._asdict(),
    }
