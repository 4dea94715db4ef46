"""Whether what lies under a root may be used, once a run has ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.failed_checks import failed_checks
from paris_assets.dag.records import ALL
from paris_assets.definitions import LAST_ASSET, asset_checks
from paris_assets.planning.waves import some
from paris_assets.runs.execution import open_instance
from paris_assets.runs.rejections import nothing_left
from paris_assets.runs.run import Request, selected_assets
from paris_assets.storage.location import Location


def unsound(catalog: Catalog, request: Request, console: Console) -> bool:
    """Whether a check of severity ERROR fails on what was asked for, no image is left, or all is made and nothing is
    published."""
    chosen, _ = selected_assets(catalog, request)
    keys = [check.key for check in asset_checks(catalog.graph) if check.key.asset_key.to_user_string() in chosen]
    instance = open_instance(catalog.location)
    failed = [one for one in failed_checks(instance, keys) if one.severity == "ERROR"]
    for one in failed:
        where, found = some(one.shards), one.evaluation.description
        said = f"check {one.asset} {one.key.name} fails with severity ERROR [{where}]: {found}"
        console.print(said, style="red", markup=False, soft_wrap=True)
    if failed:
        hint = (
            "what was made stays; a bound at fault is changed in `checks`, a check that may fail is in checks.warn_only"
        )
        console.print(hint, style="red", markup=False, soft_wrap=True)
    none = nothing_left(catalog)
    if none:
        console.print(none, style="red", markup=False, soft_wrap=True)
    empty = LAST_ASSET in chosen and catalog.done(LAST_ASSET, ALL) and not published_samples(catalog)
    if empty:
        console.print(f"nothing is published under {catalog.location.url}: no image is left", style="red", markup=False)
    return bool(failed) or none is not None or empty


def published_samples(catalog: Catalog) -> int:
    """Samples of all shards that the manifest speaks of."""
    records = [catalog.record("router_arrays", shard) for shard in catalog.shards()]
    return sum(record.rows for record in records if record)


def remove_empty_folders(root: Location) -> None:
    """Remove folders of experts that there are no more, as after a smaller k; only for who holds the root."""
    if root.remote:
        return
    of_mds = (path for path in Path(root.url).glob("expert_mds/cluster_*/**/") if path.is_dir())
    for folder in [*Path(root.url).glob("expert_shards/cluster_*"), *sorted(of_mds, reverse=True)]:
        with suppress(OSError):  # it holds something, or is none
            folder.rmdir()
