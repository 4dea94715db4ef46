"""The cluster report: grids, charts, and the findings as JSON, Markdown and one HTML page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.clusters import charts, grids
from paris_assets.clusters.centroids import ClusterModel
from paris_assets.clusters.contents import Contents, gather
from paris_assets.clusters.learnt_said import learnt_said
from paris_assets.clusters.map_points import Mapped
from paris_assets.clusters.numbers import FACT, numbers_said
from paris_assets.clusters.page import ROWS_AND_IMAGES, render
from paris_assets.clusters.quality import Quality
from paris_assets.clusters.sweep import PANELS
from paris_assets.clusters.verdicts import summary, verdicts
from paris_assets.config import Clusters
from paris_assets.pages.pictures import Pictures
from paris_assets.pages.sweep_charts import charts as sweep_charts


@dataclass(frozen=True)
class Told:
    """What the report tells beside the figures of the clustering.

    Attributes:
        account: steps from rows of the source to these images: ``stage``, ``unit`` (rows or images), ``count``,
            ``parts`` (words -> how many), and all of it as a sentence, ``said``.
        learnability: ``embeddings`` and ``latents`` of ``learnability.learnability``, ``copies`` of
            ``copies.split_copies``.
        mapped: the images of the map.
        sweep: of ``sweep.swept``.
    """

    account: Sequence[dict[str, Any]]
    learnability: dict[str, Any]
    mapped: Mapped
    sweep: dict[str, Any] | None = None


def write_report(
    folder: Path,
    model: ClusterModel,
    quality: Quality,
    assignments: pl.LazyFrame | pl.DataFrame,
    captions: pl.LazyFrame | pl.DataFrame,
    sample_ids: Sequence[str],
    vectors: np.ndarray,
    read: Callable[[str], bytes],
    settings: Clusters,
    seed: int,
    told: Told,
) -> list[str]:
    """Write the report of a clustering into ``folder``.

    Args:
        quality: ``quality.measure`` of the same sample.
        assignments: ``image_id``, ``cluster``, ``distance`` of the whole set.
        captions: ``image_id``, ``caption``.
        sample_ids: (n) ``features.choose(all image_ids, settings.sample, seed)``.
        vectors: (n, d) float32, the places of these in the fitted space.
        read: image_id -> file bytes; called for each image shown (25 per cluster, 12 and those of the map),
            of few clusters once.

    Returns:
        Names of the files, sorted: ``cluster_{k}_grid.png``, ``cluster_{sizes,map,silhouette}.png``, with a
        sweep ``cluster_sweep_{inertia,silhouette,stability}.png``, ``cluster_report.{json,md,html}``. The HTML
        needs no other file. The same input gives the same bytes; no times, hosts or paths are written.

    Raises:
        ValueError: an image of the sample is not assigned.
        Undecodable: an image shown cannot be decoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mapped = told.mapped
    contents = gather(assignments, captions, sample_ids, vectors, model, mapped.image_ids)
    pictures = Pictures(read)
    names = [f"cluster_{cluster}_grid.png" for cluster in range(model.k)]
    for cluster, row in enumerate(quality.clusters):  # a megabyte each, of as many as there are
        (folder / names[cluster]).write_bytes(_grid(cluster, row, contents, pictures))
    files: dict[str, bytes] = {}
    labels, k = contents.labels, model.k
    shares, images = [row["share"] for row in quality.clusters], [row["images"] for row in quality.clusters]
    files["cluster_sizes.png"] = charts.sizes_chart(shares, images, [contents.name(cluster) for cluster in range(k)])
    files["cluster_silhouette.png"] = charts.silhouette_chart(quality.silhouettes, labels, k)
    files["cluster_map.png"] = charts.map_chart(mapped.places, mapped.labels, k)
    found = findings_of(model, quality, contents, settings, seed, told)
    if told.sweep:
        panels = sweep_charts(told.sweep, PANELS, "clusters")
        files |= {f"cluster_sweep_{name}.png": picture for name, picture in panels.items()}
    files["cluster_report.json"] = (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode()
    files["cluster_report.md"] = _markdown(found).encode()
    files["cluster_report.html"] = render(found, contents, quality.silhouettes, mapped, pictures).encode()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return sorted([*names, *files])


def _grid(cluster: int, row: dict[str, Any], contents: Contents, pictures: Pictures) -> bytes:
    names = contents.nearest[cluster]
    title = f"Cluster {cluster}" + (f"  ·  {contents.name(cluster)}" if contents.name(cluster) else "")
    shown = f"the {len(names)} nearest to its centroid, nearest first" if names else "nothing to show"
    subtitle = f"{row['images']:,} images ({row['share']:.1%}); {shown}"
    tiles = [pictures.tile(name) for name in names]
    return grids.grid(tiles, [contents.caption(name) for name in names], title, subtitle, charts.colour(cluster))


def findings_of(
    model: ClusterModel,
    quality: Quality,
    contents: Contents,
    settings: Clusters,
    seed: int,
    told: Told,
) -> dict[str, Any]:
    """The report as JSON values; what the Markdown and the page are made from."""
    judged = verdicts(quality.figures)
    clusters = [
        {
            **row,
            "words": contents.words[row["cluster"]],
            "neighbour": contents.neighbours[row["cluster"]],
            "nearest": [
                {"image_id": name, "caption": contents.caption(name)} for name in contents.nearest[row["cluster"]]
            ],
        }
        for row in quality.clusters
    ]
    between = [{**asdict(item), "caption": contents.caption(item.image_id)} for item in contents.between]
    return {
        "summary": summary(judged),
        "account": list(told.account),
        "figures": quality.figures,
        "verdicts": [asdict(item) for item in judged],
        "clusters": clusters,
        "learnability": {**told.learnability, "said": learnt_said(told.learnability)},
        "between": [{**item, "ratio": float(f"{item['ratio']:.6g}")} for item in between],
        **({"numbers": numbers_said(model.statistics[FACT])} if FACT in model.statistics else {}),
        "fit": {"assignment": model.assignment, "normalize": model.normalize, **model.statistics},
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        **({"sweep": told.sweep} if told.sweep else {}),
    }


def _markdown(findings: dict[str, Any]) -> str:
    figures, clusters = findings["figures"], findings["clusters"]
    lines = [f"# {figures['images']:,} distinct images, {figures['k']} clusters", "", findings["summary"], ""]
    lines += [_escaped(findings["numbers"], SENTENCE), ""] if "numbers" in findings else []
    judged = [[item["name"], item["value"], item["verdict"], item["meaning"]] for item in findings["verdicts"]]
    lines += _table(["figure", "value", "verdict", "meaning"], judged)
    for name in ("sizes", "map", "silhouette"):
        lines += [f"![{name}](cluster_{name}.png)", ""]
    rows = [
        [row["cluster"], _escaped(", ".join(row["words"])), f"{row['images']:,}"]
        + [_number(row[name], form) for name, form in COLUMNS]
        for row in clusters
    ]
    lines += _table(["cluster", "words", "images", *(name.replace("_", " ") for name, _ in COLUMNS)], rows)
    for row in clusters:
        number = row["cluster"]
        lines += [f"## Cluster {number}: {_escaped(', '.join(row['words'][:3]))}".rstrip(": "), ""]
        lines += [f"![the images nearest to centroid {number}](cluster_{number}_grid.png)", ""]
        lines += [f"- {_escaped(image['caption'])}" for image in row["nearest"][:5] if image["caption"]] + [""]
    learnt = findings["learnability"]["said"]
    lines += ["## Can a router learn them", "", *(f"- {_escaped(said, SENTENCE)}" for said in learnt), ""]
    lines += _swept(findings["sweep"]) if "sweep" in findings else []
    lines += ["## From rows to images", "", ROWS_AND_IMAGES, ""]
    lines += [f"- {_escaped(step['said'], SENTENCE)}" for step in findings["account"]] + [""]
    every = [[name, "–" if value is None else value] for name, value in sorted(figures.items())]
    lines += ["## Every figure", "", *_table(["figure", "value"], every)]
    settings = [*findings["settings"].items(), ("seed", findings["seed"])]
    lines += ["## How it was made", "", *_table(["setting", "value"], [[name, value] for name, value in settings])]
    return "\n".join(lines).rstrip() + "\n"


def _swept(sweep: dict[str, Any]) -> list[str]:
    rows = [[row["k"], *("–" if row[name] is None else format(row[name], ".4g") for name in PANELS)]
            for row in sweep["figures"]]  # fmt: skip
    lines = ["## How many clusters", "", _escaped(sweep["reason"], SENTENCE), "", *_table(["k", *PANELS], rows)]
    return lines + [f"![{name}](cluster_sweep_{name}.png)" for name in PANELS] + [""]


def _table(names: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


SENTENCE = 2000
COLUMNS = (
    ("share", ".1%"),
    ("cohesion", ".3f"),
    ("silhouette", ".3f"),
    ("boundary_fraction", ".0%"),
    ("mean_distance", ".3f"),
)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _escaped(text: str, most: int = 200) -> str:
    """Text without meaning for Markdown or HTML, on one line of at most so many characters."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", " ".join(text.split())[:most])
