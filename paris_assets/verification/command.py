"""`paris verify`: what was published, checked against its manifest and, where they lie beside it, the root's tables."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from rich.console import Console

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import asset_graph
from paris_assets.errors import FileError
from paris_assets.experts.manifest import changed_sections
from paris_assets.planning.profile_file import stored_profile
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
    root, name = _place(manifest)
    findings = verify(root, _read(root, name, manifest))
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


def verify(root: Location, manifest: dict[str, Any]) -> Findings:
    """Everything that can be checked of a manifest with what lies beside it."""
    findings = Findings()
    if root.size(REGISTRY) is None:
        findings.notes.append(WITHOUT_TABLES)
        verify_published(root, manifest, findings)
        return findings
    unfinished = changed_settings(root, manifest)
    if unfinished:
        # Tables of these settings beside files of those: every join would differ, and none would be damage.
        _check_half_done(root, manifest, unfinished, findings)
        return findings
    joins = TableJoins(root, manifest, asset_graph(stored_profile(root) or Profile()), findings)
    verify_published(root, manifest, findings, joins.join)
    joins.check_records()
    return findings


def changed_settings(root: Location, manifest: dict[str, Any]) -> list[str]:
    """Settings of the root that are others than those that the manifest was made by: a change was begun since."""
    profile = stored_profile(root)
    return [] if profile is None else changed_sections(profile, manifest["settings"])


def _check_half_done(root: Location, manifest: dict[str, Any], changed: list[str], findings: Findings) -> None:
    """One problem for all that a change, of these sections of the profile, has not reached yet."""
    alone = Findings()
    verify_published(root, manifest, alone)
    files = len({problem.file for problem in alone.problems})
    state = f"{files} published files are changed already" if files else "what is published is whole, as it was before"
    findings.checked += alone.checked
    found = f"those of an earlier run: {', '.join(changed)} changed since, and that change is not finished ({state})"
    findings.problem(MANIFEST, "the settings of the root's profile.yaml", found, "`paris run` finishes it")


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
        raise NoManifest(f"no file {manifest}: give the path or URL of a {MANIFEST}") from error
    return parse_manifest(data, manifest)
