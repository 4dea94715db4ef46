"""Judgement on what is known of the rows of a pool, on their concepts, and on what was chosen."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.records import ALL, Record
from paris_assets.settings.checks import Checks
from paris_assets.settings.probe import Probe
from paris_assets.storage.shards import Shards


def vectors_complete(shard: str, source_rows: pl.LazyFrame, pool_vectors: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Every source row has its row of vectors, and few of these are missing."""
    columns = [name for name in pool_vectors.collect_schema() if name != "source_row"]
    wanted = source_rows.select("source_row").collect()["source_row"].sort()
    counts = pool_vectors.select("source_row", *(pl.col(name).is_null() for name in columns)).collect()
    misplaced = not counts["source_row"].equals(wanted)
    most = bounds.max_without_vector
    shares = {name: float(counts[name].mean() or 0.0) for name in columns}  # type: ignore[arg-type]
    problems = [f"pool_vectors has {counts.height} rows, not one for each of {len(wanted)}"] if misplaced else []
    problems += [
        f"{share:.1%} of the rows have no vector of their {name}, at most {most:.0%} expected"
        for name, share in shares.items()
        if share > most
    ]
    figures: Figures = {f"without_{name}": share for name, share in shares.items()}
    good = f"{len(wanted)} rows with vectors of {' and '.join(columns)}"
    advice = f"{make_again('pool_vectors', shard)} If the source itself lacks them, raise checks.max_without_vector."
    return CheckOutcome.of(problems, good, {**figures, "checks.max_without_vector": most}, advice)


def languages_agree(caption_figures: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Two detectors name the same language for most captions of several words; where there is one, nothing is said."""
    least = bounds.min_language_agreement
    told = pl.col("language").is_not_null() & pl.col("second_language").is_not_null() & (pl.col("words") > 2)
    both = caption_figures.filter(told).select(same=pl.col("language") == pl.col("second_language")).collect()["same"]
    if both.is_empty():
        return CheckOutcome(True, "there is no second detector, or no caption of several words", {})
    share = float(both.mean() or 0.0)  # type: ignore[arg-type]
    said = f"the detectors agree on {share:.1%} of {len(both)} captions of more than two words"
    few = share < least
    said += f", at least {least:.0%} expected" if few else ""
    advice = (
        "One of pool.captions.language and .second_language does not know these languages; look at caption_figures."
    )
    return CheckOutcome(not few, said, {"agreement": share, "checks.min_language_agreement": least}, advice)


def concept_sizes(record: Record, bounds: Checks) -> CheckOutcome:
    """Concepts tell rows apart: none of them holds too many of the rows fitted on."""
    share, most, k = float(record.facts["largest_share"]), bounds.max_concept_rows, int(record.facts["k"])
    said = f"the largest of {k} concepts holds {share:.1%} of the rows fitted on, at most {most:.0%} expected"
    figures: Figures = {"largest_share": share, "checks.max_concept_rows": most, "concepts": k}
    advice = "Too many vectors are alike: look at its captions, or name other pool.concepts.features."
    return CheckOutcome(k == 1 or share <= most, said, figures, advice)


def concepts_assigned(
    shard: str,
    pool_vectors: pl.LazyFrame,
    concept_assignments: pl.LazyFrame,
    concept_model: pl.LazyFrame,
    bounds: Checks,
) -> CheckOutcome:
    """Every row of the pool is there once, in a concept that the model has; few rows are without a vector."""
    k = int(concept_model.select(pl.len()).collect().item())
    rows, places = pool_vectors.select("source_row").collect(), concept_assignments.collect()
    outside = places.filter(~pl.col("concept").is_between(0, k - 1)).height
    share, most = places["concept"].null_count() / max(places.height, 1), bounds.max_without_vector
    broken = [f"{outside} rows are in concepts outside 0 to {k - 1}"] if outside else []
    if not rows["source_row"].sort().equals(places["source_row"].sort()):
        broken.append(f"{places.height} rows, but they are not the {rows.height} of pool_vectors")
    lacking = [f"{share:.1%} of rows have no vector, at most {most:.0%} expected"] if share > most else []
    figures: Figures = {"without_vector": share, "checks.max_without_vector": most, "outside": outside}
    advice = make_again("concept_assignments", shard) if broken else "Look at the source's vectors and pool.vectors."
    return CheckOutcome.of([*broken, *lacking], f"{places.height} rows, {share:.1%} without a vector", figures, advice)


def evidence_complete(concept_evidence: pl.LazyFrame, concept_assignments: Shards) -> CheckOutcome:
    """Every row with a concept counts once in the evidence, and what is shown of a concept is no more than it has."""
    places = concept_assignments.frame().drop_nulls("concept").group_by("concept").agg(placed=pl.len()).collect()
    rows = concept_evidence.collect()
    joined = places.join(rows, on="concept", how="full", coalesce=True)
    wrong = joined.filter(pl.col("placed").ne_missing(pl.col("rows")))
    listed = pl.max_horizontal(pl.col("nearest", "furthest", "random").list.len())
    more = rows.filter((listed > pl.col("distinct")) | (pl.col("distinct") > pl.col("captions")))
    problems = [f"{wrong.height} concepts have other rows than concept_assignments gives them"] if wrong.height else []
    if more.height:
        problems.append(f"{more.height} concepts show more distinct captions than they have")
    figures: Figures = {"concepts": rows.height, "wrong": wrong.height + more.height}
    good = f"evidence of {rows.height} concepts stands for {rows['rows'].sum()} rows"
    return CheckOutcome.of(problems, good, figures, make_again("concept_evidence", ALL))


def judge_answers(
    record: Record, concept_verdicts: pl.LazyFrame, concept_evidence: pl.LazyFrame, bounds: Checks
) -> CheckOutcome:
    """Every concept has one verdict, and nearly all votes that were asked for are answers that count."""
    rows, most = concept_verdicts.collect(), bounds.max_failed_votes
    wanted = concept_evidence.select("concept").collect()["concept"].sort()
    failed = int(rows["failed"].sum())
    share = failed / max(1, failed + int(rows["votes"].sum()))
    problems = [] if rows["concept"].sort().equals(wanted) else [f"{wanted.len()} concepts, but {rows.height} verdicts"]
    if share > most:
        kinds = ", ".join(f"{count} {kind}" for kind, count in record.facts.get("failures", {}).items())
        problems.append(f"{share:.1%} of the votes are no answers ({kinds}), at most {most:.0%} expected")
    figures: Figures = {"failed_votes": share, "checks.max_failed_votes": most}
    good = f"{rows.height} concepts are judged, {share:.1%} of the votes are no answers"
    advice = "Look at the server's log; another model, more max_tokens or another `structured` may answer."
    return CheckOutcome.of(problems, good, figures, advice)


def judge_agrees(record: Record, bounds: Checks) -> CheckOutcome:
    """Votes on the same concept agree, by their share and beyond chance."""
    agreement, kappa = record.facts.get("agreement"), record.facts.get("fleiss_kappa")
    if agreement is None:
        return CheckOutcome(False, "no concept has an answer", {}, "Look at pool.judge and its server.")
    least, beyond = bounds.min_judge_agreement, bounds.min_judge_kappa
    figures: Figures = {"agreement": agreement, "checks.min_judge_agreement": least, "checks.min_judge_kappa": beyond}
    problems, good = [], f"{agreement:.1%} of the answers on a concept agree"
    if agreement < least:
        problems.append(f"{agreement:.1%} of the answers on a concept agree, at least {least:.0%} expected")
    if kappa is not None:
        figures, good = {**figures, "fleiss_kappa": kappa}, f"{good}, Fleiss' kappa {kappa:.2f}"
        if kappa < beyond:
            problems.append(f"Fleiss' kappa of the votes is {kappa:.2f}, at least {beyond:g} expected")
    advice = "Its verdicts hang on the order of captions: take a larger model, or no endpoint (`caption-rules`)."
    return CheckOutcome.of(problems, good, figures, advice)


def judge_keeps(record: Record, bounds: Checks) -> CheckOutcome:
    """The judge keeps neither too few nor too many of the pool's rows."""
    share, least, most = record.facts["rows_kept_share"], bounds.min_concepts_kept, bounds.max_concepts_kept
    said = f"{share:.1%} of the rows are in concepts that the judge keeps, {least:.0%} to {most:.0%} expected"
    figures: Figures = {"share": share, "checks.min_concepts_kept": least, "checks.max_concepts_kept": most}
    advice = "Read the reasons in concept_verdicts; bounds and policies are those of pool.judge."
    return CheckOutcome(least <= share <= most, said, figures, advice)


def selected_share(pool_scores: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """The share of the pool that is selected is neither too small nor too large."""
    kept, rows = pool_scores.select(pl.col("selected").sum(), pl.len()).collect().row(0)
    share, low, high = kept / max(rows, 1), bounds.min_selected, bounds.max_selected
    said = f"{kept} of {rows} rows are selected ({share:.1%}), {low:.1%} to {high:.1%} expected"
    figures: Figures = {"selected": share, "checks.min_selected": low, "checks.max_selected": high}
    advice = "Look at the reasons in pool_scores, then at pool.select. Or set checks.min_selected and max_selected."
    return CheckOutcome(rows > 0 and low <= share <= high, said, figures, advice)


def controls_present(pool_scores: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Beside the selection stand as many random subsets of its size as the profile asks for, each another draw."""
    wanted = [f"random-{number}" for number in range(profile.pool.controls)]
    there = [name for name in wanted if name in pool_scores.collect_schema()]
    flags = pool_scores.select("selected", *there).collect()
    kept = int(flags["selected"].sum())
    problems = [f"there is no {name}" for name in wanted if name not in there]
    problems += [
        f"{name} holds {flags[name].sum()} rows, the selection {kept}" for name in there if flags[name].sum() != kept
    ]
    if 0 < kept < flags.height and flags.height >= 100:
        alike = [name for name in there if flags[name].equals(flags["selected"])]
        problems += [f"{name} is the selection itself" for name in alike]
    figures: Figures = {"controls": len(there), "selected_rows": kept}
    good = f"{len(there)} random subsets of {kept} rows stand beside the selection"
    return CheckOutcome.of(problems, good, figures, make_again("pool_scores", ALL))


def subset_found(subset_files: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Most rows of each subset have an image: another pool's share cannot be compared with published ones."""
    least = bounds.min_subset_found
    rows = subset_files.select("subset", "rows", "found").drop_nulls().filter(pl.col("rows") > 0).collect()
    shares = {name: found / count for name, count, found in rows.iter_rows()}
    problems = [
        f"{share:.1%} of {name} have an image, at least {least:.0%} expected"
        for name, share in shares.items()
        if share < least
    ]
    figures: Figures = {
        **{f"found of {name}": share for name, share in shares.items()},
        "checks.min_subset_found": least,
    }
    good = f"at least {min(shares.values(), default=1.0):.1%} of each of {len(shares)} subsets have an image"
    advice = (
        "Look at the reasons in raw_images; `paris run --retry transient` asks again. Or lower checks.min_subset_found."
    )
    return CheckOutcome.of(problems, good, figures, advice)


def selection_helps(profile: Profile, selection_probe: pl.LazyFrame) -> CheckOutcome:
    """Training on the selection is better than on random rows of its size, beyond what the interval leaves open."""
    from paris_assets.pool.comparisons import RANDOM, compared_with_others
    from paris_assets.pool.trials import SELECTION

    settings = profile.pool.probe or Probe()
    found = compared_with_others(selection_probe.collect(), settings.confidence)
    main = next((one for one in found if (one.subset, one.others) == (SELECTION, RANDOM)), None)
    if main is None:
        return CheckOutcome(True, "no random rows stand beside the selection, which perhaps leaves nothing out")
    gain = main.gain
    figures: Figures = {"difference": gain.difference, "low": gain.low, "high": gain.high, "seeds": gain.seeds}
    advice = (
        "Look at the curve in analysis/pool_report.html: perhaps another fraction, or fewer steps, do better. An "
        "interval that is too wide needs more pool.probe.seeds or pool.controls."
    )
    return CheckOutcome(gain.sign > 0, main.said, figures, advice)


def probe_controlled(profile: Profile, selection_probe: pl.LazyFrame) -> CheckOutcome:
    """Every subset that leaves rows out was compared with random rows of its size, in every run."""
    from paris_assets.pool.controlled import uncontrolled

    most = profile.checks.max_control_difference
    table = selection_probe.collect()
    problems = uncontrolled(table, most)
    figures: Figures = {"uncontrolled": len(problems), "checks.max_control_difference": most}
    good = f"every subset has random controls of its size in {table['seed'].n_unique()} runs"
    advice = "Are random-0, random-1, ... in pool_scores? " + make_again("selection_probe", ALL)
    return CheckOutcome.of(problems, good, figures, advice)


vectors_complete_check = shard_check("pool_vectors")(vectors_complete)
languages_agree_check = shard_check("caption_figures")(languages_agree)
concept_sizes_check = all_check("concept_model")(concept_sizes)
concepts_assigned_check = shard_check("concept_assignments")(concepts_assigned)
evidence_complete_check = all_check("concept_evidence")(evidence_complete)
judge_answers_check = all_check("concept_verdicts")(judge_answers)
judge_agrees_check = all_check("concept_verdicts")(judge_agrees)
judge_keeps_check = all_check("concept_verdicts")(judge_keeps)
selected_share_check = all_check("pool_scores")(selected_share)
controls_present_check = all_check("pool_scores")(controls_present)
subset_found_check = all_check("subset_files")(subset_found)
selection_helps_check = all_check("selection_probe")(selection_helps)
probe_controlled_check = all_check("selection_probe")(probe_controlled)
