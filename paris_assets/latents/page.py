"""The page of the report, where there are several sizes or buckets: one file, no requests, no script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from paris_assets.config import Latents
from paris_assets.latents.buckets import table
from paris_assets.latents.drawing import Pair
from paris_assets.latents.places import Sizes
from paris_assets.pages.environment import pages
from paris_assets.pages.pictures import encoded

PAGE = "analysis/vae_latents.html"
PAIRS, SIDE = 4, 260


def page(figures: Mapping[str, Mapping[str, Any]], shown: Mapping[int, Sequence[Pair]], settings: Latents) -> str:
    """The page.

    Args:
        figures: what ``spread`` and the moments say, by resolution.
        shown: the pairs of each.
    """
    every = table(settings.buckets) if settings.buckets else ()
    histograms = {
        size: [(Sizes(settings).target(shape, int(size)), at["buckets"].get(str(shape), 0)) for shape in every]
        for size, at in figures.items()
        if "buckets" in at
    }
    return (
        pages(Path(__file__).parent)
        .get_template("latents.html.jinja")
        .render(
            sizes=figures,
            histograms=histograms,
            peaks={size: max([1, *(count for _, count in bars)]) for size, bars in histograms.items()},
            batch=settings.report_batch,
            shown={str(size): [(pair, _small(pair)) for pair in at[:PAIRS]] for size, at in shown.items()},
        )
    )


def _small(pair: Pair) -> tuple[str, str]:
    """Original and decoded picture as ``data:`` URIs, so small that a page holds many."""
    return _uri(Image.fromarray(pair.original)), _uri(Image.fromarray(pair.decoded))


def _uri(picture: Image.Image) -> str:
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return "data:image/webp;base64," + base64.b64encode(encoded(picture, "WEBP")).decode()
