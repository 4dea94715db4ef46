"""The index of each folder of MDS files against these files and the manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paris_assets.formats.mds_reader import MdsEntry, MdsFileReader, TornMds, read_index
from paris_assets.storage.hashed_file import HASHES, hashes_of
from paris_assets.verification.findings import Findings


def read_indices(
    listed: Mapping[str, Mapping[str, Any]], indices: Mapping[str, Path | None], findings: Findings
) -> dict[str, MdsEntry]:
    """Path -> what an index says of each MDS file. Indices list the files of their folder, all of them and no other,
    with the samples, size and hash that the manifest states.

    Args:
        listed: path -> what the manifest says of a file, of all files.
        indices: path -> local file of each `index.json`, None where it is lost.
    """
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for path in listed:
        if path.startswith("expert_mds/") and path.endswith((".mds", ".zstd")):
            folders[path.rpartition("/")[0]].add(path)
    for folder in sorted(folders.keys() - {path.rpartition("/")[0] for path in indices}):
        findings.problem(f"{folder}/index.json", "an index of the folder", "none")
    found: dict[str, MdsEntry] = {}
    for path, local in sorted(indices.items()):
        folder = path.rpartition("/")[0]
        try:
            entries = [] if local is None else read_index(local.read_bytes())
        except TornMds as error:
            findings.problem(path, "an index of MDS files", str(error))
            continue
        named = {f"{folder}/{entry.path}": entry for entry in entries}
        if local is not None:
            missing = sorted(folders[folder] - set(named))
            findings.samples(path, "every MDS file of the folder", "none of a file", missing)
            if len(named) < len(entries):
                findings.problem(path, "every MDS file once", "one listed twice")
        for file, entry in named.items():
            if wrong := _difference(entry, listed.get(file)):
                findings.problem(path, f"{file} as the manifest lists it", wrong)
        found |= named
    return found


def check_hashes(path: str, local: Path, file: MdsFileReader, entry: MdsEntry, findings: Findings) -> None:
    """The hashes that an index states of a file, as it is stored and before compression; sha256 of the former is
    compared elsewhere."""
    stated = [(entry.raw_hashes, file.data, "unpacked")]
    if entry.compression:
        stated.append((entry.hashes, memoryview(local.read_bytes()), "stored"))
    for hashes, data, what in stated:
        names = [name for name in hashes if name in HASHES and not (name == "sha256" and hashes is entry.hashes)]
        found = hashes_of(data, names)
        if wrong := [name for name, value in found.items() if hashes[name] != value]:
            findings.problem(path, f"{what} bytes of the {', '.join(wrong)} in its index", "others")
    if entry.raw_bytes != len(file.data) or entry.columns != {c.name: c.encoding for c in file.columns.columns}:
        findings.problem(path, "the bytes and columns that its index states", "others")


def _difference(entry: MdsEntry, held: Mapping[str, Any] | None) -> str:
    if held is None:
        return "a file that it does not list"
    said = {"samples": entry.samples, "size_bytes": entry.size_bytes, "sha256": entry.hashes.get("sha256")}
    other = [name for name, value in said.items() if value is not None and held.get(name) != value]
    return f"another {', '.join(other)}" if other else ""
