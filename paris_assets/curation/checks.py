"""Judgement on what was kept."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.curation.schema import COPY_EMBEDDING, VECTORS
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.counts import counted
from paris_assets.dag.joins import same_images
from paris_assets.dag.records import ALL
from paris_assets.rules.verdicts import UNDECODABLE
from paris_assets.settings.checks import Checks
from paris_assets.storage.shards import Shards

COMPARED = 10_000
"""Copies by vectors that are compared with their keepers again, of more the first by image_id, which is a hash."""


def ids_joined(shard: str, image_signals: pl.LazyFrame, filtered_images: pl.LazyFrame) -> CheckOutcome:
    """Every measured image has exactly one verdict."""
    return same_images("filtered_images", shard, filtered_images, image_signals)


def retention(filtered_images: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """The share of images that pass the rules is neither too small nor too large."""
    verdicts = filtered_images.collect()
    share = float(verdicts["kept"].mean() or 0.0)  # type: ignore[arg-type]
    low, high = bounds.min_kept, bounds.max_kept
    few, many = verdicts.height > 0 and share < low, share > high
    said = f"{int(verdicts['kept'].sum())} of {verdicts.height} images pass the rules ({share:.1%})"
    if few or many:
        said += f", {f'at least {low:.0%}' if few else f'at most {high:.0%}'} expected"
    if share < 1:
        said += f"; rejected: {counted(verdicts['reason'])}"
    figures: Figures = {"kept": share, "checks.min_kept": low, "checks.max_kept": high}
    setting = "lower checks.min_kept" if few else "raise checks.max_kept"
    advice = f"Look at the rules in curation: what they saw is in filtered_images. Or {setting}."
    return CheckOutcome(not (few or many), said, figures, advice)


def rejected_by_rule(filtered_images: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """No rule rejects a larger share of the images than is expected of it.

    Rules by rank are held to a share of the whole set, and judged only where `checks.max_rejected_by` names them.
    """
    verdicts, bounds = filtered_images.select("reasons").collect(), profile.checks
    counts = dict(verdicts["reasons"].explode().drop_nulls().value_counts().iter_rows())
    ranked = {rule.name for rule in profile.curation.quantile_rules}
    rules = [UNDECODABLE, *(rule.name for rule in profile.curation.rejecting if rule.name not in ranked)]
    most = dict.fromkeys(rules, bounds.max_rejected) | bounds.max_rejected_by
    shares = {name: counts.get(name, 0) / max(verdicts.height, 1) for name in most}
    over = [name for name, share in shares.items() if share > most[name]]
    problems = [
        f"{name} rejects {counts[name]} of {verdicts.height} images ({shares[name]:.1%}), "
        f"at most {most[name]:.0%} expected"
        for name in over
    ]
    figures: Figures = {f"rejected by {name}": share for name, share in shares.items()}
    figures |= {"checks.max_rejected": bounds.max_rejected, "checks.max_rejected_by": f"{bounds.max_rejected_by}"}
    advice = "Look at the bound of the rule and at the pictures on either side of it in curation_report. Or set checks."
    good = f"each of {len(most)} rules rejects at most the share that is expected of it"
    return CheckOutcome.of(problems, good, figures, f"{advice}max_rejected_by.{over[0]}." if over else "")


def duplicate_rate(duplicate_groups: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Not too many images are dropped as copies, whether of the same shard or of another one."""
    groups = duplicate_groups.select("keeper", "method").collect()
    copies, most = groups.filter(~pl.col("keeper")), bounds.max_duplicates
    share = copies.height / max(groups.height, 1)
    said = f"{copies.height} of {groups.height} images are copies ({share:.1%})"
    if share > most:
        said += f", at most {most:.0%} expected"
    if copies.height:
        said += f": {counted(copies['method'])}"
    exact = (copies["method"] == "exact").sum() > copies.height / 2
    advice = (
        "One file again and again is mostly what a host sends for a missing image: take its rows out of the list."
        if exact
        else "Look at duplicate_groups: if pictures of a group differ, raise duplicates.verify_correlation."
    )
    return CheckOutcome(share <= most, said, {"duplicates": share, "checks.max_duplicates": most}, advice)


def vectors_agree(duplicate_groups: pl.LazyFrame, picture_embeddings: Shards, profile: Profile) -> CheckOutcome:
    """Not too many images are copies by their vectors alone, and the vector of each is close to that of its keeper."""
    close = profile.duplicates.vectors
    if close is None:
        return CheckOutcome(True, "vectors are not compared", {"vector_duplicates": 0.0})
    vectors = picture_embeddings.frame().select("image_id", vector=close.encoder)
    setting = "duplicates.vectors.cosine"
    return _agreement(duplicate_groups, vectors, VECTORS, close.cosine, profile.checks.max_vector_duplicates, setting)


def copy_vectors_agree(duplicate_groups: pl.LazyFrame, copy_embeddings: Shards, profile: Profile) -> CheckOutcome:
    """Not too many images are copies by `copy_embeddings` alone, and the vector of each is close to its keeper's."""
    vectors = copy_embeddings.frame().select("image_id", vector="embedding")
    least, most = profile.duplicates.copies.cosine, profile.checks.max_vector_duplicates
    return _agreement(duplicate_groups, vectors, COPY_EMBEDDING, least, most, "duplicates.copies.cosine")


def _agreement(
    duplicate_groups: pl.LazyFrame, vectors: pl.LazyFrame, method: str, least: float, most: float, setting: str
) -> CheckOutcome:
    from paris_assets.curation.near_vectors import cosines_with_keepers

    groups = duplicate_groups.select("image_id", "group_id", "keeper", "method").collect()
    share = float((groups["method"] == method).sum() / max(groups.height, 1))
    found = cosines_with_keepers(groups, vectors, method, COMPARED)
    wrong = int((found < least).sum())
    problems = [f"{wrong} of {len(found)} copies that were compared are not close to their keepers"] if wrong else []
    problems += (
        [f"{share:.1%} of the images are copies by vectors, at most {most:.0%} expected"] if share > most else []
    )
    good = (
        f"{share:.1%} of {groups.height} images are copies by vectors; {len(found)} compared are close to their keepers"
    )
    figures: Figures = {"vector_duplicates": share, "not_close": wrong, "checks.max_vector_duplicates": most}
    advice = f"Look at the copies in analysis/curation_report.html: if pictures differ, raise {setting}. "
    return CheckOutcome.of(problems, good, figures, advice + make_again("duplicate_groups", ALL))


def one_keeper_per_group(duplicate_groups: pl.LazyFrame) -> CheckOutcome:
    """Every group has exactly one keeper, and no image is kept twice."""
    groups = duplicate_groups.select("group_id", "keeper", "image_id").collect()
    keepers = groups.group_by("group_id").agg(pl.col("keeper").sum())
    wrong = keepers.filter(pl.col("keeper") != 1).height
    kept = groups.filter("keeper")["image_id"]
    twice = len(kept) - kept.n_unique()
    problems = []
    if wrong:
        problems.append(f"{wrong} of {keepers.height} groups do not have exactly one keeper")
    if twice:
        problems.append(f"{twice} images are kept twice")
    figures: Figures = {"wrong_groups": wrong, "kept_twice": twice}
    good = f"{keepers.height} groups with one keeper each"
    return CheckOutcome.of(problems, good, figures, make_again("duplicate_groups", ALL))


def ids_unique(shard: str, duplicate_groups: pl.LazyFrame, curated_images: pl.LazyFrame) -> CheckOutcome:
    """Curated images are exactly the shard's keepers."""
    return same_images("curated_images", shard, curated_images, duplicate_groups.filter("keeper"))


def pruned_share(filtered_images: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Lists of images to prune reject a small share of the images, each of them, and with a reason."""
    lists, most = profile.curation.prune, profile.checks.max_pruned
    if not lists:
        return CheckOutcome(True, "no list of images to prune", {"pruned": 0.0, "checks.max_pruned": most})
    rows = filtered_images.select("kept", "prune_reason").collect()
    pruned = rows.filter(pl.col("prune_reason").is_not_null())
    share, kept = pruned.height / max(rows.height, 1), int(pruned["kept"].sum())
    problems = [f"{kept} of {pruned.height} images of the lists are kept"] if kept else []
    if share > most:
        problems.append(
            f"{pruned.height} of {rows.height} images are pruned ({share:.1%}), at most {most:.0%} expected"
        )
    said = f"{pruned.height} of {rows.height} images are pruned ({share:.1%})"
    figures: Figures = {"pruned": share, "pruned_and_kept": kept, "checks.max_pruned": most}
    advice = (
        "Look at the lists of curation.prune: a search by a small cosine finds anything. Or raise checks.max_pruned."
    )
    return CheckOutcome.of(problems, said, figures, advice)


def lists_known(profile: Profile, filtered_images: Shards) -> CheckOutcome:
    """Most images of the lists to prune and to boost are there: others are of another source, or of other bytes."""
    from paris_assets.curation.image_lists import listed

    most, lists = profile.checks.max_unknown_listed, [*profile.curation.prune, *profile.curation.boost]
    wanted = listed(lists).select("image_id")
    known = filtered_images.frame().select("image_id").unique().join(wanted.lazy(), on="image_id", how="semi")
    unknown = wanted.height - known.select(pl.len()).collect().item()
    share = unknown / max(wanted.height, 1)
    said = f"{unknown} of {wanted.height} listed images are not there ({share:.1%})"
    if share > most:
        said += f", at most {most:.0%} expected"
    figures: Figures = {"unknown_listed": unknown, "listed": wanted.height, "checks.max_unknown_listed": most}
    advice = "Look at curation.prune and curation.boost: are they of this source? Or raise checks.max_unknown_listed."
    return CheckOutcome(share <= most, said if lists else "no list of images", figures, advice)


def rules_fire(profile: Profile, filtered_images: Shards) -> CheckOutcome:
    """Of many images each rule rejects some: one that never does is perhaps on the wrong column or scale."""
    verdicts = filtered_images.frame()
    images = verdicts.select(pl.len()).collect().item()
    seen = set(verdicts.select(pl.col("reasons").explode()).drop_nulls().unique().collect()["reasons"])
    rules = [rule.name for rule in profile.curation.rejecting]
    silent = [name for name in rules if name not in seen]
    enough = profile.checks.silent_rules_from
    said = f"{len(rules) - len(silent)} of {len(rules)} rules reject some of {images} images"
    if silent:
        said += f", {', '.join(silent)} none"
    figures: Figures = {"silent_rules": len(silent), "checks.silent_rules_from": enough}
    advice = "Look at the columns in image_signals and content_scores: perhaps a bound is on another scale. Or raise "
    return CheckOutcome(not silent or images < enough, said, figures, f"{advice}checks.silent_rules_from.")


verdict_ids_check = shard_check("filtered_images")(ids_joined)
retention_check = shard_check("filtered_images")(retention)
rejected_by_rule_check = shard_check("filtered_images")(rejected_by_rule)
pruned_share_check = shard_check("filtered_images")(pruned_share)
lists_known_check = all_check("duplicate_groups")(lists_known)
rules_fire_check = all_check("duplicate_groups")(rules_fire)
duplicate_rate_check = all_check("duplicate_groups")(duplicate_rate)
shard_duplicate_rate_check = shard_check("curated_images")(duplicate_rate)
vectors_agree_check = all_check("duplicate_groups")(vectors_agree)
copy_vectors_agree_check = all_check("duplicate_groups")(copy_vectors_agree)
keepers_check = all_check("duplicate_groups")(one_keeper_per_group)
curated_ids_check = shard_check("curated_images")(ids_unique)
