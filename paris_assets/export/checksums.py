"""What an export holds, with hashes that `sha256sum -c SHA256SUMS` checks."""

from __future__ import annotations

import hashlib
from pathlib import Path

from paris_assets.export.folder import put_changed
from paris_assets.export.placing import put_unless_same
from paris_assets.storage.location import Location, sha256_file

SUMS = "SHA256SUMS"


class Checksums:
    """Files of an export as they are put there.

    Attributes:
        files: path -> sha256.
    """

    def __init__(self, place: Location) -> None:
        self.files: dict[str, str] = {}
        self._place, self._before = place, _listed(place)

    def file(self, path: str, local: Path, sha256: str | None = None) -> str:
        """Put a scratch file where the same is not there yet; its hash.

        Args:
            sha256: where it is known.
        """
        self.files[path] = sha256 or sha256_file(local)
        put_unless_same(local, self._place, path)
        return self.files[path]

    def there(self, path: str, new: bool = False) -> str | None:
        """Take a file as it is; its hash, or None where there is none, or it was changed since it was listed.

        Args:
            new: it was written since then.
        """
        with self._place.scratch() as scratch:
            try:
                found = sha256_file(self._place.fetch(path, scratch))
            except FileNotFoundError:
                return None
        if not new and self._before.get(path, found) != found:
            return None
        self.files[path] = found
        return found

    def bytes(self, path: str, data: bytes) -> None:
        """Put a small file where it does not hold the same."""
        self.files[path] = hashlib.sha256(data).hexdigest()
        put_changed(self._place, data, path)

    def text(self, path: str, text: str) -> None:
        """The same of a text."""
        self.bytes(path, text.encode())

    def finish(self) -> None:
        """Write the list, sorted by path, as coreutils' sha256sum writes and reads it."""
        lines = [f"{sha256}  {path}\n" for path, sha256 in sorted(self.files.items())]
        put_changed(self._place, "".join(lines).encode(), SUMS)


def _listed(place: Location) -> dict[str, str]:
    """Path -> sha256, of an earlier list."""
    try:
        lines = place.read(SUMS).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {path: sha256 for sha256, _, path in (line.partition("  ") for line in lines)}
