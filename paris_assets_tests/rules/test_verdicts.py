from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.config import Rule
from paris_assets.rules.verdicts import judge

RULES = [
    Rule(name="short_side", column="short_side", min=160),
    Rule(name="aspect", column="aspect", max=3),
    Rule(name="nsfw", column="nsfw", max=0.3),
    Rule(name="aesthetic", column="aesthetic", min=4, null="keep"),
]
IMAGES = pl.DataFrame(
    [
        # id, width, height, undecodable, nsfw, aesthetic -> kept, reason, value, reasons
        ("a", 200, 160, False, 0.1, None, True, None, None, []),
        ("b", 159, 400, False, 0.1, 5.0, False, "short_side", 159.0, ["short_side"]),
        ("c", 100, 400, False, 0.9, 3.0, False, "short_side", 100.0, ["short_side", "aspect", "nsfw", "aesthetic"]),
        ("d", 600, 200, False, 0.3, 4.0, True, None, None, []),
        ("e", 601, 200, False, 0.1, 4.0, False, "aspect", 3.005, ["aspect"]),
        ("f", 200, 200, False, None, 4.0, False, "nsfw", None, ["nsfw"]),
        ("g", 200, 200, False, math.nan, 3.9, False, "nsfw", None, ["nsfw", "aesthetic"]),
        ("h", 100, 200, True, None, None, False, "undecodable", None, ["undecodable", "short_side"]),
        ("i", 200, 200, None, 0.0, 3.9, False, "aesthetic", 3.9, ["aesthetic"]),
    ],
    schema=["image_id", "width", "height", "undecodable", "nsfw", "aesthetic", "kept", "reason", "value", "reasons"],
    orient="row",
)
VERDICT = ["image_id", "kept", "reason", "value", "reasons"]


@pytest.mark.parametrize("lazy", [False, True])
def test_verdicts(lazy: bool) -> None:
    table = IMAGES.drop("kept", "reason", "value", "reasons").reverse()
    verdict = judge(table.lazy() if lazy else table, RULES)
    assert verdict.columns == VERDICT
    assert verdict.schema["reasons"] == pl.List(pl.String)
    assert verdict.rows() == IMAGES.select(VERDICT).rows()


def test_no_rules_keep_what_decodes() -> None:
    verdict = judge(IMAGES.select("image_id", "undecodable"), [])
    assert verdict.filter(~pl.col("kept"))["image_id"].to_list() == ["h"]
    assert judge(IMAGES.select("image_id"), [])["kept"].all()


def test_no_images() -> None:
    verdict = judge(IMAGES.clear(), RULES)
    assert verdict.columns == VERDICT
    assert verdict.dtypes == [pl.String, pl.Boolean, pl.String, pl.Float64, pl.List(pl.String)]
    assert len(verdict) == 0


def test_a_column_of_nulls_only() -> None:
    table = pl.DataFrame({"image_id": ["a"], "score": [None]})
    rule = Rule(name="score", column="score", min=0)
    assert judge(table, [rule])["reason"].to_list() == ["score"]
    assert judge(table, [rule.model_copy(update={"null": "keep"})])["kept"].to_list() == [True]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"rule 'nsfw' is on column 'nsfw'.*'height', .*'short_side', 'width'"):
        judge(IMAGES.select("image_id", "width", "height"), RULES)


def test_a_column_of_text_is_refused() -> None:
    with pytest.raises(ValueError, match="rule 'id' is on column 'image_id', which holds String"):
        judge(IMAGES, [Rule(name="id", column="image_id", min=1)])


@given(
    st.lists(st.none() | st.floats(-10, 10) | st.just(math.nan), min_size=1, max_size=30),
    st.lists(
        st.tuples(st.none() | st.floats(-10, 10), st.floats(-10, 10), st.sampled_from(["keep", "reject"])), max_size=4
    ),
)
def test_equals_a_loop(values: list[float | None], bounds: list[tuple[float | None, float, str]]) -> None:
    rules = [
        Rule(name=f"rule{i}", column="value", min=low, max=high if low is None else max(low, high), null=null)  # type: ignore[arg-type]
        for i, (low, high, null) in enumerate(bounds)
    ]
    table = pl.DataFrame(
        {"image_id": [f"{i:03}" for i in range(len(values))], "value": values}, schema_overrides={"value": pl.Float32}
    )
    expected = []
    for value in table["value"]:
        unknown = value is None or math.isnan(value)
        number = math.nan if value is None else value
        reasons = [
            rule.name
            for rule in rules
            if (
                rule.null == "reject"
                if unknown
                else (rule.min is not None and number < rule.min) or (rule.max is not None and number > rule.max)
            )
        ]
        seen = None if unknown or not reasons else value
        expected.append((not reasons, reasons[0] if reasons else None, seen, reasons))
    assert judge(table, rules).select("kept", "reason", "value", "reasons").rows() == expected
