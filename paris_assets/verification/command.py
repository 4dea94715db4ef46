"""`paris verify`: what was published, checked against its manifest and, where they lie beside it, the root's tables."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY
from paris_assets.dag.s3 import open_location
from paris_assets.dag.takedowns import TAKEDOWNS, TakedownList
from paris_assets.definitions import asset_graph
from paris_assets.errors import FileError
from paris_assets.experts.published_settings import changed_sections
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.waves import some
from paris_assets.storage.location import Location
from paris_assets.verification.findings import Findings
from paris_assets.verification.manifest_checks import MANIFEST, NoManifest, parse_manifest
from paris_assets.verification.published import verify_published
from paris_assets.verification.table_joins import TableJoins

WITHOUT_TABLES = (
    f"not checked, as no tables of a root ({REGISTRY}) lie beside the manifest: captions, clusters, distances, sizes "
    "and crops of the samples; selection and split; clip_emb.npy, clip.npy and embeddings.npy against the embeddings; "
    "counts of each stage against its records"
)


def verify_command(manifest: str) -> int:
    """Check a manifest at a path or URL and print one line per problem; 0 when all is well, 1 otherwise.

    Raises:
        NoManifest: there is no such file, or it is another.
        FileError: it cannot be read.
    """
    root, held = read_manifest(manifest)
    findings = verify(root, held)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for problem in findings.problems:
        console.print(str(problem), style="red")
    for note in findings.notes:
        console.print(f"note: {note}", style="yellow")
    checked = ", ".join(f"{count:,} {what}" for what, count in sorted(findings.checked.items()))
    count = len(findings.problems)
    problems = "no problems" if not count else "1 problem" if count == 1 else f"{count} problems"
    console.print(f"{problems} under {root.url}; checked {checked}")
    if findings.problems:
        first = "begin with the first, as one defect shows in several joins; " if count > 1 else ""
        console.print(f"{first}add to the commands above: --root {root.url}")
    return 1 if findings.problems else 0


def read_manifest(manifest: str) -> tuple[Location, dict[str, Any]]:
    """The folder of a manifest at a path or URL, or of the one in a root, and its values.

    Raises:
        NoManifest: there is no such file, or it is another.
        FileError: it cannot be read.
    """
    root, name = _place(manifest)
    return root, _read(root, name, manifest)


def verify(root: Location, manifest: dict[str, Any]) -> Findings:
    """Everything that can be checked of a manifest with what lies beside it."""
    findings = Findings()
    if root.size(REGISTRY) is None:
        findings.notes.append(WITHOUT_TABLES)
        verify_published(root, manifest, findings)
        return findings
    unfinished = begun_since(root, manifest)
    if unfinished:
        # Tables of one state beside files of another: joins would differ, and none would be damage.
        _check_half_done(root, manifest, unfinished, findings)
        return findings
    joins = TableJoins(root, manifest, asset_graph(stored_profile(root) or Profile()), findings)
    verify_published(root, manifest, findings, joins.join)
    joins.check_records()
    return findings


def begun_since(root: Location, manifest: dict[str, Any]) -> tuple[str, str] | None:
    """(what the manifest should speak of, what it speaks of) where settings, or the source, have changed since it was
    written, or images were taken down, and no run has finished that."""
    profile = stored_profile(root)
    changed = [] if profile is None else changed_sections(profile, manifest["settings"])
    if changed:
        return "the settings of the root's profile.yaml", f"those of an earlier run: {', '.join(changed)} changed since"
    held = root.read(TAKEDOWNS) if root.size(TAKEDOWNS) is not None else None
    listed = TakedownList.parse(held, root.uri(TAKEDOWNS))
    if listed.published() != manifest.get("takedowns", {}):
        return f"takedowns of {len(listed.image_ids)} images", "one from before the last was asked for"
    with root.open(REGISTRY) as file:
        registered = pl.read_parquet(file, columns=["shard"])["shard"].to_list()
    new = [shard for shard in registered if shard not in {*manifest["shards"], *manifest["shards_missing"]}]
    return (f"all {len(registered)} shards", f"those before {some(new)} came") if new else None


def _check_half_done(root: Location, manifest: dict[str, Any], unfinished: tuple[str, str], findings: Findings) -> None:
    """One problem for all that a change has not reached yet."""
    alone, (expected, found) = Findings(), unfinished
    verify_published(root, manifest, alone)
    files = len({problem.file for problem in alone.problems})
    state = f"{files} published files are changed already" if files else "what is published is whole, as it was before"
    findings.checked += alone.checked
    said = f"{found}, and that change is not finished ({state})"
    findings.problem(MANIFEST, expected, said, "`paris run` finishes it")


def _place(manifest: str) -> tuple[Location, str]:
    """The folder of a manifest and its name there; a root stands for the manifest in it."""
    is_root = not manifest.endswith(".json") if "://" in manifest else Path(manifest).is_dir()
    if is_root:
        manifest = f"{manifest.rstrip('/')}/{MANIFEST}"
    address = manifest if "://" in manifest else str(Path(manifest).absolute())
    folder, _, name = address.rpartition("/")
    return open_location(f"{folder}/"), name


def _read(root: Location, name: str, manifest: str) -> dict[str, Any]:
    try:
        data = root.read(name)
    except (FileNotFoundError, FileError) as error:
        # An object store that has no such object gives no number.
        if isinstance(error, FileError) and error.errno not in (errno.ENOTDIR, errno.EISDIR):
            raise
        if name == MANIFEST and root.size(REGISTRY) is not None:
            said = f"nothing is published under {root.url} yet: `paris run --root {root.url}` finishes it"
            raise NoManifest(said) from error
        raise NoManifest(
            f"{manifest} is no root and no manifest: give a root, or the path or URL of a {MANIFEST}"
        ) from error
    return parse_manifest(data, manifest)
