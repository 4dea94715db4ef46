"""The page that compares numbers of concepts."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from paris_assets.pages.environment import pages

PANELS = {
    "inertia": "inertia of the whole pool",
    "silhouette": "silhouette of a sample",
    "separation": "separation over the whole pool",
    "stability": "stability: adjusted Rand index of two halves",
}


def page(sweep: dict[str, Any], statistics: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """HTML, complete in itself.

    Args:
        sweep: ``figures``, ``k`` (the recommended one), ``knee``, ``reason``.
        statistics: of the model.
        pictures: of ``charts``.
    """
    uris = {name: "data:image/png;base64," + base64.b64encode(data).decode() for name, data in pictures.items()}
    template = pages(Path(__file__).parent).get_template("sweep.html.jinja")
    return template.render(sweep=sweep, statistics=statistics, pictures=uris, titles=PANELS)
