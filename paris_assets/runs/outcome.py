"""How an image ended: why it was dropped and what was kept instead, or where it was published."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import OwnRule, QuantileRule, Rule
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.formats.mds_reader import MdsFileReader
from paris_assets.ingest.refused import TAKEN_DOWN
from paris_assets.rules.columns import DERIVED
from paris_assets.rules.verdicts import UNDECODABLE
from paris_assets.runs.rejections import setting_of
from paris_assets.settings.curation import PRUNED
from paris_assets.storage.tar_members import Member, members

Rows = dict[str, dict[str, Any]]


def outcome_of(tables: Tables, occurrence: dict[str, Any], rows: Rows) -> list[str]:
    """Where the image of a source row ended, a line each.

    Args:
        tables: those of the root.
        occurrence: its ledger row, with ``shard``.
        rows: its row of every table (``inspect.table_rows``).
    """
    if "pool_selection" in rows:
        chosen = said_of_pool(tables, rows)
        return chosen if not rows["pool_selection"]["selected"] else [*chosen, *_after_pool(tables, occurrence, rows)]
    return _after_pool(tables, occurrence, rows)


def said_of_pool(tables: Tables, rows: Rows) -> list[str]:
    """Whether a row was chosen from the pool, which step left it out and what that saw; then what is said of its
    concept."""
    chosen = rows["pool_selection"]
    seen = "" if chosen["value"] is None else f", which saw {chosen['value']:g}"
    ranked = "" if chosen["rank"] is None else f", rank {chosen['rank']} (0 is the best)"
    if chosen["selected"]:
        said = [f"selected from the pool{ranked}"]
    else:
        said = [f"not selected from the pool, so not fetched: left out by {chosen['reason']}{seen}{ranked}"]
    concept = rows.get("concept_assignments", {}).get("concept")
    if concept is None or tables.catalog.record("concept_verdicts", ALL) is None:
        return said
    verdicts = tables.scan("concept_verdicts", [ALL]).filter(pl.col("concept") == concept)
    found = verdicts.select("verdict", "reason").collect()
    return [*said, *(f"its concept {concept} is judged {verdict}: {reason}" for verdict, reason in found.iter_rows())]


def _after_pool(tables: Tables, occurrence: dict[str, Any], rows: Rows) -> list[str]:
    if occurrence["status"] == "waiting":
        return ["not fetched yet: `paris run` goes on with it"]
    if occurrence["reason"] == TAKEN_DOWN:
        return ["taken down: it is neither asked for nor kept (takedowns.json)"]
    if occurrence["status"] != "ok":
        status, attempts = occurrence["http_status"], occurrence["attempts"]
        answer = f"HTTP {status}, " if status else ""
        return [f"not fetched: {occurrence['reason']} ({answer}{attempts} attempt{'s' * (attempts != 1)})"]
    verdict, group = rows.get("filtered_images"), rows.get("duplicate_groups")
    if verdict and not verdict["kept"]:
        return [f"rejected by rule {line}" for line in failing_rules(tables, verdict, rows)]
    if group and not group["keeper"]:
        return [kept_instead(tables, occurrence, group, rows)]
    selection = rows.get("training_selection")
    if selection and not selection["selected"]:
        return [not_selected(tables, selection, rows)]
    if "router_arrays" in rows:
        return published(tables, occurrence, rows["router_arrays"])
    if selection and "latents" not in rows and tables.catalog.record("latents", occurrence["shard"]):
        smallest = min(tables.catalog.profile.latents.resolutions)
        size = f"{occurrence['width']} x {occurrence['height']}"
        setting = setting_of(tables.catalog.profile, "latents", "")
        return [f"no latent, so it is not published: {size} pixels, resolution {smallest}, {setting} makes one"]
    caption = rows.get("captions")
    if caption and not caption["caption"] and tables.catalog.record("router_arrays", occurrence["shard"]):
        why = ", ".join(map(": ".join, zip(caption["invalid"], caption["reasons"], strict=True)))
        return [f"no valid caption, so it is not published: {why or 'none of captions.train'}"]
    last = list(rows)[-1] if rows else "the registry"
    return [f"not yet published: {last} is the last table that knows it; `paris run` goes on"]


def failing_rules(tables: Tables, verdict: dict[str, Any], rows: Rows) -> list[str]:
    """Every failing rule, with what it saw and the bound that was missed; the first one decided."""
    rules = {rule.name: rule for rule in tables.catalog.profile.curation.rejecting}
    said = []
    for name in verdict["reasons"]:
        rule = rules.get(name)
        if name == UNDECODABLE:
            said.append(f"{name}: {rows.get('image_signals', {}).get('error')}")
        elif name == PRUNED:
            said.append(f"{name}: {verdict['prune_reason']} (a list of curation.prune)")
        elif rule is None:
            said.append(f"{name}, which the profile no longer has")
        else:
            setting = setting_of(tables.catalog.profile, "filtered_images", name)
            said.append(_missed(rule, verdict, rows) + (f" ({setting})" if setting else ""))
    return said


def _missed(rule: Rule | OwnRule | QuantileRule, verdict: dict[str, Any], rows: Rows) -> str:
    first = rule.name == verdict["reason"]
    if isinstance(rule, OwnRule):
        value = verdict["value"]
        return f"{rule.name}: {rule.implementation}{f' saw {value:g}' if first and value is not None else ''}"
    value = verdict["value"] if first else _seen(rule.column, rows)
    if value is None:
        return f"{rule.name}: {rule.column} is unknown, and the rule rejects what is unknown"
    if isinstance(rule, QuantileRule):
        start, end = (f"{share:.4g}" for share in rule.shares)
        return f"{rule.name}: {rule.column} is {value:g}, outside the shares {start} to {end} of score_quantiles"
    if rule.min is not None and value < rule.min:
        return f"{rule.name}: {rule.column} is {value:g}, below {rule.min:g}"
    return f"{rule.name}: {rule.column} is {value:g}, above {rule.max:g}"


def _seen(column: str, rows: Rows) -> float | None:
    """The value of a rule's column, or of what rules derive from the size."""
    known: dict[str, Any] = {}
    for asset in ("source_rows", "raw_images", "image_signals", "content_scores"):
        known |= rows.get(asset, {})
    if column in DERIVED and column not in known:
        return pl.select(width=pl.lit(known["width"]), height=pl.lit(known["height"])).select(DERIVED[column]).item()
    return known.get(column)


def kept_instead(tables: Tables, occurrence: dict[str, Any], group: dict[str, Any], rows: Rows) -> str:
    """The image that stays instead of this copy, where it is and why it ranks first."""
    same = (pl.col("group_id") == group["group_id"]) & pl.col("keeper")
    keeper = tables.scan("duplicate_groups", [ALL]).filter(same).collect().row(0, named=True)
    at_row = pl.col("source_row") == keeper["source_row"]
    ledger = tables.scan("raw_images", [keeper["shard"]]).filter(at_row).collect().row(0, named=True)
    source = tables.scan("source_rows", [keeper["shard"]]).filter(at_row).select("url", "aesthetic").collect()
    kept = {**ledger, "aesthetic": source["aesthetic"][0] if source.height else None}
    url = f", {kept['url']}" if kept["url"] else ""
    place = f"{keeper['image_id']}, source row {keeper['source_row']} in shard {keeper['shard']}{url}"
    if group["image_id"] == keeper["image_id"]:
        return f"dropped as an exact copy: the same bytes are kept through another source row: {place}"
    own = {**occurrence, "aesthetic": rows.get("source_rows", {}).get("aesthetic")}
    near = (
        f"cosine {group['cosine']:.3f}"
        if group["method"] in ("vectors", "copy_embedding")
        else f"distance {group['distance']} bits"
    )
    return f"dropped as a copy ({group['method']}, {near}) of {place}, which ranks first: {why_first(kept, own)}"


def why_first(kept: dict[str, Any], own: dict[str, Any]) -> str:
    """The criterion that decided between two copies, in the order of ``curation.duplicates``."""
    scores = [row["aesthetic"] if row["aesthetic"] is not None else float("-inf") for row in (kept, own)]
    pixels = [row["width"] * row["height"] for row in (kept, own)]
    if scores[0] > scores[1]:
        return f"aesthetic score {kept['aesthetic']:g} against {_score(own['aesthetic'])}"
    if scores[0] == scores[1] and pixels[0] > pixels[1]:
        return f"{pixels[0]} pixels against {pixels[1]}"
    if scores[0] == scores[1] and pixels[0] == pixels[1] and kept["image_id"] < own["image_id"]:
        return "the smaller image_id, as score and size are equal"
    return "it was published before this one came"


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def not_selected(tables: Tables, selection: dict[str, Any], rows: Rows) -> str:
    """Why an image is not trained on, with the figure of its cluster that decided."""
    said = f"not selected for training: {selection['reason']}"
    if tables.catalog.record("cluster_values") is None:
        return said
    values = tables.scan("cluster_values", [ALL]).filter(pl.col("cluster") == selection["cluster"]).collect()
    if values.is_empty():
        return said
    value, distance = values.row(0, named=True), rows.get("cluster_assignments", {}).get("distance")
    if value["value"] == "low":
        return f"{said} (cluster {selection['cluster']}: {value['reason']})"
    return f"{said} (distance {distance:g}, cluster {selection['cluster']} keeps up to {value['distance_bound']:g})"


def published(tables: Tables, occurrence: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """The tar and its members, the MDS file, and the rows of the router arrays."""
    shard, key, lines = occurrence["shard"], occurrence["image_id"], list[str]()
    index = tables.scan("router_arrays", [shard]).select("image_id", "cluster").collect()
    position = int(index["image_id"].search_sorted(key))
    if "expert_shards" in tables.catalog.graph:
        expert = index.filter(pl.col("cluster") == row["cluster"])["image_id"]
        lines += _in_tar(tables, shard, key, row["cluster"], int(expert.search_sorted(key)))
    if "expert_mds" in tables.catalog.graph:
        lines += _in_mds(tables, shard, key, row["cluster"])
    before = _rows_before(tables, shard)
    joined = f", row {before + position} of router_training" if before is not None else ""
    held_out = "validation" if row["split"] else "training"
    return [*lines, f"row {position} of router_arrays/{shard}{joined} ({held_out})"]


def _in_tar(tables: Tables, shard: str, key: str, cluster: int, number: int) -> list[str]:
    tar = _tar(tables, shard, cluster, number)
    lines = [f"published in cluster {cluster}: {tar}"]
    if not tables.catalog.location.remote and tables.catalog.location.size(tar):
        return lines + [f"{name}: {size} bytes at {offset}" for name, offset, size in _members(tables, tar, key)]
    return [*lines, f"{key}.{{caption.txt,clip_emb.npy,latent.npy,metadata.json}}"]


def _in_mds(tables: Tables, shard: str, key: str, cluster: int) -> list[str]:
    """The MDS file that holds a sample; of a remote root the folder of its expert."""
    location = tables.catalog.location
    paths = tables.scan("expert_mds", [shard]).filter(pl.col("cluster") == cluster).collect()["path"]
    for path in paths if not location.remote else ():
        with MdsFileReader(location.fetch(path, Path())) as file:
            for number in range(len(file)):
                if file.read(number, ["image_id"])["image_id"] == key:
                    return [f"published in cluster {cluster}: sample {number} of {path}"]
    return [f"published in cluster {cluster}: an MDS file of shard {shard} in expert_mds/cluster_{cluster}"]


def _tar(tables: Tables, shard: str, cluster: int, number: int) -> str:
    """The tar that holds the expert's sample of this number: samples are sorted, and tars are cut in their order."""
    tars = tables.scan("expert_shards", [shard]).filter(pl.col("cluster") == cluster).sort("path").collect()
    part = int((tars["samples"].cum_sum() <= number).sum())
    return tars["path"][part]


def _members(tables: Tables, path: str, key: str) -> list[Member]:
    with (
        open(tables.catalog.location.fetch(path, Path()), "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        return [member for member in members(view) if member.key == key]


def _rows_before(tables: Tables, shard: str) -> int | None:
    """Rows of the shards that come first in the consolidated arrays; None before they are made."""
    if tables.catalog.record("pipeline_manifest") is None:
        return None
    place = pl.col("path").str.extract(r"^router_arrays/(.+)/labels\.npy$").alias("shard")
    files = tables.scan("pipeline_manifest", [ALL]).select(place, "samples").drop_nulls("shard").collect()
    if shard not in files["shard"]:
        return None
    order = {name: number for number, name in enumerate(tables.catalog.shards())}
    return sum(samples for name, samples in files.iter_rows() if order[name] < order[shard])
