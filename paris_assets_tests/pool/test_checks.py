"""Each check of evidence and verdicts fails for its own defect, at the shipped bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from paris_assets.dag.checks import CheckOutcome
from paris_assets.dag.records import Record
from paris_assets.pool.checks import evidence_complete, judge_agrees, judge_answers, judge_keeps
from paris_assets.pool.evidence import gathered
from paris_assets.pool.verdicts import judged
from paris_assets.settings.checks import Checks
from paris_assets.settings.judge import Evidence, Judge
from paris_assets.storage.shards import Shards
from paris_assets_tests.pool.made_up import sharded
from paris_assets_tests.pool.test_evidence import made_up_rows

ROWS = made_up_rows()
TABLES = sharded(ROWS, [300, 300])
(EVIDENCE,) = gathered(*TABLES, Evidence(), 0).rows  # type: ignore[misc]


class Made:
    """Evidence, verdicts and the facts beside them, each as a test changes it."""

    def __init__(self) -> None:
        output = judged(EVIDENCE.lazy(), Judge(), 0)
        (self.verdicts,) = output.rows  # type: ignore[misc]
        self.evidence, self.assignments, self.facts = EVIDENCE, TABLES[2], dict(output.facts)

    def outcomes(self) -> dict[str, CheckOutcome]:
        record, bounds = Record.model_construct(facts=self.facts), Checks()
        return {
            "evidence_complete": evidence_complete(self.evidence.lazy(), self.assignments),
            "judge_answers": judge_answers(record, self.verdicts.lazy(), self.evidence.lazy(), bounds),
            "judge_agrees": judge_agrees(record, bounds),
            "judge_keeps": judge_keeps(record, bounds),
        }

    def failing(self) -> list[str]:
        return [name for name, found in self.outcomes().items() if not found.passed]


def first(value: Any, column: str) -> pl.Expr:
    """A column with another value in the first row."""
    return pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(column)


def set_evidence(made: Made, **columns: pl.Expr) -> None:
    made.evidence = made.evidence.with_columns(**columns)


def lose_a_shard(made: Made) -> None:
    made.assignments = Shards.of({"00000": TABLES[2]["00000"]})


def lose_a_concept(made: Made) -> None:
    made.evidence = made.evidence.tail(-1)
    made.verdicts = made.verdicts.tail(-1)


DEFECTS: dict[str, tuple[Callable[[Made], None], list[str], str]] = {
    "a row too many": (
        lambda made: set_evidence(made, rows=pl.col("rows") + 1), ["evidence_complete"], "other rows than"
    ),
    "a shard lost": (lose_a_shard, ["evidence_complete"], "other rows than"),
    "a concept lost": (lose_a_concept, ["evidence_complete"], "1 concepts have other rows"),
    "more captions than there are": (
        lambda made: set_evidence(made, distinct=first(2, "distinct")), ["evidence_complete"], "1 concepts show more"
    ),
    "a verdict lost": (
        lambda made: setattr(made, "verdicts", made.verdicts.tail(-1)), ["judge_answers"], "4 concepts, but 3 verdicts"
    ),
    "votes without answers": (
        lambda made: (
            setattr(made, "verdicts", made.verdicts.with_columns(failed=first(2, "failed").cast(pl.Int32))),
            made.facts.update(failures={"no_json": 2}),
        )[0],
        ["judge_answers"],
        "33.3% of the votes are no answers (2 no_json)",
    ),
    "votes that differ": (lambda made: made.facts.update(agreement=0.55), ["judge_agrees"], "55.0% of the answers"),
    "votes of chance": (
        lambda made: made.facts.update(agreement=0.9, fleiss_kappa=0.05), ["judge_agrees"], "kappa of the votes is 0.05"
    ),
    "no answer at all": (lambda made: made.facts.pop("agreement"), ["judge_agrees"], "no concept has an answer"),
    "a judge that drops all": (lambda made: made.facts.update(rows_kept_share=0.02), ["judge_keeps"], "2.0% of the"),
}  # fmt: skip


def test_all_checks_pass_on_what_is_sound() -> None:
    assert Made().failing() == []
    assert "4 concepts stands for" in Made().outcomes()["evidence_complete"].said


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_fails_its_own_check(defect: str) -> None:
    break_it, checks, said = DEFECTS[defect]
    made = Made()
    break_it(made)
    assert made.failing() == checks
    assert said in made.outcomes()[checks[0]].said
    assert made.outcomes()[checks[0]].advice


def test_a_judge_that_keeps_all_fails_where_the_bound_says_so() -> None:
    record = Record.model_construct(facts={"rows_kept_share": 1.0})
    assert judge_keeps(record, Checks()).passed
    assert not judge_keeps(record, Checks(max_concepts_kept=0.95)).passed
