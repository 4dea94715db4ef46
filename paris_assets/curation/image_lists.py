"""Lists of images to leave out, or to see more often, with reasons: CSV files that `paris search --write` makes.

Columns: `image_id` and `reason`; `boost`, a factor, may be there, and whatever else.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import polars as pl

from paris_assets.errors import FileError, UsageError, UserError, explained
from paris_assets.settings.curation import FACTOR, Curation, ImageList
from paris_assets.settings.local_path import local_path

ID = "^[0-9a-f]{32}$"
COLUMNS = ("image_id", "reason")
_LISTED = pl.Schema({"image_id": pl.String, "reason": pl.String, "boost": pl.Float64})


class ListError(UserError, ValueError):
    """A list of images cannot be used; the message names the file and the line."""


def listed(lists: Iterable[ImageList], factor: float | None = None) -> pl.DataFrame:
    """`image_id`, `reason` and `boost` of the images of all lists, each image once: its reason is that of the first
    list, its factor the largest.

    Args:
        factor: `boost` where a list gives none.

    Raises:
        ListError: one is no such list; names the file and the line.
        FileError: one cannot be read.
    """
    rows = pl.concat([pl.DataFrame(schema=_LISTED), *(_read(each.path) for each in lists)])
    rows = rows.with_columns(pl.col("boost").fill_null(factor)) if factor is not None else rows
    return rows.group_by("image_id", maintain_order=True).agg(pl.col("reason").first(), pl.col("boost").max())


def boosts(settings: Curation) -> pl.DataFrame | None:
    """`image_id` and `boost` of the images of `curation.boost`; None under a profile without such lists.

    Raises:
        ListError, FileError: see ``listed``.
    """
    if not settings.boost:
        return None
    return listed(settings.boost, settings.boost_factor).select("image_id", "boost")


def list_problems(lists: Iterable[ImageList]) -> list[str]:
    """Why lists cannot be used, each with its file and line; empty where all can."""
    problems = []
    for each in lists:
        try:
            _read(each.path)
        except (ListError, FileError) as error:
            problems.append(str(error))
    return problems


def write_list(path: str, found: pl.DataFrame, reason: str, factor: float | None = None) -> None:
    """Write a list of found images.

    Args:
        found: `image_id`, `cosine` and `query`; an image that several queries found is listed once, by the nearest.
        reason: why they are listed.
        factor: of a list for `curation.boost`.

    Raises:
        UsageError: the file is there already.
        FileError: it cannot be written.
    """
    one_line = pl.col("query").str.replace_all(r"\s+", " ")
    nearest = found.sort(-pl.col("cosine"), "image_id").unique("image_id", keep="first", maintain_order=True)
    rows = nearest.select("image_id", pl.col("cosine").round(6), one_line, reason=pl.lit(" ".join(reason.split())))
    rows = rows if factor is None else rows.with_columns(boost=pl.lit(factor))
    try:
        with explained(path, "written", but=(FileExistsError,)), open(path, "x", encoding="utf-8", newline="") as file:
            file.write(rows.write_csv())
    except FileExistsError as error:
        raise UsageError(f"{path} is there already: name another file, or remove it") from error


def _read(path: str) -> pl.DataFrame:
    file = local_path(path)
    if file is None:
        raise ListError(f"{path} is no file of this machine: a list of images is a CSV file on its disk")
    with explained(path):
        status = Path(file).stat()
        return _read_version(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_version(path: str, _size: int, _changed: int) -> pl.DataFrame:
    try:
        rows = pl.read_csv(io.BytesIO(Path(path).read_bytes()), infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise ListError(f"{path} is no CSV with a line of column names: {error}".partition("\n")[0]) from error
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ListError(f"{path}, line 1: no column {' and '.join(missing)}; there are {', '.join(rows.columns)}")
    rows = rows if "boost" in rows.columns else rows.with_columns(boost=pl.lit(None, pl.String))
    factor = pl.col("boost").cast(pl.Float64, strict=False)
    no_factor = pl.col("boost").is_not_null() & ~factor.is_between(*FACTOR).fill_null(False)
    wrong = {
        "image_id": (~pl.col("image_id").str.contains(ID), "is not 32 hexadecimal digits"),
        "reason": (pl.col("reason").str.strip_chars() == "", "says nothing"),
        "boost": (no_factor, f"is no number from {FACTOR[0]:g} to {FACTOR[1]:g}"),
    }
    for column, (is_wrong, said) in wrong.items():
        lines = rows.with_row_index("line", 2).filter(is_wrong.fill_null(True))
        if lines.height:
            raise ListError(f"{path}, line {lines['line'][0]}: {column} {lines[column][0] or ''!r} {said}")
    return rows.select("image_id", "reason", boost=factor).cast(_LISTED)
