"""The judge that asks nobody: each rule by itself, and all on concepts whose worth is known."""

from __future__ import annotations

from typing import Any

import pytest

from paris_assets.pool.caption_rules import RulesJudge, opinion
from paris_assets.settings.judge import CaptionRules
from paris_assets_tests.pool.planted import planted, precision_and_recall

FINE: dict[str, Any] = {
    "concept": 0, "rows": 100, "captions": 100, "distinct": 100, "duplicates": 0.0, "top_share": 0.01,
    "file_names": 0.0, "template_share": 0.01, "mean_words": 7.0, "compression": 2.0,
    "languages": ["en"], "language_shares": [1.0], "similarity": 0.3, "clip_l14": None, "clip_b32": None,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_planted_junk_is_dropped_and_nothing_else(seed: int) -> None:
    evidence, junk = planted(seed)
    ballots = list(RulesJudge(CaptionRules()).judge(evidence))
    assert [ballot.concept for ballot in ballots] == evidence["concept"].to_list()
    dropped = {ballot.concept for ballot in ballots if ballot.opinions[0].verdict == "drop"}
    precision, recall = precision_and_recall(dropped, junk)
    assert precision == 1.0
    assert recall == 1.0


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"file_names": 0.5}, "50% of its captions are names of files"),
        ({"top_share": 0.52}, "51% of its captions repeat one of them"),
        ({"template_share": 0.7}, "69% of its captions fill in one template"),
        ({"captions": 40}, "60% of its rows have no caption"),
        (
            {"captions": 0, "top_share": None, "mean_words": None, "compression": None},
            "100% of its rows have no caption",
        ),
        ({"mean_words": 1.5}, "1.5 words on average"),
        ({"compression": 4.5}, "4.5 times smaller"),
    ],
)
def test_each_rule_drops_and_says_why(figures: dict[str, Any], said: str) -> None:
    found = opinion({**FINE, **figures}, CaptionRules())
    assert found.verdict == "drop"
    assert said in found.reason
    assert opinion(FINE, CaptionRules()).verdict == "keep"


def test_what_nearly_breaks_a_rule_is_mixed() -> None:
    assert opinion({**FINE, "file_names": 0.29}, CaptionRules()).verdict == "keep"
    assert opinion({**FINE, "file_names": 0.3}, CaptionRules()).verdict == "mixed"
    near = opinion({**FINE, "file_names": 0.35, "template_share": 0.46}, CaptionRules())
    assert (near.verdict, near.reason) == ("mixed", "45% of its captions fill in one template")
    assert opinion({**FINE, "file_names": 0.49}, CaptionRules(mixed=1)).verdict == "keep"


def test_a_concept_of_one_caption_repeats_nothing() -> None:
    one = {**FINE, "rows": 1, "captions": 1, "distinct": 1, "top_share": 1.0, "template_share": 1.0}
    assert opinion(one, CaptionRules()).verdict == "keep"


def test_languages_and_scores_are_bounded_where_asked_for() -> None:
    german = {**FINE, "languages": ["de", "en"], "language_shares": [0.7, 0.3]}
    assert opinion(german, CaptionRules()).verdict == "keep"
    assert opinion(german, CaptionRules(languages=["en"])).reason == "30% of its captions are in en"
    assert opinion(german, CaptionRules(languages=["en", "de"])).verdict == "keep"
    assert opinion(FINE, CaptionRules(min_similarity=0.31)).verdict == "drop"
    assert opinion(FINE, CaptionRules(min_similarity=0.31, score="clip_l14")).verdict == "keep", (
        "without scores it passes"
    )
