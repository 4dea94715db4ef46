"""Where the rows of an export come from: sources, hosts, networks, and what was left out, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.flow import TELLING, account, stage_counts
from paris_assets.dag.records import Records
from paris_assets.experts.manifest import models_that_ran
from paris_assets.experts.published_settings import published_settings
from paris_assets.export.parquet import read_columns
from paris_assets.storage.location import Location

PROVENANCE = "provenance.json"
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)"
NO_ADDRESS = "(no address)"


def provenance(catalog: Catalog, place: Location, paths: Iterable[str]) -> dict[str, Any]:
    """What is known of where an export's rows come from; it holds no time, host of ours or local path.

    Args:
        paths: Parquet files of the export, with ``url`` and perhaps ``captioner``.
    """
    hosts, captioners = Counter[str](), Counter[str]()
    for path in paths:
        rows = pl.DataFrame(read_columns(place, path, ("url", "captioner")))
        hosts.update(_counted(hosts_of(rows["url"])))
        if "captioner" in rows.columns:
            captioners.update(_counted(rows["captioner"].fill_null("(no caption)")))
    settings = published_settings(catalog.profile)
    records = Records(catalog.record, {asset: catalog.keys(asset) for asset in catalog.graph})
    counts = stage_counts(records, set(records.keys) - TELLING)
    return {
        "source": settings["source"]["path"],
        "rows": sum(hosts.values()),
        "hosts": dict(sorted(hosts.items(), key=lambda entry: (-entry[1], entry[0]))),
        "captioners": dict(sorted(captioners.items())),
        "models": models_that_ran(records),
        "account": [str(step) for step in account(counts)],
        "rejected": {stage: told["rejects"] for stage, told in counts.items() if told["rejects"]},
        "taken_down": catalog.takedowns().published(),
    }


def hosts_of(urls: pl.Series) -> pl.Series:
    """The host of each address, in small letters."""
    return urls.cast(pl.String).str.extract(HOST).str.to_lowercase().fill_null(NO_ADDRESS).alias("host")


def _counted(values: pl.Series) -> Mapping[str, int]:
    return dict(values.value_counts().iter_rows())


def most(counts: Mapping[str, int], number: int) -> Sequence[tuple[str, int]]:
    """The largest counts, and the sum of the others."""
    entries = list(counts.items())
    others = sum(count for _, count in entries[number:])
    return [*entries[:number], *([(f"{len(entries) - number:,} others", others)] if others else [])]
