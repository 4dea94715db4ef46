"""Where Dagster keeps what it knows of a root."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from paris_assets.storage.address import refuse_for_sqlite

TIMES = "run_times.html"
"""Page of how long it took, in the Dagster home of a root."""


def dagster_home(root_url: str, remote: bool) -> Path:
    """DAGSTER_HOME of a root: inside it, or for a remote root below data/runs.

    Raises:
        AddressError: Dagster cannot put its databases there.
    """
    if not remote:
        return Path(root_url) / ".dagster"
    return (
        Path(refuse_for_sqlite(os.path.abspath("data/runs/.dagster")))
        / hashlib.sha256(root_url.encode()).hexdigest()[:16]
    )
