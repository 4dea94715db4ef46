"""Judgement on what is published."""

import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from paris_assets.config import Checks, Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.records import ALL, Records
from paris_assets.experts.expected import Published, larger_members, lost_samples, published_clusters
from paris_assets.experts.router import ARRAYS, OPTIONAL, array_path
from paris_assets.experts.samples import SampleTables
from paris_assets.formats.codec import ArrayCodec, encode, read_codecs
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.shards import Shards

REQUESTS_IN_FLIGHT = 32
MEMBERS = {"caption.txt", "clip_emb.npy", "latent.npy", "metadata.json"}


def shards_complete(
    shard: str,
    files: LocalFiles,
    records: Records,
    expert_shards: pl.LazyFrame,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
    training_split: pl.LazyFrame,
    profile: Profile,
) -> CheckOutcome:
    """Expert tars hold every selected image that has a latent once, in its own cluster's tar, with all its members.

    Those are the latents of every size that it has, too. A selected image without latent counts as missing unless the
    latents stage rejected it for a reason.
    """
    tables = SampleTables(curated_images, captions, cluster_assignments, training_selection, latents, training_split)
    held, larger, torn = Published(tables), larger_members(latents, profile), 0
    for row in expert_shards.collect().iter_rows(named=True):
        members: dict[str, set[str]] = {}
        with tarfile.open(files.local(row["path"])) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                members.setdefault(key, set()).add(kind)
        held.add(row["cluster"], members)
        torn += sum(kinds != MEMBERS | larger.get(key, set()) for key, kinds in members.items())
    found: Figures = {**held.figures(rejected_latents(records, shard)), "incomplete": torn}
    clauses = {
        "missing": "samples are in no tar",
        "twice": "samples are in two tars",
        "misplaced": "samples are in the tar of another cluster",
        "incomplete": "samples lack a member, or have one too many",
    }
    problems = [f"{found[name]} {clause}" for name, clause in clauses.items() if found[name]]
    good = f"{len(held.samples)} samples, each in its own cluster's tar with all its members"
    return CheckOutcome.of(problems, good, found, make_again("expert_shards", shard))


def samples_sound(shard: str, files: LocalFiles, expert_shards: pl.LazyFrame) -> CheckOutcome:
    """What `paris lint` would say of these tars: names and order of all samples, and arrays, JSON and text of some.

    Of each tar the members of 32 samples, spread evenly, are read; `paris lint` and `paris verify` read all.
    """
    from paris_assets.lint.sampled import lint_sampled

    rows = expert_shards.select("path", "samples").collect().rows()
    problems = lint_sampled({path: (files.local(path), samples) for path, samples in rows}, MEMBERS)
    said = [f"{problem.file} {problem.key}: {problem.what}" for problem in problems[:3]]
    more = [f"and {len(problems) - 3} more"] if len(problems) > 3 else []
    figures: Figures = {"tars": len(rows), "problems": len(problems)}
    good = f"nothing to find fault with in {len(rows)} tars"
    return CheckOutcome.of([*said, *more], good, figures, make_again("expert_shards", shard))


def rows_aligned(
    shard: str,
    profile: Profile,
    files: LocalFiles,
    records: Records,
    curated_images: pl.LazyFrame,
    captions: pl.LazyFrame,
    text_embeddings: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    cluster_assignments: pl.LazyFrame,
    training_selection: pl.LazyFrame,
    latents: pl.LazyFrame,
    training_split: pl.LazyFrame,
) -> CheckOutcome:
    """All router arrays have the same rows, in the order of their ids, and hold what the tables say of these ids."""
    tables = SampleTables(curated_images, captions, cluster_assignments, training_selection, latents, training_split)
    absent = () if "pooled" in text_embeddings.collect_schema() else OPTIONAL
    paths = {name: files.local(array_path(shard, name)) for name in ARRAYS if name not in absent}
    arrays = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in paths.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    wanted = published_clusters(tables)
    ids = [name.decode() for name in arrays["image_ids"].tolist()]
    labels = [wanted.get(name) for name in ids]
    wrong = sum(label != found for label, found in zip(labels, arrays["labels"].tolist(), strict=False))
    index = dict(training_split.select("image_id", "split").collect().iter_rows())
    splits = sum(index.get(name) != found for name, found in zip(ids, arrays["split"].tolist(), strict=False))
    sources = {
        "latents": (latents, f"latent_{profile.router_resolution}"),
        "embeddings": (image_embeddings, "embedding"),
        "clip": (text_embeddings, "pooled"),
    }
    codecs = {"latents": codec} if (codec := _codecs(records).get("latents")) else {}
    shifted = {
        name: _shifted_rows(table.select("image_id", column), ids, arrays[name], codecs.get(name))
        for name, (table, column) in sources.items()
        if name in arrays
    }
    problems = []
    if ids != sorted(wanted) or lost_samples(tables, wanted, rejected_latents(records, shard)):
        problems.append(f"image_ids.npy does not hold the {len(wanted)} published images in order")
    if len(set(lengths.values())) > 1:
        problems.append(f"arrays differ in length: {', '.join(f'{name} {rows}' for name, rows in lengths.items())}")
    if wrong:
        problems.append(f"{wrong} labels are not the image's cluster")
    if splits:
        problems.append(f"{splits} rows are in the wrong split")
    problems += [f"{count} sampled rows of {name}.npy are another image's" for name, count in shifted.items() if count]
    figures: Figures = {"rows": len(ids), "wrong_labels": wrong, "wrong_splits": splits}
    figures |= {f"shifted_{name}": count for name, count in shifted.items()}
    good = f"{len(ids)} rows, the same in all {len(lengths)} arrays"
    return CheckOutcome.of(problems, good, figures, make_again("router_arrays", shard))


def experts_filled(expert_summary: pl.LazyFrame, cluster_values: pl.LazyFrame) -> CheckOutcome:
    """Every expert that is worth training has samples in its tars, and one expert at least has."""
    summary = expert_summary.collect()
    low = cluster_values.filter(value="low").select("cluster").collect()["cluster"].to_list()
    empty = summary.filter((pl.col("samples") == 0) & ~pl.col("cluster").is_in(low))["cluster"].to_list()
    samples = int(summary["samples"].sum())
    trained = f"{summary.height - len(low)} experts that are worth training"
    numbers = f"expert{'s' * (len(empty) > 1)} {', '.join(map(str, empty))}"
    problems = [f"{numbers} of {trained} have no samples"] if empty else []
    if not samples:
        problems = [f"none of {summary.height} experts has a sample"]
    figures: Figures = {"empty_experts": len(empty), "samples": samples}
    advice = "The rejects of training_selection, latents and expert_shards say why."
    return CheckOutcome.of(problems, f"{samples} samples in {summary.height} experts", figures, advice)


def validation_stratified(expert_summary: pl.LazyFrame, profile: Profile, bounds: Checks) -> CheckOutcome:
    """Every expert with two duplicate groups or more has validation and training samples, in the shares asked for."""
    fraction, allowed = profile.experts.validation_fraction, bounds.max_split_error
    divisible = expert_summary.filter((pl.col("groups") > 1) & (fraction > 0))
    error = (pl.col("held_out_groups") - fraction * pl.col("groups")).abs() - 1
    judged = divisible.with_columns(
        share=pl.col("held_out_groups") / pl.col("groups"), far=error > allowed * pl.col("groups")
    ).collect()
    experts = {
        "without_validation": judged.filter(validation=0)["cluster"].to_list(),
        "without_training": judged.filter(train=0)["cluster"].to_list(),
        "far_from_fraction": judged.filter("far")["cluster"].to_list(),
    }
    clauses = {
        "without_validation": "no validation samples",
        "without_training": "no samples to train on",
        "far_from_fraction": f"a held-out share far from {fraction:g}",
    }
    named = {name: ", ".join(map(str, found)) for name, found in experts.items()}
    problems = [f"experts {named[name]} have {clause}" for name, clause in clauses.items() if named[name]]
    figures: Figures = {name: len(found) for name, found in experts.items()}
    held_out = int(expert_summary.select(pl.col("validation").sum()).collect().item())
    figures |= {"validation": held_out, "checks.max_split_error": allowed}
    good = f"{held_out} samples held out, of each expert about {fraction:.0%}"
    return CheckOutcome.of(problems, good, figures, make_again("training_split", ALL))


def copies_on_one_side(duplicate_groups: pl.LazyFrame, router_arrays: Shards) -> CheckOutcome:
    """Of no duplicate group are there samples to train on and samples held out, in whatever experts and shards.

    By the groups themselves and by what is published, not by what the split says of either.
    """
    groups = duplicate_groups.select("image_id", "group_id").unique()
    samples = router_arrays.frame().select("image_id", "split").join(groups, on="image_id", how="left").collect()
    sides = samples.drop_nulls("group_id").group_by("group_id").agg(pl.col("split").n_unique(), pl.len())
    torn = sides.filter(pl.col("split") > 1).sort("group_id")
    unknown = samples["group_id"].null_count()
    problems = [f"{torn.height} duplicate groups are on both sides, {torn['group_id'][0]} first"] if torn.height else []
    problems += [f"{unknown} samples are in no duplicate group"] if unknown else []
    good = f"each of {sides.height} duplicate groups is on one side"
    figures: Figures = {"torn_groups": torn.height, "ungrouped": unknown, "groups": sides.height}
    return CheckOutcome.of(problems, good, figures, make_again("training_split", ALL))


def files_present(files: LocalFiles, pipeline_manifest: pl.LazyFrame) -> CheckOutcome:
    """Every file that the manifest lists is there with its size."""
    manifest = pipeline_manifest.collect()
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT) as threads:
        sizes = threads.map(files.location.size, manifest["path"])
        listed = zip(*manifest.select("path", "size_bytes"), sizes, strict=True)
        wrong = [path for path, size, found in listed if found != size]
    problems = [f"{len(wrong)} of {manifest.height} files are missing or of another size: {', '.join(wrong[:5])}"]
    advice = "`paris run` makes missing files again; `paris verify` checks every hash."
    good = f"all {manifest.height} files are there with their size"
    figures: Figures = {"files": manifest.height, "wrong": len(wrong)}
    return CheckOutcome.of(problems if wrong else [], good, figures, advice)


def rejected_latents(records: Records, shard: str) -> int:
    """Images that the latents stage rejected for a reason; it counts them and names none."""
    record = records.one("latents", shard)
    return sum(record.rejects.values()) if record else 0


def _codecs(records: Records) -> dict[str, ArrayCodec]:
    """How arrays are coded, by kind."""
    record = records.one("value_ranges") if "value_ranges" in records.keys else None
    return read_codecs(record.facts["codec"]) if record else {}


def _shifted_rows(
    table: pl.LazyFrame, ids: list[str], array: np.ndarray, codec: ArrayCodec | None, sample: int = 64
) -> int:
    """Rows of an array, out of a spread sample, that are not the table's value for the id in the same position."""
    positions = np.unique(np.linspace(0, len(ids) - 1, min(sample, len(ids))).astype(int)) if ids else []
    wanted = [ids[position] for position in positions]
    found = table.filter(pl.col("image_id").is_in(wanted)).collect()
    values = found[found.columns[1]].to_numpy()
    rows = dict(zip(found["image_id"], values if codec is None else encode(values, codec), strict=True))
    return sum(
        position >= len(array) or ids[position] not in rows or not np.array_equal(rows[ids[position]], array[position])
        for position in positions
    )


complete_check = shard_check("expert_shards")(shards_complete)
sound_check = shard_check("expert_shards")(samples_sound)
aligned_check = shard_check("router_arrays")(rows_aligned)
filled_check = all_check("expert_summary")(experts_filled)
split_check = all_check("expert_summary")(validation_stratified)
copies_check = all_check("expert_summary")(copies_on_one_side)
files_check = all_check("pipeline_manifest")(files_present)
