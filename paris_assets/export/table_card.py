"""The card of an exported table, with `--card`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from paris_assets.dag.catalog import Catalog
from paris_assets.errors import MissingInput, UsageError
from paris_assets.export.card import Card
from paris_assets.export.checksums import Checksums
from paris_assets.export.fields import TABLE
from paris_assets.export.parquet import footer
from paris_assets.export.parts import Config, part
from paris_assets.export.provenance import provenance
from paris_assets.storage.location import Location

SAID = (
    "A row per picture, as paris_assets measured it: address, size, signals, scores, embeddings, caption, and what was "
    "decided of it and why."
)
LOAD = """\
import datasets

data = datasets.load_dataset("FOLDER", split="train")"""


def write_table_card(catalog: Catalog, out: Location, files: Iterable[tuple[str, bool]], license: str) -> None:
    """Write card, Croissant, provenance and checksums of an exported table.

    Args:
        files: path, and whether it was there before, of every file of the table.

    Raises:
        UsageError: a file was changed since an earlier export listed it.
    """
    sums, parts, schema = Checksums(out), [], None
    for path, kept in files:
        told, sha256 = footer(out, path), sums.there(path, new=not kept)
        if told is None or sha256 is None:
            raise UsageError(f"{out.uri(path)} was changed since it was exported: delete it, and export again")
        parts.append(part(path, told, out.size(path) or 0, sha256, kept))
        schema = schema or told.schema.to_arrow_schema()
    if schema is None:
        raise MissingInput("there is no file to describe")
    config = Config(TABLE, "A row per picture", {"train": (f"{TABLE}/*.parquet", parts)})
    version = hashlib.sha256("".join(each.sha256 for each in parts).encode()).hexdigest()[:16]
    origin = provenance(catalog, out, [each.path for each in parts])
    name = f"{catalog.profile.name} images"
    Card(name, SAID, LOAD, [], [config], None, schema, license, version, origin).write(sums)
    sums.finish()
