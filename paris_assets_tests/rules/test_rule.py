"""Rules of one's own: what they see, what they may answer, and what is said of those that are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Curation, OwnRule, Rule
from paris_assets.rules.columns import rule_columns, rule_problem
from paris_assets.rules.verdicts import judge

HERE = __name__
IMAGES = pl.DataFrame(
    {
        "image_id": ["a", "b", "c", "d"],
        "width": [300, 200, 100, 100],
        "height": [100, 100, 100, 400],
        "undecodable": [False, False, None, True],
        "text": ["buy now", None, "a cat", ""],
        "grey": [0.5, 1.0, None, None],
    }
)
SCHEMA, SCORED = rule_columns({"grey": pl.Float64, "undecodable": pl.Boolean}, ["nsfw"])


class Greys:
    """Answers in numpy and lists; null where the grey is."""

    columns = ("grey", "aspect")

    def __init__(self, most: float = 0.75) -> None:
        self.most = most

    def judge(self, images: pl.DataFrame) -> tuple[list[bool | None], np.ndarray]:
        assert images.columns == ["image_id", "grey", "aspect"]
        kept = [None if grey is None else grey <= self.most for grey in images["grey"]]
        return kept, images["aspect"].to_numpy()


class Arrays(Greys):
    def judge(self, images: pl.DataFrame) -> tuple[Any, np.ndarray]:
        kept, value = super().judge(images)
        return np.array([bool(each) for each in kept]), value


class Words:
    columns = ["text"]

    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        return images["text"].fill_null("").str.contains("buy").not_(), images["text"].str.len_chars()


class NoMethod:
    columns = ["grey"]


class OneWord(Words):
    columns = "text"  # type: ignore[assignment]


class Scored(Words):
    columns = ["nsfw"]


class Few:
    columns: list[str] = []

    def judge(self, images: pl.DataFrame) -> tuple[Any, Any]:
        return [True], [1.0]


class Wordy(Words):
    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        return images["text"], images["text"]


class Careless(Words):
    def judge(self, images: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        return images["txt"], images["text"]


def own(name: str, **settings: Any) -> OwnRule:
    return OwnRule(name=name.lower(), implementation=f"{HERE}:{name}", **settings)


def test_verdicts_and_values_of_own_rules_stand_among_those_of_bounds() -> None:
    rules = [Rule(name="aspect", column="aspect", max=3), own("Words"), own("Greys", options={"most": 0.9})]
    assert judge(IMAGES, rules).rows() == [
        ("a", False, "words", 7.0, ["words"]),
        ("b", False, "greys", 2.0, ["greys"]),
        ("c", False, "greys", 1.0, ["greys"]),
        ("d", False, "undecodable", None, ["undecodable", "aspect"]),
    ]


def test_what_a_rule_cannot_tell_is_kept_where_the_profile_says_so() -> None:
    verdict = judge(IMAGES, [own("Greys", null="keep")])
    assert verdict.filter("kept")["image_id"].to_list() == ["a", "c"]


def test_rules_are_read_by_what_they_name() -> None:
    rules = [{"name": "a", "column": "aspect", "max": 3}, {"name": "b", "implementation": "m:C", "options": {"x": 1}}]
    settings = Curation.model_validate({"signal_rules": rules})
    assert [type(rule) for rule in settings.signal_rules] == [Rule, OwnRule]
    assert Curation.model_validate(settings.model_dump(mode="json")) == settings
    with pytest.raises(ValueError, match=r"signal_rules\.0\.implementation\.max"):
        Curation.model_validate({"signal_rules": [{**rules[1], "max": 3}]})
    with pytest.raises(ValueError, match="give credentials by the environment"):
        Curation.model_validate({"signal_rules": [{**rules[1], "options": {"api_key": "x"}}]})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (own("Greys"), None),
        (own("Words"), None),
        (own("Arrays"), None),
        (own("Absent"), "has no attribute 'Absent'"),
        (OwnRule(name="x", implementation="no_such_module:Rule"), "No module named 'no_such_module'; run from"),
        (OwnRule(name="x", implementation="Rule"), "'Rule' is no import path: give package.module:Class"),
        (own("Greys", options={"least": 1}), r"options \{'least': 1\}.*unexpected keyword argument 'least'"),
        (own("NoMethod"), "lacks a list `columns` or a method `judge`"),
        (own("OneWord"), "lacks a list `columns` or a method `judge`"),
        (own("Scored"), "on column 'nsfw', which does not exist here; there are .*'text'"),
        (own("Few"), "1 verdicts and 1 values for 0 images"),
        (own("Wordy"), "verdicts are String and values String, not Boolean and numbers"),
        (own("Careless"), 'ColumnNotFoundError: "txt" not found'),
    ],
    ids=lambda value: value.implementation.rpartition(":")[2] if isinstance(value, OwnRule) else "",
)
def test_what_is_wrong_is_named_before_any_image(rule: OwnRule, said: str | None) -> None:
    problem = rule_problem(rule, SCHEMA)
    if said is None:
        assert problem is None
        return
    with pytest.raises(ValueError, match=rf"^rule {rule.name!r}.*{said}"):
        raise ValueError(problem)


def test_a_rule_on_scores_is_one_for_the_scored() -> None:
    assert "nsfw" in str(rule_problem(own("Scored"), SCHEMA))
    assert "nsfw" not in str(rule_problem(own("Scored"), SCORED))


def test_a_rule_that_goes_wrong_later_is_named_too() -> None:
    with pytest.raises(ValueError, match=rf"rule 'few' \({HERE}:Few\): ValueError: 1 verdicts"):
        judge(IMAGES, [own("Few")])
