"""What `paris export` is asked for, and the module that writes it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass

from paris_assets.dag.catalog import Catalog
from paris_assets.errors import UsageError
from paris_assets.export.card import OTHER
from paris_assets.export.image_profiles import Only
from paris_assets.storage.location import Location

OPTIONS = {
    "only": ("parquet",),
    "images": ("parquet",),
    "card": ("parquet",),
    "license": ("hf", "parquet"),
    "subset": ("webdataset",),
    "base": ("wids",),
}
"""Option -> the formats that it goes with."""


@dataclass(frozen=True)
class ExportRequest:
    """What the command line asks for; what is not of its format has no effect.

    Attributes:
        only: which images a table has.
        images: whether it has their files.
        card: whether a data set's card is written beside it.
        license: of the data set, an identifier of the Hugging Face hub.
        subset: of the pool.
        base: what addresses of tars begin with; None: the root's own.
    """

    format: str
    only: Only
    images: bool
    card: bool
    license: str
    subset: str
    base: str | None


def export_request(options: Namespace) -> ExportRequest:
    """What the command line asks for.

    Raises:
        UsageError: an option of another format.
    """
    for name, formats in OPTIONS.items():
        if getattr(options, name) and options.format not in formats:
            raise UsageError(f"--{name} goes with --format {' or '.join(formats)}, not with {options.format}")
    if options.license and options.format == "parquet" and not options.card:
        raise UsageError("--license goes with --card: without one nothing tells it")
    return ExportRequest(
        format=options.format,
        only=options.only or "kept",
        images=options.images,
        card=options.card,
        license=options.license or OTHER,
        subset=options.subset or "selection",
        base=options.base,
    )


def export(catalog: Catalog, out: Location, request: ExportRequest) -> int:
    """Write an export and say what was written; 0.

    Raises:
        UserError: see the command of each format.
    """
    if request.format == "parquet":
        from paris_assets.export.command import export_command

        return export_command(catalog, out, request.only, request.images, request.license if request.card else None)
    if request.format == "webdataset":
        from paris_assets.export.webdataset import webdataset_command

        return webdataset_command(catalog, out, request.subset)
    if request.format == "wids":
        from paris_assets.export.wids import wids_command

        return wids_command(catalog, out, request.base)
    if request.format == "energon":
        from paris_assets.export.energon import energon_command

        return energon_command(catalog, out)
    from paris_assets.export.huggingface import hf_command

    return hf_command(catalog, out, request.license)
