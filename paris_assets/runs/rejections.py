"""Whether any image is left, and which setting decides over those that are rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from paris_assets.config import Profile, Rule
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.records import Record
from paris_assets.ingest.fetched import how_to_allow, is_transient

NOTHING = {"raw_images": "nothing was fetched", "filtered_images": "no image is kept by the rules"}
"""Asset without which nothing can follow -> what is said where it keeps none."""
SIDES = ("short_side", "width", "height")
"""Columns of a picture's size: what is let in below the bound is often smaller than its latent, too."""
MANY = 1 / 3
"""A larger share of an asset's images that is rejected for one reason is worth a look at the setting."""


def setting_of(profile: Profile, asset: str, reason: str) -> str | None:
    """The setting that decides over images that an asset rejects for a reason, as the command line takes it."""
    if asset == "latents":
        return "--set latents.upscale=true"
    if asset != "filtered_images":
        return None
    rules = {"signal_rules": profile.curation.signal_rules, "score_rules": profile.curation.score_rules}
    for where, found in rules.items():
        for rule in found:
            if rule.name == reason and isinstance(rule, Rule):
                bounds = [bound for bound in ("min", "max") if getattr(rule, bound) is not None]
                setting = " or ".join(f"--set curation.{where}.{reason}.{bound}=..." for bound in bounds)
                small = rule.column in SIDES and rule.min is not None and not profile.latents.upscale
                return f"{setting} --set latents.upscale=true" if small else setting
    return None


def often(profile: Profile, asset: str, rows_in: int, rejects: Mapping[str, int]) -> list[str]:
    """A sentence for each reason that a single setting decides over, and that rejects many of an asset's images."""
    return [
        f"{asset}: {count:,} of {rows_in:,} are rejected for {reason}{_bounds(profile, reason)}; "
        f"{setting} lets more of them in"
        for reason, count in sorted(rejects.items())
        if count > MANY * rows_in and (setting := setting_of(profile, asset, reason))
    ]


def _bounds(profile: Profile, reason: str) -> str:
    """`` (min 256)`` of a rule."""
    rules = (*profile.curation.signal_rules, *profile.curation.score_rules)
    found = (rule for rule in rules if isinstance(rule, Rule) and rule.name == reason)
    said = (
        ", ".join(f"{side} {value:g}" for side in ("min", "max") if (value := getattr(rule, side)) is not None)
        for rule in found
    )
    return next((f" ({bounds})" for bounds in said if bounds), "")


def nothing_left(catalog: Catalog) -> str | None:
    """Why no image is left for what follows, with reasons and what to do; None where there is one, or work to do."""
    counted: list[str] = []
    for asset, said in NOTHING.items():
        records = [record for shard in catalog.shards() if (record := _finished(catalog, asset, shard))]
        if len(records) < len(catalog.shards()):
            continue
        rejects = sum((Counter(record.rejects) for record in records), Counter[str]())
        rows = sum(record.counts.get("rows_in", record.rows) for record in records)
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejects.most_common())
        counted.append(f"of {rows:,} {'rows' if asset == 'raw_images' else 'images'} rejected: {reasons or 'none'}")
        if not any(record.facts.get("kept", record.rows) for record in records):
            return f"{said}: {'; '.join(counted)} ({_advice(catalog, asset, records, rejects)})"
    return None


def _finished(catalog: Catalog, asset: str, shard: str) -> Record | None:
    """The record of a partition that is up to date; None of an asset that this profile has not."""
    return catalog.record(asset, shard) if asset in catalog.graph and catalog.done(asset, shard) else None


def _advice(catalog: Catalog, asset: str, records: list[Record], rejects: Counter[str]) -> str:
    """What mends the most frequent reason."""
    reason = rejects.most_common(1)[0][0] if rejects else ""
    root = catalog.location.url
    hosts = sorted({host for record in records for host in record.facts.get("private_hosts", [])})[:5]
    if reason == "private_address" and hosts:
        return how_to_allow(hosts)
    if asset == "raw_images" and is_transient(reason):
        return f"once the hosts answer: `paris run --root {root} --retry transient`"
    setting = setting_of(catalog.profile, asset, reason)
    if setting:
        return f"`paris run --root {root} {setting}` lets more of them in"
    return f"`paris inspect row:0 --root {root}` shows what became of the first one; docs/running.md explains reasons"
