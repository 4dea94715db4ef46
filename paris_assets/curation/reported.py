"""The curation report: what became of the images, by rule, and how they look on each side of every bound."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from paris_assets.compute import Compute
from paris_assets.config import Curation, Duplicates
from paris_assets.curation.bounds import Bound, bounds_of, sides
from paris_assets.curation.histogram import Histogram, histogram
from paris_assets.curation.schema import CURATION_REPORT
from paris_assets.curation.shown_groups import doubtful_groups, largest_groups
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import Pictures
from paris_assets.rules.columns import VERDICTS
from paris_assets.storage.output import Output

PAGE = "analysis/curation_report.html"
TOLD = ("image_id", "undecodable", *VERDICTS)
NO_MEASURES = ("source_row", "phash", "dhash", "value")


def reported(
    shards: Iterable[Callable[[], pl.LazyFrame]],
    groups: pl.LazyFrame,
    quantiles: pl.DataFrame | None,
    steps: Sequence[dict[str, Any]],
    read: Callable[[str], bytes],
    settings: Curation,
    duplicates: Duplicates,
    compute: Compute | None = None,
) -> Output:
    """Rows of `curation_report`, one per bound, and the page.

    Args:
        shards: of each, what gives every fetched image with its verdict and all that rules see (``verdicts.judged``).
        groups: `duplicate_groups`.
        quantiles: `score_quantiles`, or None.
        steps: the account of the run, see ``dag.flow.with_words``.
        read: image_id -> file bytes.
        compute: who joins the tables of shards; by default this process, one after the other.
    """
    bounds = bounds_of(settings, quantiles)
    output = Output()

    def write() -> Iterator[pl.DataFrame]:
        bounded = dict.fromkeys(bound.column for bound in bounds)
        # The tables of one shard are work for all cores.
        parts = (compute or Compute()).map(_told, shards, {*TOLD, *bounded}, threads=1)
        images = _in_one_file(parts, output.scratch / "judged.parquet")
        output.rows_in = images.select(pl.len()).collect().item()
        histograms = [_histogram(images, column, bounds) for column in bounded]
        others = [_histogram(images, column, ()) for column in _measured(images) if column not in bounded]
        pictures = Pictures(read)
        values: dict[str, Any] = {
            "steps": steps,
            "rules": _rules(images, settings),
            "columns": [_column(images, each, bounds, settings.report_pictures) for each in histograms],
            "others": [_drawn(each) for each in others if each.known],
            "groups": largest_groups(groups, duplicates),
            "doubtful": doubtful_groups(groups, duplicates),
            "duplicates": duplicates,
            "vectors_compared": "cosine" in groups.collect_schema(),
            "tiers": _tiers(images, settings),
            "picture": pictures.uri,
        }
        output.add_file(PAGE, _page(values).encode())
        output.links["report"] = PAGE
        yield CURATION_REPORT.frame([row for each in histograms for row in _rows(each, bounds)])

    output.rows = write()
    return output


def _told(names: Container[str], shard: Callable[[], pl.LazyFrame]) -> pl.DataFrame:
    """Every fetched image of a shard: columns of numbers, and those named."""
    images = shard()
    kinds = images.collect_schema()
    return images.select(name for name, kind in kinds.items() if kind.is_numeric() or name in names).collect()


def _in_one_file(shards: Iterable[pl.DataFrame], path: Path) -> pl.LazyFrame:
    """What the report looks at column by column: each look at the tables themselves would join those of every shard
    again."""
    writer: pq.ParquetWriter | None = None
    for rows in shards:
        table = rows.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is None:
        raise ValueError("there is no shard to report on")
    writer.close()
    return pl.scan_parquet(path)


def _page(values: dict[str, Any]) -> str:
    environment = pages(Path(__file__).parent)
    return environment.get_template("curation_report.html.jinja").render(**values)


def _histogram(images: pl.LazyFrame, column: str, bounds: Sequence[Bound]) -> Histogram:
    """One column at a time, so that memory holds the values of one."""
    values = images.select(pl.col(column).cast(pl.Float64)).collect()[column].fill_null(np.nan).to_numpy()
    return histogram(column, values, [bound for bound in bounds if bound.column == column])


def _rows(each: Histogram, bounds: Sequence[Bound]) -> Iterator[dict[str, Any]]:
    own = [bound for bound in bounds if bound.column == each.column]
    for bound, outside in zip(own, each.outside, strict=True):
        yield {
            **{name: getattr(bound, name) for name in ("rule", "column", "side")},
            "of_tier": bound.tier,
            "bound": bound.value,
            **{name: getattr(each, name) for name in ("known", "unknown", "smallest", "largest")},
            "outside": outside,
        }


def _column(images: pl.LazyFrame, each: Histogram, bounds: Sequence[Bound], count: int) -> dict[str, Any]:
    """What the page shows of a column: its histogram, and for each bound the nearest pictures on either side."""
    shown = images.select("image_id", *{"undecodable": None, each.column: None}).collect()
    own = [bound for bound in bounds if bound.column == each.column]
    ends = []
    for bound, outside in zip(own, each.outside, strict=True):
        failing, meeting = sides(shown, bound, count)
        ends.append(
            {
                "bound": bound,
                "at": each.position(bound.value),
                "outside": outside,
                "share": outside / each.known if each.known else None,
                "failing": failing,
                "meeting": meeting,
            }
        )
    return _drawn(each, ends)


def _drawn(each: Histogram, ends: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"histogram": each, "ends": ends, "peak": max(each.counts) or 1}


def _measured(images: pl.LazyFrame) -> list[str]:
    """Columns of numbers that say something of an image; hashes and places do not."""
    kinds = images.collect_schema()
    return [name for name, kind in kinds.items() if kind.is_numeric() and name not in NO_MEASURES]


def _rules(images: pl.LazyFrame, settings: Curation) -> list[dict[str, Any]]:
    """Every rule with the images that it is the first to reject, and those that it rejects at all."""
    first = dict(images.group_by("reason").len().drop_nulls().collect().iter_rows())
    every = dict(
        images.select(reason=pl.col("reasons").explode()).drop_nulls().group_by("reason").len().collect().iter_rows()
    )
    names = ["undecodable", *settings.reasons]
    return [{"name": name, "first": first.get(name, 0), "all": every.get(name, 0)} for name in names]


def _tiers(images: pl.LazyFrame, settings: Curation) -> list[dict[str, Any]]:
    """The images that stay at each tier, and what keeps them from the next."""
    if not settings.tiers:
        return []
    counts = images.filter("kept").group_by("tier", "stopped_by").len().sort("stopped_by").collect()
    return [
        {
            "name": tier.name,
            "images": counts.filter(tier=tier.name)["len"].sum(),
            "stopped_by": dict(counts.filter(tier=tier.name).select("stopped_by", "len").drop_nulls().iter_rows()),
        }
        for tier in settings.tiers
    ]
