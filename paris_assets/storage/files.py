"""Files of a root on the local disk: themselves, or copies of remote ones for as long as they are used."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from paris_assets.storage.location import Location


class LocalFiles:
    """Files below a root, opened as local ones."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._copies: dict[str, Path] = {}
        self._folders = ExitStack()

    def local(self, path: str) -> Path:
        """A local copy of a file, kept until ``close``; the file itself when the root is local.

        Raises:
            FileNotFoundError: there is none.
        """
        if not self.location.remote:
            return self.location.fetch(path, Path())
        if path not in self._copies:
            self._copies[path] = self.location.fetch(path, self._folders.enter_context(self.location.scratch()))
        return self._copies[path]

    def forget(self, path: str) -> None:
        """A file is about to be replaced: it is fetched again when it is asked for."""
        self._copies.pop(path, None)

    def close(self) -> None:
        """Remove the copies; one that is asked for later is fetched again."""
        self._copies.clear()
        self._folders.close()
