"""The folder of this user for files of remote roots."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from paris_assets.storage.object_store import StorageError


def private_folder() -> Path:
    """The folder below the temporary directory for files of remote roots, which only this user can read or change.

    Raises:
        StorageError: what is there under its name was put there by another user, or is no folder.
    """
    folder = Path(tempfile.gettempdir()) / f"paris_assets-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        found = f"of user {status.st_uid}" if stat.S_ISDIR(status.st_mode) else "no folder, perhaps a link elsewhere"
        raise StorageError(f"{folder} is {found}, so files of a run are not safe there: remove it, or set TMPDIR")
    folder.chmod(0o700)
    return folder
