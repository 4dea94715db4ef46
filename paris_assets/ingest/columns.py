"""Any source table's columns -> ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from paris_assets.errors import UserError
from paris_assets.ingest.schema import SOURCE_ROWS

ALIASES: dict[str, tuple[str, ...]] = {
    "url": ("URL", "url", "image_url"),
    "text": ("TEXT", "text", "caption", "alt_txt", "laion_2b"),
    "source_width": ("WIDTH", "original_width", "width"),
    "source_height": ("HEIGHT", "original_height", "height"),
    # CLIP scores measure agreement of image and text and are no aesthetic scores, whatever their range.
    "aesthetic": ("AESTHETIC_SCORE", "aesthetic", "aesthetic_score_laion_v2"),
    "similarity": ("similarity", "CLIP_SCORE", "clip_score", "clip_l14_similarity_score"),
    "punsafe": ("punsafe",),
    "pwatermark": ("pwatermark",),
    "uid": ("uid",),
    "source_hash": ("hash",),
}
IMAGE_ALIASES = ("image", "jpg", "bytes")
# Between slashes, of either kind and number, and the host; clients drop spaces and control characters before it all.
USER = r"^([\s\x00-\x20]*(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?[/\\]+)[^/?#\\]*@"
EXACT = 2**53  # beyond it a float is no longer a certain integer


class SourceError(UserError, ValueError):
    """The source cannot be read as it is; the message names the file and what to do."""


def find_columns(
    schema: Mapping[str, pl.DataType], overrides: Mapping[str, str], where: str, needs_image: bool = True
) -> dict[str, str]:
    """Our column -> the table's, for the columns that the table has; columns of lists or structs do not count.

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
    unknown = sorted(set(overrides) - set(ALIASES) - {"image"})
    absent = sorted(set(overrides.values()) - set(schema))
    if unknown or absent:
        accepted = ", ".join([*ALIASES, "image"])
        problem = f"{unknown} are not among ours ({accepted})" if unknown else f"{where} has no {absent}"
        raise SourceError(f"source.columns: {problem}; {where} has {list(schema)}")
    usable = {name for name, kind in schema.items() if not kind.is_nested()}
    nested = sorted(name for ours, name in overrides.items() if ours != "image" and name not in usable)
    if nested:
        raise SourceError(f"source.columns: {nested} of {where} hold lists or structs, not one value per row")
    found = {
        ours: next(name for name in aliases if name in usable)
        for ours, aliases in ALIASES.items()
        if not usable.isdisjoint(aliases)
    }
    image = next((name for name in IMAGE_ALIASES if name in schema and _holds_bytes(schema[name])), None)
    found |= ({"image": image} if image else {}) | dict(overrides)
    if "image" in overrides and not _holds_bytes(schema[overrides["image"]]):
        raise SourceError(f"source.columns: image: column {overrides['image']!r} of {where} holds no bytes")
    if needs_image and "url" not in found and "image" not in found:
        raise SourceError(
            f"{where} has columns {list(schema)}; needed: a url ({', '.join(ALIASES['url'])}) or image bytes "
            f"({', '.join(IMAGE_ALIASES)}). Name the right one with source.columns, such as "
            "`--set 'source.columns={url: link}'`"
        )
    return found


def check_records(
    records: Iterable[Mapping[str, Any]], overrides: Mapping[str, str], where: str, needs_image: bool = True
) -> None:
    """`find_columns` for the first rows of a source whose rows are mappings with keys of their own (JSON)."""
    names = dict.fromkeys(name for record in records for name in record)
    find_columns(dict.fromkeys(names, pl.String()), overrides, where, needs_image)


def from_records(
    records: Sequence[Mapping[str, Any]], overrides: Mapping[str, str], first_source_row: int
) -> pl.DataFrame:
    """`normalise` for rows that are mappings with keys of their own (JSON).

    Each row is read by its own keys, so that it does not matter which rows share its shard; a row without any of ours
    is a row of nulls.
    """
    present = {name for record in records for name in record}
    accepted = {**ALIASES, **{ours: (name,) for ours, name in overrides.items()}}
    columns = {}
    for ours in ALIASES:
        names = [name for name in accepted[ours] if name in present]
        if names:
            columns[ours] = pl.Series([_cell(record, names) for record in records], dtype=pl.String)
    return normalise(pl.DataFrame(columns), dict(zip(columns, columns, strict=True)), first_source_row, len(records))


def _cell(record: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of these columns that the row has, as text that reads back as the same value."""
    value = next((record[name] for name in names if name in record), None)
    if isinstance(value, str):
        return without_surrogates(value)
    return repr(value) if isinstance(value, int | float) else None


def without_surrogates(text: str) -> str:
    """Text with half surrogate pairs, which JSON may escape and which are no text, replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def normalise(
    table: pl.DataFrame, found: Mapping[str, str], first_source_row: int, height: int | None = None
) -> pl.DataFrame:
    """The rows of a table with the columns and types of `source_rows`.

    What the table does not have, and values that are not a number where one is due (NaN, infinities, empty fields),
    become null; texts stay as they are, spaces and all.

    Args:
        table: consecutive rows of the source.
        found: our column -> the table's, from `find_columns`.
        first_source_row: `source_row` of the first row.
        height: number of rows, for a table that may have no column.
    """
    height = table.height if height is None else height
    rows = pl.int_range(first_source_row, first_source_row + height, dtype=pl.Int64, eager=True)
    columns = [rows.alias("source_row")]
    for ours, kind in list(SOURCE_ROWS.polars().items())[1:]:
        values = table[found[ours]] if ours in found else pl.Series([None], dtype=kind).new_from_index(0, height)
        columns.append(_convert(values, kind).alias(ours))
        if ours == "url":  # a user and password in a list are somebody's: never used, never written down
            plain = columns[-1].str.replace_all(r"[\t\r\n]", "")  # as clients do, which then see a user
            columns[-1] = plain.str.replace(USER, "${1}")
    return pl.DataFrame(columns)


def _convert(values: pl.Series, kind: pl.DataType) -> pl.Series:
    if values.dtype == pl.Binary:
        texts = [None if value is None else value.decode(errors="replace") for value in values]
        values = pl.Series(texts, dtype=pl.String)
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


def _holds_bytes(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.Struct):
        return any(field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields)
    return kind == pl.Binary
