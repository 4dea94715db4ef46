"""Which concepts an image shows, and which of them are the narrowest."""

from __future__ import annotations

import polars as pl
import pytest

from paris_assets.concepts.hierarchy import label_links, narrower, narrowest, shown, with_parents
from paris_assets.config import Concepts, ProfileError
from paris_assets.profiles import load_profile
from paris_assets_tests.concepts.made import table


def seen(pairs: pl.DataFrame) -> dict[str, list[str]]:
    return dict(pairs.group_by("image_id").agg(pl.col("concept").sort()).rows())


def test_what_is_broader_is_shown_too() -> None:
    tags = table(
        {"a": ["big golden retriever"], "b": ["hot dog", "dog"], "c": []},
        {"c": {"pug": "dog", "sports car": None}, "a": {"retriever": "dog"}, "b": {"sea lion": "marine mammal"}},
    )
    found = seen(shown(tags.lazy(), {"hot dog": "street food", "sea lion": "seal"}))
    assert found == {
        "a": ["big golden retriever", "dog", "golden retriever", "retriever"],
        "b": ["dog", "food", "hot dog", "sea lion", "seal", "street food"],
        "c": ["car", "dog", "pug", "sports car"],
    }


def test_the_next_broader_concept() -> None:
    tags = table({}, {"a": {"pug": "dog"}, "b": {"pug": "animal"}})
    concepts = pl.DataFrame({"concept": ["pug", "dog", "hot dog", "food", "big old barn", "barn"]})
    rows = with_parents(concepts, label_links(tags.lazy()), {"hot dog": "food"})
    parents = dict(rows.select("concept", "parent").rows())
    assert parents == {
        "pug": None,  # animal, the alphabet's first, which is no concept here
        "dog": None,
        "hot dog": "food",
        "food": None,
        "big old barn": None,
        "barn": None,
    }
    assert with_parents(concepts.vstack(pl.DataFrame({"concept": ["old barn"]})), label_links(tags.lazy()), {}).filter(
        concept="big old barn"
    )["parent"].to_list() == ["old barn"]


def test_the_narrowest_stand_for_the_others() -> None:
    concepts = pl.DataFrame(
        {
            "concept": ["golden retriever", "retriever", "golden", "dog", "pug", "red golden retriever"],
            "parent": ["retriever", "dog", None, None, "dog", "golden retriever"],
        }
    )
    parts = narrower(concepts)
    assert sorted(parts.filter(concept="red golden retriever")["part"]) == [
        "dog",
        "golden",
        "golden retriever",
        "retriever",
    ]
    of_some = narrower(concepts, pl.DataFrame({"concept": ["pug", "golden retriever", "unknown"]}))
    assert sorted(of_some.rows()) == sorted(parts.filter(pl.col("concept").is_in(["pug", "golden retriever"])).rows())
    names = {"a": ["golden retriever", "retriever", "golden", "dog"], "b": ["golden", "dog"], "c": ["pug", "unknown"]}
    pairs = pl.DataFrame(
        [(name, one) for name, all_ in names.items() for one in all_], ["image_id", "concept"], orient="row"
    )
    assert seen(narrowest(pairs, concepts, parts)) == {"a": ["golden retriever"], "b": ["dog", "golden"], "c": ["pug"]}


def test_a_middle_concept_that_is_too_rare_hides_nothing() -> None:
    """`old stone` is no concept here; `stone` is one, and within the wider phrase all the same."""
    concepts = pl.DataFrame(
        {"concept": ["old stone tower", "stone"], "parent": [None, None]}, {"concept": str, "parent": str}
    )
    assert narrower(concepts).rows() == [("old stone tower", "stone")]


def test_links_of_a_labeller_that_lead_in_a_circle_end() -> None:
    tags = table({}, {"a": {"x": "y", "y": "x"}})
    rows = with_parents(pl.DataFrame({"concept": ["x", "y"]}), label_links(tags.lazy()), {})
    assert sorted(narrower(rows).rows()) == [("x", "y"), ("y", "x")]
    assert seen(shown(tags.lazy(), {})) == {"a": ["x", "y"]}


def test_parents_are_spelled_as_tables_hold_them() -> None:
    assert Concepts(parents={" Hot  Dog ": "FOOD"}).parents == {"hot dog": "food"}


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        ({"a": "b", "b": "a"}, "parents lead in a circle: a -> b -> a"),
        ({"dog": "hot dog"}, "parents lead in a circle: dog -> hot dog -> dog"),
        ({"cat": " "}, "a concept has no letters"),
    ],
)
def test_parents_that_lead_nowhere_are_refused(parents: dict[str, str], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        load_profile("demo", {"concepts.parents": parents})
