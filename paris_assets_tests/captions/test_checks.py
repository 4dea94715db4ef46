"""Each check of the captions stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.captions import checks
from paris_assets.captions.schema import CAPTION_KINDS, REPEATED_CAPTIONS
from paris_assets.dag.records import ALL as ALL_SHARDS
from paris_assets.vectors.true_tokens import packed, unpacked
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, TEXT_DIM, TOKENS, MadeUpRoot

ALL = [
    checks.ids_joined,
    checks.captions_not_empty,
    checks.captions_differ,
    checks.embeddings_sane,
    checks.choice_follows,
]
IDS, EMPTY, ALIKE, SANE, CHOICE = range(5)


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[int]:
    return [number for number, check in enumerate(ALL) if not store.check(check, SHARD).passed]


def test_a_lost_caption(store: MadeUpRoot) -> None:
    store.put("captions", store.read("captions", SHARD)[1:])
    assert IDS in failing(store)


def test_a_blank_caption(store: MadeUpRoot) -> None:
    blank = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("  ")).otherwise("caption")
    store.replace("captions", caption=blank, captions=pl.concat_list(blank))
    assert failing(store) == [EMPTY]


def test_a_captioner_that_repeats_itself(store: MadeUpRoot) -> None:
    same = pl.when(pl.int_range(pl.len()) < 15).then(pl.lit("a photo")).otherwise("caption")
    store.replace("captions", caption=same, captions=pl.concat_list(same))
    assert failing(store) == [ALIKE]


@pytest.mark.parametrize(
    ("column", "defect"), [("embedding", "nan"), ("pooled", "nan"), ("pooled", "huge"), ("pooled", "constant")]
)
def test_embeddings_that_are_no_embeddings(store: MadeUpRoot, column: str, defect: str) -> None:
    shape = (24, TOKENS, TEXT_DIM) if column == "embedding" else (24, TEXT_DIM)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    if defect == "nan":
        values[5] = np.nan
    elif defect == "huge":
        values[5] = 60000
    else:
        values[:] = values[0]
    store.put("text_embeddings", store.read("text_embeddings", SHARD).with_columns(pl.Series(column, values)))
    assert failing(store) == [SANE]


def test_a_token_count_beyond_the_padding(store: MadeUpRoot) -> None:
    store.replace("text_embeddings", tokens=pl.lit(TOKENS + 1, pl.Int32))
    assert failing(store) == [SANE]


@pytest.fixture
def ragged(store: MadeUpRoot) -> MadeUpRoot:
    """The same with true tokens alone, and no pooled vectors."""
    made_up.store_true_tokens(store)
    assert failing(store) == []
    return store


def test_true_tokens_that_are_no_embeddings(ragged: MadeUpRoot) -> None:
    table = ragged.read("text_embeddings", SHARD)
    states = unpacked(table["embedding"], table["tokens"])
    for bad in (np.nan, 60000):
        spoilt = [np.full_like(row, bad) if at == 5 else row for at, row in enumerate(states)]
        ragged.put("text_embeddings", table.with_columns(packed(spoilt).alias("embedding")))
        assert failing(ragged) == [SANE]
    constant = packed([np.ones_like(row) for row in states]).alias("embedding")
    ragged.put("text_embeddings", table.with_columns(constant))
    assert failing(ragged) == [SANE]


def test_true_tokens_that_are_not_as_many_as_they_say(ragged: MadeUpRoot) -> None:
    whole = ragged.read("text_embeddings", SHARD)
    third = pl.int_range(pl.len()) == 3
    cut = pl.when(third).then(pl.lit(b"\0\0")).otherwise("embedding")
    counted = pl.when(third).then(pl.col("tokens") - 1).otherwise("tokens").cast(pl.Int32)
    for column in (cut.alias("embedding"), counted.alias("tokens")):
        ragged.put("text_embeddings", whole.with_columns(column))
        found = ragged.check(checks.embeddings_sane, SHARD)
        assert not found.passed
        assert "1 embeddings are not of as many tokens as they say" in found.said


def test_what_is_cut_is_a_figure(store: MadeUpRoot) -> None:
    third = pl.int_range(pl.len()) < 6
    store.replace("text_embeddings", truncated=pl.when(third).then(pl.lit(250, pl.Int32)).otherwise("truncated"))
    found = store.check(checks.embeddings_sane, SHARD)
    assert found.passed
    assert (found.figures["truncated"], found.figures["longer_than_77"]) == (6, 0.25)
    assert found.figures["longer_than_256"] == 0


def test_another_caption_than_the_preferred_one(store: MadeUpRoot) -> None:
    kinds = {"kinds": pl.lit(["short", "source"]), "captions": pl.concat_list(pl.lit("a barn"), "caption")}
    store.replace("captions", **kinds)
    assert failing(store) == [], "the source goes first"
    store.replace("captions", kind=pl.lit("short"), caption=pl.lit("a barn") + pl.col("image_id"))
    assert failing(store) == [CHOICE]


KINDS = {
    "source": {"column": "text"},
    "short": {"captioner": {"implementation": "imagenet-labels"}, "unless": ["source"]},
    "tags": {"captioner": {"implementation": "imagenet-tag-captions"}},
}


@pytest.fixture
def of_kinds(tmp_path: Path) -> MadeUpRoot:
    """A root with 24 images: of 16 the source's text is valid, the others have a short caption; all have tags."""
    settings = {"captions.kinds": KINDS, "captions.max_repeats": 5}
    store = made_up.flat_root(tmp_path, **settings)
    names = made_up.publishable(store)
    valid = {"captioner": "somebody", "reason": None}
    rows = [
        {"image_id": name, "kind": kind, "caption": f"{kind} of {name}", **valid}
        for number, name in enumerate(names)
        for kind in ("short", "source", "tags")
        if kind != "short" or number >= 16
    ]
    table = CAPTION_KINDS.frame(rows)
    few = pl.when((pl.col("kind") == "source") & pl.col("image_id").is_in(names[16:])).then(pl.lit("few_words"))
    store.put("caption_kinds", table.with_columns(reason=few))
    again = table.filter(kind="source").head(6).with_columns(shard=pl.lit(SHARD), template=pl.lit("lot 0"))
    store.put("repeated_captions", again.with_columns(repeats=pl.lit(6, pl.Int64)).select(REPEATED_CAPTIONS.select()))
    assert of_kinds_failing(store) == []
    return store


def of_kinds_failing(store: MadeUpRoot) -> list[str]:
    checked = [(checks.kinds_present, SHARD), (checks.captions_valid, SHARD), (checks.captions_repeat, ALL_SHARDS)]
    return [check.__name__ for check, where in checked if not store.check(check, where).passed]


def test_a_kind_without_a_row_and_one_row_too_many(of_kinds: MadeUpRoot) -> None:
    rows = of_kinds.read("caption_kinds", SHARD)
    of_kinds.put("caption_kinds", rows[1:])
    assert of_kinds_failing(of_kinds) == ["kinds_present"]
    of_kinds.put("caption_kinds", pl.concat([rows, rows.filter(kind="tags").head(1)]))
    assert of_kinds_failing(of_kinds) == ["kinds_present"]
    of_kinds.put("caption_kinds", pl.concat([rows, rows.head(1).with_columns(kind=pl.lit("ocr"))]))
    assert of_kinds_failing(of_kinds) == ["kinds_present"]
    superfluous = rows.filter(kind="tags").head(1).with_columns(kind=pl.lit("short"))
    of_kinds.put("caption_kinds", pl.concat([rows, superfluous]))
    assert of_kinds_failing(of_kinds) == ["kinds_present"]


def test_a_captioner_that_refuses(of_kinds: MadeUpRoot) -> None:
    refused = pl.when(pl.col("kind") == "tags").then(pl.lit("refusal")).otherwise("reason")
    of_kinds.replace("caption_kinds", reason=refused)
    assert of_kinds_failing(of_kinds) == ["captions_valid"]
    said = of_kinds.check(checks.captions_valid, SHARD).said
    assert said == "24 of 24 tags captions are invalid (100.0%), at most 50% expected: refusal 24; by somebody 24"


def test_pictures_without_words_and_tags_are_no_defect(of_kinds: MadeUpRoot) -> None:
    empty = pl.when(pl.col("kind") == "tags").then(pl.lit("empty")).otherwise("reason")
    of_kinds.replace("caption_kinds", reason=empty)
    assert of_kinds_failing(of_kinds) == []


def test_a_set_of_templates(of_kinds: MadeUpRoot) -> None:
    rows = of_kinds.read("caption_kinds", SHARD).filter(kind="source").head(13)
    again = rows.with_columns(shard=pl.lit(SHARD), template=pl.lit("lot 0"), repeats=pl.lit(13, pl.Int64))
    of_kinds.put("repeated_captions", again.select(REPEATED_CAPTIONS.select()))
    assert of_kinds_failing(of_kinds) == ["captions_repeat"]
    assert of_kinds.check(checks.captions_repeat, ALL_SHARDS).said == (
        "13 of 24 source captions repeat (54.2%), at most 50% expected, such as `lot 0`"
    )


def test_one_text_for_nearly_every_image(of_kinds: MadeUpRoot) -> None:
    """The diversity of captions is judged under kinds as without."""
    of_kinds.replace("captions", caption=pl.lit("a photo"), captions=pl.lit(["a photo"]))
    assert not of_kinds.check(checks.captions_differ, SHARD).passed
