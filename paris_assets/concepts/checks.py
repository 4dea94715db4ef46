"""Judgement on concepts and sampling weights."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.records import ALL
from paris_assets.settings.checks import Checks
from paris_assets.storage.shards import Shards


def ids_joined(shard: str, concepts: pl.LazyFrame, curated_images: pl.LazyFrame) -> CheckOutcome:
    """Every curated image has exactly one row of tags."""
    return same_images("concepts", shard, concepts, curated_images)


def concepts_varied(concept_counts: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """There are concepts at all, and none of them is shown by nearly every image."""
    rows, most = concept_counts.collect(), bounds.max_concept_share
    if not rows.height:
        advice = "Lower concepts.min_df, or name another source of tags: concepts.labeller, phrases, listed."
        return CheckOutcome(False, "no tag is that of images enough to be a concept", {"concepts": 0}, advice)
    top = rows.sort("share", "concept", descending=[True, False]).row(0, named=True)
    problem = f"{top['share']:.1%} of the images show `{top['concept']}`, at most {most:.0%} expected"
    good = f"{rows.height} concepts, the most frequent of {top['share']:.1%} of the images"
    figures: Figures = {"concepts": rows.height, "top_share": top["share"], "checks.max_concept_share": most}
    advice = "It tells no image from another: look at the captions and lists that the tags come from."
    return CheckOutcome.of([problem] if top["share"] > most else [], good, figures, advice)


def counts_add_up(concept_counts: pl.LazyFrame, concepts: Shards, profile: Profile) -> CheckOutcome:
    """Every concept has images enough, no more than there are, and no more that use it than show it; parents are
    concepts."""
    rows, least = concept_counts.collect(), profile.concepts.min_df
    total = concepts.frame().select(pl.len()).collect().item()
    known = pl.col("parent").is_null() | pl.col("parent").is_in(rows["concept"].implode())
    broken = rows.filter(
        ~(pl.col("df").is_between(least, total) & pl.col("images").is_between(0, pl.col("df")) & known)
        | ~pl.all_horizontal(pl.col("smoothed_df", "rarity").is_finite() & (pl.col("smoothed_df", "rarity") > 0))
    )
    repeated = rows.height - rows["concept"].n_unique()
    problems = [f"{repeated} concepts are there twice"] if repeated else []
    if broken.height:
        first = broken.row(0, named=True)
        problems.append(
            f"{broken.height} concepts have counts that cannot be of {total} images, first `{first['concept']}` with "
            f"{first['df']}, used by {first['images']}"
        )
    figures: Figures = {"broken": broken.height, "repeated": repeated, "images": total}
    good = f"counts of {rows.height} concepts fit {total} images"
    return CheckOutcome.of(problems, good, figures, make_again("concept_counts", ALL))


def weights_joined(shard: str, sampling_weights: pl.LazyFrame, curated_images: pl.LazyFrame) -> CheckOutcome:
    """Every curated image has exactly one weight."""
    return same_images("sampling_weights", shard, sampling_weights, curated_images)


def weights_bounded(shard: str, sampling_weights: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Every weight is within the profile's bounds, and 1 where no concept decided."""
    low, high = profile.concepts.min_weight, profile.concepts.max_weight
    rows = sampling_weights.collect()
    outside = rows.filter(~pl.col("weight").is_between(low, high).fill_null(False))
    undecided = rows.filter((pl.col("concepts").list.len() == 0) & (pl.col("weight") != 1))
    problems = []
    if outside.height:
        problems.append(f"{outside.height} of {rows.height} weights are outside {low:g} to {high:g}")
    if undecided.height:
        problems.append(f"{undecided.height} images without a concept have another weight than 1")
    figures: Figures = {"outside": outside.height, "undecided": undecided.height}
    good = f"{rows.height} weights within {low:g} to {high:g}"
    return CheckOutcome.of(problems, good, figures, make_again("sampling_weights", shard))


def concepts_found(sampling_weights: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Images enough of a shard show a concept, and they do not show too many."""
    counts = sampling_weights.select(pl.col("concepts").list.len()).collect()["concepts"]
    tagged, mean = int((counts > 0).sum()), float(counts.mean() or 0.0)  # type: ignore[arg-type]
    share, least, most = tagged / max(len(counts), 1), bounds.min_tagged, bounds.max_concepts
    problems = []
    if len(counts) and share < least:
        problems.append(f"{tagged} of {len(counts)} images show a concept ({share:.1%}), at least {least:.0%} expected")
    if mean > most:
        problems.append(f"images show {mean:.1f} concepts on average, at most {most:g} expected")
    figures: Figures = {"tagged": share, "concepts_per_image": mean}
    figures |= {"checks.min_tagged": least, "checks.max_concepts": most}
    advice = "Look at the tags in concepts: lower or raise concepts.min_df, or name another source of tags."
    return CheckOutcome.of(problems, f"{tagged} of {len(counts)} images show a concept", figures, advice)


def weights_apart(sampling_weights: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Not too many weights of a shard are at a bound, where they no longer tell one image from another."""
    settings, most = profile.concepts, profile.checks.max_at_bounds
    weights = sampling_weights.select("weight").collect()["weight"]
    ends = {settings.min_weight, settings.max_weight} - {1.0}
    at_bounds = int(weights.is_in(sorted(ends)).sum())
    share = at_bounds / max(len(weights), 1)
    said = f"{at_bounds} of {len(weights)} weights are at a bound ({share:.1%})"
    problems = [f"{said}, at most {most:.0%} expected"] if share > most else []
    figures: Figures = {"at_bounds": share, "checks.max_at_bounds": most}
    advice = "Lower concepts.alpha, or move concepts.min_weight and concepts.max_weight apart."
    return CheckOutcome.of(problems, said, figures, advice)


def effective_samples(expert_summary: pl.LazyFrame, sampling_weights: Shards, bounds: Checks) -> CheckOutcome:
    """Weights leave every expert enough effective samples, and are those of the images."""
    summary, least = expert_summary.filter(pl.col("train") > 0).collect(), bounds.min_effective
    share = pl.col("effective_samples") / pl.col("train")
    few = summary.filter(~(share >= least).fill_null(False))["cluster"].to_list()
    ends = sampling_weights.frame().select(low=pl.col("weight").min(), high=pl.col("weight").max()).collect().row(0)
    strange = summary.filter(~pl.all_horizontal(pl.col("min_weight", "max_weight").is_between(*ends)).fill_null(False))
    problems = []
    if few:
        named = ", ".join(map(str, few))
        problems.append(f"experts {named} have fewer effective samples than {least:.0%} of those to train on")
    if strange.height:
        named = ", ".join(map(str, strange["cluster"]))
        problems.append(f"experts {named} have weights that no image has: make expert_summary again")
    smallest = float(summary.select(share.min()).item() or 0.0)
    figures: Figures = {"smallest_share": smallest, "strange": strange.height, "checks.min_effective": least}
    good = f"effective samples are {smallest:.0%} or more of each expert's samples to train on"
    advice = "Weights are far apart: lower concepts.alpha, or bring concepts.min_weight and concepts.max_weight nearer."
    return CheckOutcome.of(problems, good, figures, advice)


concept_ids_check = shard_check("concepts")(ids_joined)
varied_check = all_check("concept_counts")(concepts_varied)
counts_check = all_check("concept_counts")(counts_add_up)
weight_ids_check = shard_check("sampling_weights")(weights_joined)
bounded_check = shard_check("sampling_weights")(weights_bounded)
found_check = shard_check("sampling_weights")(concepts_found)
apart_check = shard_check("sampling_weights")(weights_apart)
effective_check = all_check("expert_summary")(effective_samples)
