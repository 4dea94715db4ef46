"""The log of a training: a line of JSON for every so many steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paris_assets.errors import explained


class StepLog:
    """Appends lines to a file, and says them.

    Args:
        step: that is gone on from: lines of later ones, which are taken again, are dropped, and one that is torn.
        say: is given each line.
    """

    def __init__(self, path: Path, step: int, say: Callable[[str], None]) -> None:
        self._path, self._say = path, say
        with explained(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text().splitlines(keepends=True) if path.exists() else []
            draft = path.with_suffix(".draft")
            draft.write_text(
                "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step)
            )
            draft.replace(path)

    def add(self, step: int, **figures: Any) -> None:
        """Write the figures of a step.

        Raises:
            FileError: the file cannot be written.
        """
        line = json.dumps({"step": step, **figures})
        with explained(self._path, "written"), open(self._path, "a") as file:
            file.write(f"{line}\n")
        self._say(line)
