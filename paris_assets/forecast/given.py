"""What a forecast is made from, of one root."""

from __future__ import annotations

from collections.abc import Mapping

from paris_assets.dag.catalog import Catalog
from paris_assets.forecast.assumptions import Assumption, with_measured
from paris_assets.forecast.forecast import Given
from paris_assets.forecast.measured import MEASURED, captioned_share, fetched_image_bytes, holds_images, measured
from paris_assets.forecast.requests import request_seconds


def given_of(
    catalog: Catalog, rows: int, embedded: bool, figures: Mapping[str, Assumption], shards: int | None = None
) -> Given:
    """What earlier runs of a root say comes before what is assumed, but not before what a user gives.

    Args:
        rows: of the source.
        embedded: whether it is known to hold its images; what a root says of its own counts as well.
        figures: name -> assumption.
        shards: of the source, where it was looked at.
    """
    here = {"image_bytes": fetched_image_bytes(catalog), "captioned": captioned_share(catalog)}
    found = {name: Assumption(value, "", MEASURED) for name, value in here.items() if value is not None}
    waited = request_seconds(catalog)
    found |= {"request_s": waited} if waited is not None else {}
    embedded, figures = embedded or holds_images(catalog), with_measured(figures, found)
    return Given(catalog.profile, catalog.graph, rows, embedded, figures, measured(catalog), shards)
