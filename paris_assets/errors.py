"""What a user can cause and mend, and what stops an asset."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

_SPACE = "free some space there, then run again: what is finished stays"
_RIGHTS = "give this user the right to, or name another place"
_DISK = "look at the disk or network that it is on, then run again: what is finished stays"
ADVICE = {
    errno.ENOENT: "name one that is there",
    errno.ENOTDIR: "a part of this path is a file: name a folder",
    errno.EISDIR: "it is a folder: name a file",
    errno.EEXIST: "something else is there: remove it, or name another place",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "name a place that can be written to",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "its links lead back to themselves: mend them",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
}
"""Errors of the operating system that a user causes -> what to do. Others, such as EBADF and EINVAL, are bugs."""


class UserError(Exception):
    """What a user can cause and mend; the message says what is wrong, where and what to do.

    `paris` prints it without a traceback and ends with status 2. Every other exception that reaches it is a bug.
    """


class UsageError(UserError, ValueError):
    """The command cannot be carried out as given."""


class FileError(UserError, OSError):
    """A file or folder that the user named, or that lies below one, cannot be used. Has the errno."""

    def __str__(self) -> str:
        return str(self.strerror)


class BrokenInvariant(ValueError):
    """Something that must never happen has happened; running again would not help. Becomes a Dagster failure."""


class MissingInput(UserError, RuntimeError):
    """A partition that is read has not been made; the message names it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` where a known name is like the one given, else nothing."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


@contextmanager
def explained(path: str | Path, wanted: str = "read", but: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Say what to do about errors of the operating system on a path that is the user's to mend.

    Args:
        path: named in the message; the context has to work on it alone.
        wanted: what cannot be done with it, as a participle.
        but: errors that the caller handles, which pass as they are.

    Raises:
        FileError: in place of an error with a number in ``ADVICE``.
    """
    try:
        yield
    except (UserError, *but):
        raise
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        said = f"{path} cannot be {wanted}: {error.strerror}; {ADVICE[error.errno]}"
        raise FileError(error.errno, said) from error
