"""Answers that models gave over the network, kept in a file on this machine."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Lock
from typing import Self

from paris_assets.errors import UserError

WAIT_S = 60.0


class AnswersError(UserError, OSError):
    """The file of answers cannot be used; the message names it."""


class Answers:
    """Key -> answer, for all threads of this process and all processes of this machine; an answer is kept once given.

    Args:
        path: SQLite file; made with its folder where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, WAIT_S, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID")
        except (OSError, sqlite3.Error) as error:
            raise AnswersError(f"answers cannot be kept in {path}: {error}; name another file in `cache`") from error

    def get(self, key: str) -> str | None:
        """The answer, or None."""
        with self._lock:
            found = self._file.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def put(self, key: str, answer: str) -> None:
        """Keep an answer."""
        with self._lock:
            self._file.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
