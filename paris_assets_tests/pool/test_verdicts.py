"""What votes come to, by policies and bounds; answers are asked for once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.models.protocols import Ballot, Opinion
from paris_assets.pool.schema import CONCEPT_VERDICTS
from paris_assets.pool.verdicts import judge_of, judged, settled
from paris_assets.settings.judge import Judge
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures.chat_server import completion, serving
from paris_assets_tests.fixtures.judge_server import GOOD, POOR, judging, questions
from paris_assets_tests.pool.planted import planted, precision_and_recall
from paris_assets_tests.pool.test_endpoint_judge import by_eye

EVIDENCE, JUNK = planted()
KEEP, DROP, MIXED = (Opinion(name, f"says {name}") for name in ("keep", "drop", "mixed"))  # type: ignore[arg-type]


def verdicts(settings: Judge, seed: int = 0) -> tuple[pl.DataFrame, Output]:
    output = judged(EVIDENCE.lazy(), settings, seed)
    (table,) = output.rows  # type: ignore[misc]
    return table, output


@pytest.mark.parametrize(
    ("opinions", "failures", "said", "agreement"),
    [
        ([KEEP, KEEP, DROP], [], "keep", 2 / 3),
        ([DROP] * 3, [], "drop", 1.0),
        ([MIXED, MIXED, DROP], [], "mixed", 2 / 3),
        ([KEEP, DROP, MIXED], [], "undecided", 1 / 3),
        ([KEEP, DROP], ["no_json"], "undecided", 1 / 2),
        ([DROP, DROP], ["no_json"], "drop", 1.0),
        ([DROP], ["no_json", "refusal"], "undecided", None),
        ([], ["no_json"] * 3, "undecided", None),
    ],
)
def test_the_verdict_is_that_of_enough_answers(
    opinions: list[Opinion], failures: list[str], said: str, agreement: float | None
) -> None:
    row = settled(Ballot(7, opinions, failures), Judge())
    assert (row["concept"], row["judged"], row["votes"], row["failed"]) == (7, said, len(opinions), len(failures))
    assert row["agreement"] == pytest.approx(agreement)
    assert row["verdict"] == ("drop" if said == "drop" else "keep"), "doubt keeps, by the default policies"
    strict = settled(Ballot(7, opinions, failures), Judge(undecided="drop", mixed="drop"))
    assert strict["verdict"] == ("keep" if said == "keep" else "drop")
    assert strict["why"] == (None if said == "keep" else said)


def test_the_bound_on_agreement_is_a_setting() -> None:
    ballot = Ballot(0, [KEEP, KEEP, DROP])
    assert settled(ballot, Judge(min_agreement=0.6))["judged"] == "keep"
    assert settled(ballot, Judge(min_agreement=0.7))["judged"] == "undecided"
    assert settled(Ballot(0, [KEEP, DROP]), Judge(min_agreement=0.1))["judged"] == "undecided", "a tie decides nothing"


def test_scores_and_safety_turn_keep_into_drop() -> None:
    low = KEEP._replace(informative=1.0, variety=2.0, repetition=3.0, english=0.4)
    ballot = Ballot(0, [low, low._replace(informative=2.0), low])
    assert settled(ballot, Judge())["verdict"] == "keep"
    for bound in ("min_informative", "min_variety", "max_repetition", "min_english"):
        value = {"min_informative": 1.4, "min_variety": 2.1, "max_repetition": 2.9, "min_english": 0.5}[bound]
        row = settled(ballot, Judge(scores={bound: value}))  # type: ignore[arg-type]
        assert (row["verdict"], row["why"], row["judged"]) == ("drop", "scores", "keep")
        assert bound.partition("_")[2] in row["reason"]
    bounded = Judge(scores={"min_informative": 4})  # type: ignore[arg-type]
    assert settled(Ballot(0, [KEEP] * 3), bounded)["verdict"] == "keep", "a judge that gives no score breaks no bound"
    unsafe = Ballot(0, [KEEP._replace(unsafe=True), KEEP._replace(unsafe=True), KEEP])
    assert (settled(unsafe, Judge())["why"], settled(unsafe, Judge(unsafe="keep"))["verdict"]) == ("unsafe", "keep")
    assert settled(Ballot(0, [KEEP._replace(unsafe=True), KEEP, KEEP]), Judge())["verdict"] == "keep"


def test_without_an_address_the_rules_judge_and_say_so() -> None:
    table, output = verdicts(Judge())
    assert table.schema == CONCEPT_VERDICTS.polars()
    dropped = set(table.filter(verdict="drop")["concept"])
    assert precision_and_recall(dropped, JUNK) == (1.0, 1.0)
    assert output.facts["models"]["pool.judge"]["implementation"] == "caption-rules"
    assert (output.rows_in, output.facts["kept"], output.rejects) == (30, 20, {"drop": 10})
    assert output.facts["kappa_with_caption_rules"] == pytest.approx(1.0)
    kept = EVIDENCE.filter(~pl.col("concept").is_in(list(JUNK)))
    share = int(kept["rows"].sum()) / int(EVIDENCE["rows"].sum())
    assert output.facts["rows_kept_share"] == pytest.approx(share)


def test_other_bounds_and_policies_ask_nothing_again_and_figures_tell_how_far_votes_agree(tmp_path: Path) -> None:
    def answer(asked: str) -> dict[str, Any] | tuple[int, dict[str, str], bytes]:
        if "IMG_" in asked and '"captions": 60' in asked:
            return completion("no")
        return by_eye(asked)

    endpoint = {"model": "m", "cache": str(tmp_path / "answers"), "backoff_s": 0.0}
    with serving(judging(answer)) as chat:
        settings = Judge(endpoint={**endpoint, "url": chat.url}, max_failed=0.1)  # type: ignore[arg-type]
        table, output = verdicts(settings)
        assert table.filter(judged="undecided")["concept"].to_list() == [0]
        assert output.facts["failures"] == {"no_json": 3}
        assert output.facts["concepts_without_answers"] == 1
        assert output.facts["fleiss_kappa"] == pytest.approx(1.0)
        assert output.facts["cohen_kappa"] == pytest.approx(1.0)
        assert output.facts["kappa_with_caption_rules"] == pytest.approx(1.0)
        assert output.facts["models"]["pool.judge.endpoint"]["answers"] == 87
        asked = len(questions(chat))
        changed = {"undecided": "drop", "scores": {"min_variety": 4}, "min_agreement": 1.0}
        table, output = verdicts(Judge.model_validate({**settings.model_dump(), **changed}))
        assert output.rejects == {"drop": 9, "undecided": 1, "scores": 20}
        assert len(questions(chat)) == asked + 3, "only what had no answer is asked again"


class Coin:
    """A judge of one's own."""

    def judge(self, evidence: pl.DataFrame) -> Iterable[Ballot]:
        return [Ballot(concept, [KEEP if concept % 2 else DROP]) for concept in evidence["concept"]]

    def identity(self) -> dict[str, Any]:
        return {"implementation": "coin"}


def test_a_judge_of_ones_own_is_a_class() -> None:
    settings = Judge(implementation="paris_assets_tests.pool.test_verdicts:Coin")
    table, output = verdicts(settings)
    assert table.filter(verdict="keep")["concept"].to_list() == list(range(1, 30, 2))
    assert output.facts["models"] == {"pool.judge.implementation": {"implementation": "coin"}}
    assert settings.import_paths() == ["paris_assets_tests.pool.test_verdicts:Coin"]
    assert judge_of(Judge(), 0)[0] == "pool.judge"
    with pytest.raises(ValueError, match="one of `endpoint` and `implementation`"):
        Judge(implementation="a:B", endpoint={"model": "m"})  # type: ignore[arg-type]


def test_two_answers_that_differ_are_told_by_kappa(tmp_path: Path) -> None:
    calls: dict[str, int] = {}

    def answer(asked: str) -> dict[str, Any]:
        lines = "\n".join(sorted(line for line in asked.splitlines() if not line.startswith("captions ")))
        calls[lines] = calls.get(lines, 0) + 1
        return POOR if calls[lines] == 2 else GOOD

    endpoint = {"model": "m", "cache": str(tmp_path / "answers"), "concurrency": 1}
    with serving(judging(answer)) as chat:
        table, output = verdicts(Judge(endpoint={**endpoint, "url": chat.url}, votes=2))  # type: ignore[arg-type]
    assert set(table["judged"]) == {"undecided"}
    assert output.facts["agreement"] == 0.5
    assert output.facts["fleiss_kappa"] == pytest.approx(-1.0)
