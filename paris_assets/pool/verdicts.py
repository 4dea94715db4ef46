"""Verdicts on concepts: what votes come to, by the policies and bounds of the profile.

Answers are asked for once; policies and bounds are applied to them afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from paris_assets.models.protocols import Ballot, ConceptJudge, Opinion
from paris_assets.pool.agreement import cohen_kappa, fleiss_kappa, mean_cohen_kappa
from paris_assets.pool.caption_rules import RulesJudge
from paris_assets.pool.endpoint_judge import EndpointJudge, lacks_votes
from paris_assets.pool.schema import CONCEPT_VERDICTS
from paris_assets.settings.import_path import load_class
from paris_assets.settings.judge import Judge, ScoreBounds
from paris_assets.storage.output import Output

KEEP, DROP, UNDECIDED, UNSAFE, SCORES = "keep", "drop", "undecided", "unsafe", "scores"
MEANS = ("informative", "variety", "repetition", "english")


def judged(concept_evidence: pl.LazyFrame, settings: Judge, seed: int) -> Output:
    """Rows of `concept_verdicts`, one for each of `concept_evidence`."""
    output = Output()

    def rows() -> Iterator[pl.DataFrame]:
        evidence = concept_evidence.sort("concept").collect()
        setting, judge = judge_of(settings, seed)
        ballots = list(judge.judge(evidence))
        table = CONCEPT_VERDICTS.frame([settled(ballot, settings) for ballot in ballots], orient="row")
        dropped = table.filter(verdict=DROP).group_by("why").len().sort("why")
        output.rows_in, output.rejects = table.height, dict(dropped.iter_rows())
        output.facts["kept"] = table.filter(verdict=KEEP).height
        output.facts["models"] = {setting: judge.identity()}
        output.facts |= _figures(ballots, table, evidence, settings)
        yield table

    output.rows = rows()
    return output


def judge_of(settings: Judge, seed: int) -> tuple[str, ConceptJudge]:
    """The judge of a profile, and the setting that names it."""
    if settings.endpoint is not None:
        judge = EndpointJudge(settings.endpoint, settings.votes, settings.max_failed, seed)
        return "pool.judge.endpoint", judge
    if settings.implementation is not None:
        return "pool.judge.implementation", load_class(settings.implementation)()
    return "pool.judge", RulesJudge(settings.rules)


def settled(ballot: Ballot, settings: Judge) -> dict[str, Any]:
    """One row of `concept_verdicts`.

    The verdict that most answers give is the judge's, where enough of them do and most votes are answers at all; else
    it is undecided. What becomes of it is settled by, in this order: most answers calling it unsafe, the policies for
    mixed and undecided, the bounds on its mean scores.
    """
    said, agreement, reason = _counted(ballot, settings.min_agreement)
    means = {name: _mean(ballot.opinions, name) for name in MEANS}
    unsafe = 2 * sum(each.unsafe for each in ballot.opinions) > len(ballot.opinions)
    verdict = {"mixed": settings.mixed, UNDECIDED: settings.undecided}.get(said, said)
    why = None if verdict == KEEP else said
    if unsafe and settings.unsafe == DROP:
        verdict, why = DROP, UNSAFE
    elif verdict == KEEP and (broken := _broken(means, settings.scores)):
        verdict, why, reason = DROP, SCORES, f"{broken}; {reason}"
    topics = Counter(topic for each in ballot.opinions for topic in each.topics)
    return {
        "concept": ballot.concept,
        "verdict": verdict,
        "judged": said,
        "why": why,
        "reason": reason,
        "votes": len(ballot.opinions),
        "failed": len(ballot.failures),
        "agreement": agreement,
        **means,
        "topics": [topic for topic, _ in topics.most_common(5)],
        "unsafe": unsafe,
    }


def _counted(ballot: Ballot, least: float) -> tuple[str, float | None, str]:
    """What the votes say, the share of them that do, and why."""
    counts = Counter(each.verdict for each in ballot.opinions)
    if lacks_votes(ballot):
        asked = len(ballot.opinions) + len(ballot.failures)
        failures = Counter(ballot.failures).most_common(1)
        said = f"{len(ballot.opinions)} of {asked} votes are answers" + (f": {failures[0][0]}" if failures else "")
        return UNDECIDED, None, said
    (first, most), *others = counts.most_common()
    agreement = most / len(ballot.opinions)
    tied = bool(others) and others[0][1] == most
    if tied or agreement < least:
        return UNDECIDED, agreement, "votes differ: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    return first, agreement, next(each.reason for each in ballot.opinions if each.verdict == first)


def _mean(opinions: Sequence[Opinion], name: str) -> float | None:
    known = [value for each in opinions if (value := getattr(each, name)) is not None]
    return sum(known) / len(known) if known else None


def _broken(means: dict[str, float | None], bounds: ScoreBounds) -> str | None:
    """The first bound on mean scores that is not met; a score that is not there breaks none."""
    for name in MEANS:
        value, bound = means[name], getattr(bounds, f"{'max' if name == 'repetition' else 'min'}_{name}")
        if value is not None and (value > bound if name == "repetition" else value < bound):
            return f"{name} is {value:.2g}, bound {bound:g}"
    return None


def _figures(ballots: list[Ballot], table: pl.DataFrame, evidence: pl.DataFrame, settings: Judge) -> dict[str, Any]:
    """Facts for people and checks: votes, their agreement, and that with `caption-rules`."""
    votes = [[each.verdict for each in ballot.opinions] for ballot in ballots]
    rules = {ballot.concept: ballot.opinions[0].verdict for ballot in RulesJudge(settings.rules).judge(evidence)}
    decided = table.filter(pl.col("judged") != UNDECIDED)
    kept = table.filter(verdict=KEEP).select("concept").join(evidence, on="concept")["rows"].sum()
    known = {
        "agreement": table["agreement"].mean(),
        "fleiss_kappa": fleiss_kappa(votes),
        "cohen_kappa": mean_cohen_kappa(votes),
        "kappa_with_caption_rules": cohen_kappa(
            decided["judged"].to_list(), [rules[concept] for concept in decided["concept"]]
        ),
    }
    return {name: value for name, value in known.items() if value is not None} | {
        "judged": dict(table["judged"].value_counts().sort("judged").iter_rows()),
        "rows_kept_share": kept / max(1, int(evidence["rows"].sum())),
        "concepts_without_answers": sum(map(lacks_votes, ballots)),
        "failures": dict(Counter(each.partition(":")[0] for ballot in ballots for each in ballot.failures)),
    }
