"""The loopback web server that a profile asks for with `ingest.serve`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr


class LoopbackServer(dg.ConfigurableResource):
    """Serves a folder on the loopback interface while a run fetches images; does nothing without a folder."""

    folder: str | None = None
    _address: str | None = PrivateAttr(None)

    @property
    def address(self) -> str | None:
        """`127.0.0.1:port` while serving, else None."""
        return self._address

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[LoopbackServer]:
        """Serve for the time of one run."""
        if self.folder is None:
            yield self
            return
        from paris_assets.ingest.server import serve

        with serve(Path(self.folder)) as address:
            self._address = address
            yield self
