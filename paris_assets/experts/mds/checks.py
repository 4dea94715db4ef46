"""Judgement on MDS files and their indices."""

import polars as pl

from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.records import ALL, Records
from paris_assets.experts.checks import rejected_latents
from paris_assets.experts.expected import Published
from paris_assets.experts.samples import SampleTables
from paris_assets.formats.mds_reader import MdsFileReader, TornMds, read_index
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.shards import Shards


def mds_complete(
    shard: str,
    files: LocalFiles,
    records: Records,
    expert_mds: pl.LazyFrame,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
    training_split: pl.LazyFrame,
) -> CheckOutcome:
    """MDS files hold every selected image that has a latent once, in the folder of its own cluster."""
    tables = SampleTables(curated_images, captions, cluster_assignments, training_selection, latents, training_split)
    held, torn = Published(tables), 0
    for row in expert_mds.collect().iter_rows(named=True):
        try:
            with MdsFileReader(files.local(row["path"])) as file:
                ids = [file.read(number, ["image_id"])["image_id"] for number in range(len(file))]
        except TornMds:
            torn += 1
            continue
        held.add(row["cluster"], ids)
    found: Figures = {**held.figures(rejected_latents(records, shard)), "torn": torn}
    clauses = {
        "missing": "samples are in no MDS file",
        "twice": "samples are in two MDS files",
        "misplaced": "samples are in the folder of another cluster",
        "torn": "files cannot be read",
    }
    problems = [f"{found[name]} {clause}" for name, clause in clauses.items() if found[name]]
    good = f"{len(held.samples)} samples, each in the folder of its own cluster"
    return CheckOutcome.of(problems, good, found, make_again("expert_mds", shard))


def index_equals_files(files: LocalFiles, mds_index: pl.LazyFrame, expert_mds: Shards) -> CheckOutcome:
    """The index of every folder lists its files, all of them and no other, with their samples, sizes and hashes."""
    made = expert_mds.frame().select("path", "samples", "size_bytes", "sha256").collect()
    wanted = {path: values for path, *values in made.iter_rows()}
    listed: dict[str, list[object]] = {}
    unreadable = twice = 0
    for path in mds_index.select("path").collect()["path"]:
        try:
            entries = read_index(files.location.read(path))
        except (TornMds, FileNotFoundError):
            unreadable += 1
            continue
        folder = path.rpartition("/")[0]
        for entry in entries:
            file = f"{folder}/{entry.path}"
            twice += file in listed
            held = wanted.get(file, [None] * 3)
            listed[file] = [entry.samples, entry.size_bytes, entry.hashes.get("sha256", held[2])]
    found: Figures = {
        "unreadable": unreadable,
        "missing": len(wanted.keys() - listed.keys()),
        "unknown": len(listed.keys() - wanted.keys()),
        "twice": twice,
        "other": sum(wanted[path] != values for path, values in listed.items() if path in wanted),
    }
    clauses = {
        "unreadable": "indices cannot be read",
        "missing": "files are in no index",
        "unknown": "files of indices are not there",
        "twice": "files are listed twice",
        "other": "files have other samples, bytes or hashes than their index says",
    }
    problems = [f"{found[name]} {clause}" for name, clause in clauses.items() if found[name]]
    good = f"{len(listed)} files, each in the index of its folder"
    return CheckOutcome.of(problems, good, {**found, "files": len(wanted)}, make_again("mds_index", ALL))


complete_check = shard_check("expert_mds")(mds_complete)
index_check = all_check("mds_index")(index_equals_files)
