"""Import paths in a profile, ``package.module:Class``: the class, and the version of its code."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import polars as pl

from paris_assets.errors import UserError

SHIPPED = "paris_assets."
OWN_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What a user's code may raise where it is wrong; it is shown with the name of the rule or signal."""


_OWN_MODULE = "run from the folder that holds it, install its package or put it on PYTHONPATH"


def in_words(error: BaseException) -> str:
    """Kind and first line of an error."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


class ImportPathError(UserError, ValueError):
    """An import path leads to nothing; the message says why and what to do."""


def load_class(path: str) -> Any:
    """The class at an import path, whose module may lie in the current folder.

    Raises:
        ImportPathError: it is no import path, or its module cannot be imported or lacks the class.
    """
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        raise ImportPathError(f"{path!r} is no import path: give package.module:Class")
    if not path.startswith(SHIPPED):
        search_current_folder()
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        advice = 'pip install "paris_assets[text]"' if path.startswith(SHIPPED) else _OWN_MODULE
        raise ImportPathError(f"{path}: {error}; {advice}") from error
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ImportPathError(f"{path}: {error}") from error
    except Exception as error:
        if path.startswith(SHIPPED):
            raise
        # Whatever a user's module raises while it is imported is theirs to mend.
        raise ImportPathError(f"{path}: {in_words(error)}") from error


def search_current_folder() -> None:
    """Let modules in the current folder be found, behind all others, by `paris`, `dagster` and their workers alike."""
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)


@cache
def class_version(path: str) -> str | None:
    """What a change of a class's code changes: its attribute ``code_version`` where it has one, else the sha256 of its
    module's file when it was first asked for, joined with that of the file that defines it where the module only passes
    it on. None for classes of this package, whose modules count among those of the asset that uses them.

    Raises:
        ImportPathError: the class cannot be loaded, or has no file.
    """
    if path.startswith(SHIPPED):
        return None
    found = load_class(path)
    declared = getattr(found, "code_version", None)
    if declared is not None:
        return str(declared)
    named = path.partition(":")[0]
    home = found.__module__ if isinstance(found, type | FunctionType) else named
    hashes = [_file_sha256(path, module) for module in dict.fromkeys((named, home))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _file_sha256(path: str, module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:  # none, or one within a zip archive
        said = f"{path}: the file of module {module} cannot be read: give the class an attribute code_version = '1'"
        raise ImportPathError(said) from error
