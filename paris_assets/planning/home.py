"""Where Dagster keeps what it knows of a root."""

from __future__ import annotations

import hashlib
from pathlib import Path


def dagster_home(root_url: str, remote: bool) -> Path:
    """DAGSTER_HOME of a root: inside it, or for a remote root below data/runs."""
    if not remote:
        return Path(root_url) / ".dagster"
    return Path("data/runs/.dagster").absolute() / hashlib.sha256(root_url.encode()).hexdigest()[:16]
