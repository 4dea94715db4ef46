"""Any source table's columns -> ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from paris_assets.errors import UserError
from paris_assets.ingest.lists import face_boxes
from paris_assets.ingest.lists.column_names import ALIASES, IMAGE, key, rank
from paris_assets.ingest.lists.texts import looks_like_text, may_hold_texts, row_texts
from paris_assets.ingest.schema import SOURCE_ROWS

# Between slashes, of either kind and number, and the host; clients drop spaces and control characters before it all.
USER = r"^([\s\x00-\x20]*(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?[/\\]+)[^/?#\\]*@"
TEXTS = pa.list_(pa.string())
NO_CAPTIONS = ("errormessage", "exif")  # columns of img2dataset that hold words
EXACT = 2**53  # beyond it a float is no longer a certain integer
BETWEEN_TAGS = "\n"
UNREADABLE_ROW, NO_URL, NO_IMAGE = "unreadable_row", "no_url", "no_image"  # values of `problem`


class SourceError(UserError, ValueError):
    """The source cannot be read as it is; the message names the file and what to do."""


def find_columns(
    schema: Mapping[str, pl.DataType], overrides: Mapping[str, str], where: str, needs_image: bool = True
) -> dict[str, list[str]]:
    """Our column -> the table's, best first, for the columns that the table has.

    Texts may be lists or objects; of the others, columns of lists or structs do not count.

    Args:
        schema: the table's columns.
        overrides: `source.columns` of the profile: our column (or `image`) -> the table's; goes before the aliases.
        where: file named in errors.
        needs_image: whether the table must lead to images; not for metadata beside image files.

    Returns:
        Keys of `source_rows`, and `image` where the table embeds image bytes.

    Raises:
        SourceError: an override that does not fit, or neither a url column nor image bytes.
    """
    _check_overrides(schema, overrides, where)
    usable = {ours: [name for name, kind in schema.items() if _fits(ours, kind)] for ours in ALIASES}
    found = {ours: names_of(ours, usable[ours], overrides) for ours in ALIASES}
    pictures = [name for name, kind in schema.items() if isinstance(kind, pl.Struct) and _holds_bytes(kind)]
    if not found[IMAGE] and len(pictures) == 1:  # a Hugging Face image, whatever it is called
        found[IMAGE] = pictures
    if needs_image and not found["url"] and not found[IMAGE]:
        raise SourceError(
            f"{where} has columns {list(schema)}; needed: a url ({', '.join(ALIASES['url'][:4])} ...) or image bytes "
            f"({', '.join(ALIASES[IMAGE][:3])} ...){_other_kinds(schema)}. Name the right one with source.columns, as "
            "in `--set 'source.columns={url: link}'`; a table that names image files is read with its folder"
        )
    return {ours: names for ours, names in found.items() if names}


def names_of(ours: str, names: Iterable[str], overrides: Mapping[str, str]) -> list[str]:
    """Those of a table's columns that mean one of ours, best first; the order of the table does not matter."""
    if ours in overrides:
        return [name for name in names if name == overrides[ours]]
    ranked = sorted((place, name) for name in names if (place := rank(ours, name)) is not None)
    return [name for _, name in ranked]


def our_columns(table: pl.DataFrame, found: Mapping[str, list[str]]) -> pl.DataFrame:
    """A table's columns under our names, as `normalise` takes them.

    Args:
        found: what `find_columns` gave.
    """
    ours = {name: table[names[0]] for name, names in found.items() if name not in ("url", "text", IMAGE)}
    if urls := found.get("url"):
        strings = [pl.col(name).cast(pl.String) for name in urls]
        filled = [pl.when(url.str.strip_chars() != "").then(url) for url in strings]
        ours["url"] = table.select(pl.coalesce(*filled, *strings)).to_series()
    if texts := found.get("text"):
        ours["text"] = _texts(table.select(texts))
    return pl.DataFrame(ours)


def normalise(table: pl.DataFrame, first_source_row: int, height: int) -> pl.DataFrame:
    """The rows of a table with the columns and types of `source_rows`.

    What the table does not have, and values that are not a number where one is due (NaN, infinities, empty fields),
    become null; texts stay as they are, spaces and all.

    Args:
        table: consecutive rows of the source under our names, of any type; `text` is a list: the text and all others.
        first_source_row: `source_row` of the first row.
        height: number of rows, for a table that may have no column.
    """
    rows = pl.int_range(first_source_row, first_source_row + height, dtype=pl.Int64, eager=True)
    columns = [rows.alias("source_row")]
    if "text" in table.columns:
        texts = table["text"].list
        table = table.with_columns(texts.first().alias("text"), texts.slice(1).alias("alt_texts"))
    for ours, kind in list(SOURCE_ROWS.polars().items())[1:]:
        values = table[ours] if ours in table.columns else pl.Series([None], dtype=kind).new_from_index(0, height)
        read = face_boxes.boxes(values) if ours == face_boxes.COLUMN else _convert(values, kind)
        columns.append(read.alias(ours))
        if ours == "url":  # a user and password in a list are somebody's: never used, never written down
            plain = columns[-1].str.replace_all(r"[\t\r\n]", "")  # as clients do, which then see a user
            columns[-1] = plain.str.replace(USER, "${1}")
    return pl.DataFrame(columns).with_columns(pl.col("alt_texts").fill_null([]))


def texts_in(rows: pl.DataFrame) -> list[list[str]]:
    """The texts of each row: `text`, then `alt_texts`."""
    return [[] if text is None else [text, *others] for text, others in rows.select("text", "alt_texts").iter_rows()]


def with_texts(rows: pl.DataFrame, *found: Sequence[Sequence[str]]) -> pl.DataFrame:
    """Rows with the texts that several sources have for each: the first that is not blank, and all others.

    Args:
        rows: columns of `source_rows`.
        found: of each source, in the order in which they count, the texts of each row.
    """
    texts = arrow_series([row_texts(cells) for cells in zip(*found, strict=True)], TEXTS).list
    return rows.with_columns(text=texts.first(), alt_texts=texts.slice(1))


def with_problems(rows: pl.DataFrame, unreadable: Sequence[bool]) -> pl.DataFrame:
    """Say of rows that are to be fetched why they cannot be: they were not read, or have no url.

    Args:
        rows: columns of `source_rows`; `unreadable` says which of them were no row of the list.
    """
    no_url = pl.col("url").str.strip_chars().fill_null("") == ""
    problem = pl.when(pl.Series(unreadable, dtype=pl.Boolean)).then(pl.lit(UNREADABLE_ROW))
    return rows.with_columns(problem.when(no_url).then(pl.lit(NO_URL)).alias("problem"))


def texts_left_out(
    table: Mapping[str, Iterable[Any]], overrides: Mapping[str, str], usable: Iterable[str] | None = None
) -> list[str]:
    """Columns that nothing is made of, and whose values look like captions; sorted.

    Args:
        table: name -> values of some rows.
        usable: names of the columns that captions may come from; None for all.
    """
    captions = set(names_of("text", table if usable is None else usable, overrides))
    taken = {name for ours in ALIASES if ours != "text" for name in names_of(ours, table, overrides)}
    others = (name for name in set(table) - captions - taken if key(name) not in NO_CAPTIONS)
    return sorted(name for name in others if looks_like_text(table[name]))


def _texts(table: pl.DataFrame) -> pl.Series:
    """The texts of each row of some columns."""
    table = table.with_columns(pl.col(name).dt.to_string() for name, kind in table.schema.items() if kind.is_temporal())
    flat = [name for name, kind in table.schema.items() if not kind.is_nested()]
    table = table.with_columns(pl.col(flat).cast(pl.String))
    if table.width == 1 and flat and not table.to_series().str.contains(r"""^[\[{]["'{]""").any():
        return table.select(pl.concat_list(pl.all().alias("text"))).to_series()
    cells = zip(*(column.to_list() for column in table), strict=True)
    return arrow_series([row_texts(row) for row in cells], TEXTS)


def arrow_series(values: list[Any], kind: pa.DataType) -> pl.Series:
    """Values of one type as a column."""
    return pl.Series(pa.array(values, kind))  # polars itself takes five times as long for lists


def _check_overrides(schema: Mapping[str, pl.DataType], overrides: Mapping[str, str], where: str) -> None:
    unknown = sorted(set(overrides) - set(ALIASES))
    absent = sorted(set(overrides.values()) - set(schema))
    if unknown or absent:
        problem = f"{unknown} are not among ours ({', '.join(ALIASES)})" if unknown else f"{where} has no {absent}"
        raise SourceError(f"source.columns: {problem}; {where} has {list(schema)}")
    if IMAGE in overrides and not _fits(IMAGE, schema[overrides[IMAGE]]):
        raise SourceError(f"source.columns: image: column {overrides[IMAGE]!r} of {where} holds no bytes")
    nested = sorted(name for ours, name in overrides.items() if not _fits(ours, schema[name]))
    if nested:
        held = "no texts" if overrides.get("text") in nested else "lists or structs, not one value per row"
        raise SourceError(f"source.columns: {nested} of {where} hold {held}")


def _other_kinds(schema: Mapping[str, pl.DataType]) -> str:
    """In words, the columns with the name of an address or image that hold something else."""
    named = [name for ours in ("url", IMAGE) for name in names_of(ours, schema, {})]
    held = [f"{name!r} holds {_kind_in_words(schema[name])}" for name in dict.fromkeys(named)]
    return f"; {' and '.join(held)}" if held else ""


def _kind_in_words(kind: pl.DataType) -> str:
    return ("lists" if kind == pl.List else "objects") if kind.is_nested() else "no bytes"


def _fits(ours: str, kind: pl.DataType) -> bool:
    """Whether a column's type can be one of ours."""
    if ours == IMAGE:
        return _holds_bytes(kind)
    if ours == "tags":
        return not kind.is_nested() or kind == pl.List(pl.String)
    if ours == face_boxes.COLUMN:
        return not isinstance(kind, pl.Struct)
    return may_hold_texts(kind) if ours == "text" else not kind.is_nested()


def _holds_bytes(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.Struct):
        return any(field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields)
    return kind == pl.Binary


def _convert(values: pl.Series, kind: pl.DataType) -> pl.Series:
    if values.dtype == pl.List(pl.String) and kind == pl.String:
        return values.list.join(BETWEEN_TAGS, ignore_nulls=True)
    if values.dtype.is_nested():
        return values.cast(kind)
    if values.dtype.is_temporal():
        values = values.dt.to_string()  # polars does not cast durations to text
    if kind == pl.String or values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if kind == pl.Int64 and values.dtype == pl.UInt64:
        return values.reinterpret(signed=True)  # a hash keeps its 64 bits
    if kind == pl.Int64 and values.dtype.is_integer():
        return values.cast(pl.Int64, strict=False)
    if kind == pl.String:
        return values
    text = values.str.strip_chars() if values.dtype == pl.String else None
    floats = (values if text is None else text).cast(pl.Float64, strict=False)
    floats = pl.select(pl.when(floats.is_finite()).then(floats)).to_series()
    if kind == pl.Float64:
        return floats
    rounded = pl.select(pl.when(floats.abs() <= EXACT).then(floats)).to_series().cast(pl.Int64)  # "640.0"
    if text is None:
        return rounded
    unsigned = text.cast(pl.UInt64, strict=False).reinterpret(signed=True)
    return text.cast(pl.Int64, strict=False).fill_null(unsigned).fill_null(rounded)
