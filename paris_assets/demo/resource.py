"""The loopback web server that a profile asks for with `ingest.serve`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg


@dataclass(frozen=True)
class LoopbackServer:
    """Where a folder is served on the loopback interface: `127.0.0.1:port`, or None where no folder is."""

    address: str | None


def loopback_server(folder: str | None) -> dg.ResourceDefinition:
    """Serves a folder for the time of one run that fetches images; does nothing without a folder.

    A plain resource, not a configurable one: what is served is a setting of the profile, not of a run.
    """

    def loopback_server(_: dg.InitResourceContext) -> Iterator[LoopbackServer]:
        if folder is None:
            yield LoopbackServer(None)
            return
        from paris_assets.demo.server import serve

        with serve(Path(folder)) as address:
            yield LoopbackServer(address)

    said = "Serves a folder on the loopback interface while a run fetches images, where the profile says so."
    return dg.ResourceDefinition(loopback_server, description=said)
