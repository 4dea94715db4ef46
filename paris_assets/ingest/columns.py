"""Any source table's columns -> ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

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

SOURCE_SCHEMA = {
    "source_row": pl.Int64,
    "url": pl.String,
    "text": pl.String,
    "source_width": pl.Int64,
    "source_height": pl.Int64,
    "aesthetic": pl.Float64,
    "similarity": pl.Float64,
    "punsafe": pl.Float64,
    "pwatermark": pl.Float64,
    "uid": pl.String,
    "source_hash": pl.Int64,
    "locator": pl.String,
}


class SourceError(ValueError):
    """The source cannot be read as it is; the message names the file and what to do."""


def find_columns(
    schema: Mapping[str, pl.DataType], overrides: Mapping[str, str], where: str, needs_image: bool = True
) -> dict[str, str]:
    """Our column -> the table's, for the columns that the table has.

    Args:
        schema: the table's columns.
        overrides: `source.columns` of the profile: our column (or `image`) -> the table's; goes before the aliases.
        where: file named in errors.
        needs_image: whether the table must lead to images; not for metadata beside image files.

    Returns:
        Keys of `SOURCE_SCHEMA`, and `image` where the table embeds image bytes.

    Raises:
        SourceError: an override that does not fit, or neither a url column nor image bytes.
    """
    unknown = sorted(set(overrides) - set(ALIASES) - {"image"})
    absent = sorted(set(overrides.values()) - set(schema))
    if unknown or absent:
        accepted = ", ".join([*ALIASES, "image"])
        problem = f"{unknown} are not among ours ({accepted})" if unknown else f"{where} has no {absent}"
        raise SourceError(f"source.columns: {problem}; {where} has {list(schema)}")
    found = {
        ours: next(name for name in aliases if name in schema)
        for ours, aliases in ALIASES.items()
        if any(name in schema for name in aliases)
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


def from_records(
    records: Sequence[Mapping[str, Any]],
    overrides: Mapping[str, str],
    where: str,
    first_source_row: int,
    **options: bool,
) -> pl.DataFrame:
    """`normalise` for rows that are mappings with keys of their own (JSON); `options` go to `find_columns`."""
    names = dict.fromkeys(name for record in records for name in record)
    found = find_columns(dict.fromkeys(names, pl.String()), overrides, where, **options)
    values = {name: [record.get(name) for record in records] for name in found.values()}
    table = pl.DataFrame([pl.Series(name, column, strict=False) for name, column in values.items()])
    return normalise(table, found, first_source_row, len(records))


def normalise(
    table: pl.DataFrame, found: Mapping[str, str], first_source_row: int, height: int | None = None
) -> pl.DataFrame:
    """The rows of a table with the columns and types of `SOURCE_SCHEMA`.

    What the table does not have, and values that are not a number where one is due (NaN, empty fields), become null.

    Args:
        table: consecutive rows of the source.
        found: our column -> the table's, from `find_columns`.
        first_source_row: `source_row` of the first row.
        height: number of rows, for a table that may have no column.
    """
    height = table.height if height is None else height
    rows = pl.int_range(first_source_row, first_source_row + height, dtype=pl.Int64, eager=True)
    columns = [rows.alias("source_row")]
    for ours, kind in list(SOURCE_SCHEMA.items())[1:]:
        values = table[found[ours]] if ours in found else pl.Series([None], dtype=kind).new_from_index(0, height)
        columns.append(_convert(values, kind).alias(ours))
    return pl.DataFrame(columns)


def _convert(values: pl.Series, kind: type[pl.DataType]) -> pl.Series:
    if kind == pl.Int64 and values.dtype == pl.UInt64:
        return values.reinterpret(signed=True)  # a hash keeps its 64 bits
    if kind == pl.Int64 and values.dtype == pl.String:
        exact = values.str.strip_chars().cast(pl.Int64, strict=False)
        rough = values.str.strip_chars().cast(pl.Float64, strict=False)  # "640.0"
        return exact.fill_null(rough.fill_nan(None).cast(pl.Int64, strict=False))
    if kind != pl.String:
        values = values.str.strip_chars() if values.dtype == pl.String else values
        values = values.cast(pl.Float64, strict=False) if not values.dtype.is_integer() else values
        values = values.fill_nan(None) if values.dtype.is_float() else values
    return values.cast(kind, strict=False)


def _holds_bytes(kind: pl.DataType) -> bool:
    if isinstance(kind, pl.Struct):
        return any(field.name == "bytes" and field.dtype == pl.Binary for field in kind.fields)
    return kind == pl.Binary
