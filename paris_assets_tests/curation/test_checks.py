"""Each check of the curation stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.curation import checks
from paris_assets.dag.checks import checks_of
from paris_assets.signals import checks as signal_checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

ALL = [
    lambda store: store.check(signal_checks.ids_joined, SHARD),
    lambda store: store.check(checks.ids_joined, SHARD),
    lambda store: store.check(checks.retention, SHARD),
    lambda store: store.check(checks.duplicate_rate, "all"),
    lambda store: store.check(checks.one_keeper_per_group, "all"),
    lambda store: store.check(checks.ids_unique, SHARD),
    lambda store: store.check(checks.duplicate_rate, SHARD),
]
SIGNAL_IDS, VERDICT_IDS, RETENTION, DUPLICATES, KEEPERS, CURATED_IDS, SHARD_DUPLICATES = range(7)


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    names = made_up.ids(10)
    rows = pl.DataFrame({"image_id": names})
    store.put("raw_images", rows.with_columns(status=pl.lit("ok")))
    store.put("image_signals", rows)
    reason = pl.lit(None, pl.String)
    store.put("filtered_images", rows.with_columns(kept=pl.lit(True), reason=reason))
    groups = rows.with_columns(
        shard=pl.lit(SHARD), group_id="image_id", keeper=pl.lit(True), method=pl.lit(None, pl.String)
    )
    store.put("duplicate_groups", groups)
    store.put("curated_images", rows)
    assert failing(store) == []
    return store


def failing(store: MadeUpRoot) -> list[int]:
    return [number for number, check in enumerate(ALL) if not check(store).passed]


def test_an_image_without_signals(store: MadeUpRoot) -> None:
    store.put("image_signals", store.read("image_signals", SHARD)[1:])
    assert SIGNAL_IDS in failing(store)


def test_a_verdict_on_an_unknown_image(store: MadeUpRoot) -> None:
    rows = store.read("filtered_images", SHARD)
    extra = rows[:1].with_columns(image_id=pl.lit("f" * 32))
    store.put("filtered_images", pl.concat([rows, extra]))
    assert failing(store) == [VERDICT_IDS]


def test_a_rule_that_rejects_nearly_everything(store: MadeUpRoot) -> None:
    gone = pl.int_range(pl.len()) > 1
    store.replace("filtered_images", kept=~gone, reason=pl.when(gone).then(pl.lit("entropy")))
    assert failing(store) == [RETENTION]
    assert "entropy 8" in ALL[RETENTION](store).said


def test_a_set_of_copies(store: MadeUpRoot) -> None:
    first = made_up.ids(10)[0]
    copy = pl.int_range(pl.len()) < 8
    store.replace(
        "duplicate_groups",
        group_id=pl.when(copy).then(pl.lit(first)).otherwise("group_id"),
        keeper=~copy | (pl.col("image_id") == first),
        method=pl.when(copy & (pl.col("image_id") != first)).then(pl.lit("phash")),
    )
    store.put("curated_images", store.read("duplicate_groups").filter("keeper").select("image_id").sort("image_id"))
    assert failing(store) == [DUPLICATES, SHARD_DUPLICATES]


def test_a_shard_of_one_file_among_good_ones(store: MadeUpRoot) -> None:
    groups = store.read("duplicate_groups")
    first = made_up.ids(10)[0]
    copies = groups.with_columns(group_id=pl.lit(first), keeper=pl.col("image_id") == first).with_columns(
        method=pl.when(~pl.col("keeper")).then(pl.lit("exact"))
    )
    names = [f"{number:032x}" for number in range(100)]
    others = groups.sample(100, with_replacement=True).with_columns(image_id=pl.Series(names), shard=pl.lit("00001"))
    others = others.with_columns(group_id="image_id")
    store.put("duplicate_groups", pl.concat([copies, others]))
    store.put("curated_images", copies.filter("keeper").select("image_id"))
    assert failing(store) == [SHARD_DUPLICATES]
    assert "9 of 10 images are copies (90.0%)" in ALL[SHARD_DUPLICATES](store).said
    assert "what a host sends for a missing image" in ALL[SHARD_DUPLICATES](store).advice


def test_a_group_with_two_keepers(store: MadeUpRoot) -> None:
    names = made_up.ids(10)
    store.replace(
        "duplicate_groups",
        group_id=pl.when(pl.col("image_id") == names[1]).then(pl.lit(names[0])).otherwise("group_id"),
    )
    assert failing(store) == [KEEPERS]


def test_a_keeper_that_was_not_curated(store: MadeUpRoot) -> None:
    store.put("curated_images", store.read("curated_images", SHARD)[1:])
    assert failing(store) == [CURATED_IDS]


def test_an_image_curated_twice(store: MadeUpRoot) -> None:
    rows = store.read("curated_images", SHARD)
    store.put("curated_images", pl.concat([rows, rows[:1]]))
    assert failing(store) == [CURATED_IDS]


def test_a_rule_that_never_rejects(store: MadeUpRoot, tmp_path: Path) -> None:
    strict = made_up.flat_root(tmp_path / "strict", **{"checks.silent_rules_from": 10})
    names = [rule.name for rule in store.profile.curation.rejecting]
    store.replace("filtered_images", reasons=pl.lit(names[:-1]))
    few = store.check(checks.rules_fire, "all")
    assert few.passed
    assert f"{names[-1]} none" in few.said
    strict.put("filtered_images", store.read("filtered_images", SHARD))
    assert not strict.check(checks.rules_fire, "all").passed
    strict.replace("filtered_images", reasons=pl.lit(names))
    assert strict.check(checks.rules_fire, "all").passed


def test_a_rule_that_rejects_more_than_is_expected_of_it(store: MadeUpRoot, tmp_path: Path) -> None:
    first = store.profile.curation.rejecting[0].name
    few = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit([first])).otherwise(pl.lit([], pl.List(pl.String)))
    store.replace("filtered_images", reasons=few)
    half = store.check(checks.rejected_by_rule, SHARD)
    assert half.passed, "half of the images is as many as a rule may reject"
    assert half.figures[f"rejected by {first}"] == 0.5
    more = pl.when(pl.int_range(pl.len()) < 6).then(pl.lit([first])).otherwise(pl.lit([], pl.List(pl.String)))
    store.replace("filtered_images", reasons=more)
    failed = store.check(checks.rejected_by_rule, SHARD)
    assert (failed.passed, failed.said) == (False, f"{first} rejects 6 of 10 images (60.0%), at most 50% expected")
    assert failed.advice.endswith(f"Or set checks.max_rejected_by.{first}.")
    assert store.under(**{"checks.max_rejected_by": {first: 0.6}}).check(checks.rejected_by_rule, SHARD).passed
    assert not store.under(**{"checks.max_rejected": 0.1}).check(checks.rejected_by_rule, SHARD).passed


def test_images_that_cannot_be_decoded_are_counted_as_by_a_rule_and_shares_by_rank_where_they_are_named(
    store: MadeUpRoot,
) -> None:
    ranked = {"curation.quantile_rules": [{"name": "best", "column": "aesthetic", "top": 0.1}]}
    store.replace("filtered_images", reasons=pl.lit(["undecodable", "best"]))
    said = store.under(**ranked).check(checks.rejected_by_rule, SHARD).said
    assert said == "undecodable rejects 10 of 10 images (100.0%), at most 50% expected"
    named = {**ranked, "checks.max_rejected_by": {"best": 0.9, "undecodable": 1.0}}
    assert store.under(**named).check(checks.rejected_by_rule, SHARD).said.startswith("best rejects 10 of 10")


def listing(folder: Path, names: list[str]) -> str:
    """Path of a list of images."""
    path = folder / "list.csv"
    path.write_text("image_id,reason\n" + "".join(f"{name},scans\n" for name in names))
    return str(path)


def pruned(store: MadeUpRoot, names: list[str], kept: bool = False) -> None:
    """Verdicts as a list of these images gives them."""
    listed = pl.col("image_id").is_in(names)
    reason = pl.when(listed).then(pl.lit("scans"))
    rows = store.read("filtered_images", SHARD).with_columns(kept=~listed | kept, prune_reason=reason)
    store.put("filtered_images", rows)


def test_a_list_that_prunes_nearly_everything(store: MadeUpRoot, tmp_path: Path) -> None:
    names = made_up.ids(10)
    assert store.check(checks.pruned_share, SHARD).said == "no list of images to prune"
    strict = store.under(**{"curation.prune": [listing(tmp_path, names)]})
    pruned(store, names[:2])
    assert strict.check(checks.pruned_share, SHARD).passed
    pruned(store, names[:3])
    found = strict.check(checks.pruned_share, SHARD)
    assert not found.passed
    assert found.said == "3 of 10 images are pruned (30.0%), at most 20% expected"


def test_a_pruned_image_that_is_kept(store: MadeUpRoot, tmp_path: Path) -> None:
    names = made_up.ids(10)
    strict = store.under(**{"curation.prune": [listing(tmp_path, names[:1])]})
    pruned(store, names[:1], kept=True)
    found = strict.check(checks.pruned_share, SHARD)
    assert not found.passed
    assert found.said == "1 of 1 images of the lists are kept"


def test_a_list_of_another_source(store: MadeUpRoot, tmp_path: Path) -> None:
    names, others = made_up.ids(10), [f"{number:032x}" for number in range(3)]
    assert store.check(checks.lists_known, "all").said == "no list of images"
    half = store.under(**{"curation.boost": [listing(tmp_path, [*names[:3], *others])]})
    found = half.check(checks.lists_known, "all")
    assert found.passed
    assert found.said == "3 of 6 listed images are not there (50.0%)"
    wrong = store.under(**{"curation.prune": [listing(tmp_path, [*names[:2], *others])]})
    assert not wrong.check(checks.lists_known, "all").passed
    assert wrong.check(checks.lists_known, "all").figures["unknown_listed"] == 3


VECTORS = {
    "picture_embeddings": {"clip": {"implementation": "clip-image", "path": "o/c"}},
    "duplicates.vectors": {"encoder": "clip", "cosine": 0.9},
}


def copied(folder: Path, angles: list[float], copies: int) -> MadeUpRoot:
    """A root whose first images are copies of the tenth by vectors, which have these angles; the tenth has none."""
    store, names = made_up.flat_root(folder, **VECTORS), made_up.ids(10)
    turned = np.deg2rad([*angles, *range(40, 40 + 10 * (9 - len(angles)), 10), 0])
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float16)
    store.put("picture_embeddings", pl.DataFrame({"image_id": names, "clip": vectors}))
    copy = pl.int_range(pl.len()) < copies
    groups = pl.DataFrame({"image_id": names}).with_columns(
        shard=pl.lit(SHARD), group_id=pl.when(copy).then(pl.lit(names[9])).otherwise("image_id"), keeper=~copy,
        method=pl.when(copy).then(pl.lit("vectors")),
    )  # fmt: skip
    store.put("duplicate_groups", groups)
    return store


def test_copies_by_vectors_that_are_close_to_their_keepers_and_few(tmp_path: Path) -> None:
    found = copied(tmp_path, [5, -20, 25], 3).check(checks.vectors_agree, "all")
    assert found.passed, found.said
    assert found.figures == {"vector_duplicates": 0.3, "not_close": 0, "checks.max_vector_duplicates": 0.3}


def test_a_copy_whose_vector_is_far_from_its_keepers(tmp_path: Path) -> None:
    found = copied(tmp_path, [5, -20, 30], 3).check(checks.vectors_agree, "all")
    assert not found.passed
    assert found.said == "1 of 3 copies that were compared are not close to their keepers"


def test_too_many_copies_by_vectors(tmp_path: Path) -> None:
    found = copied(tmp_path, [5, 6, 7, 8], 4).check(checks.vectors_agree, "all")
    assert not found.passed
    assert found.said == "40.0% of the images are copies by vectors, at most 30% expected"


def copied_by_embedding(folder: Path, angles: list[float]) -> MadeUpRoot:
    """As ``copied``, under a profile that finds copies by copy_embeddings."""
    store = made_up.flat_root(folder, copy_embedder={"implementation": "efficientnet-lite0"})
    names = made_up.ids(10)
    turned = np.deg2rad([*angles, *range(40, 40 + 10 * (9 - len(angles)), 10), 0])
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float16)
    store.put("copy_embeddings", pl.DataFrame({"image_id": names, "embedding": vectors}))
    copy = pl.int_range(pl.len()) < len(angles)
    groups = pl.DataFrame({"image_id": names}).with_columns(
        shard=pl.lit(SHARD), group_id=pl.when(copy).then(pl.lit(names[9])).otherwise("image_id"), keeper=~copy,
        method=pl.when(copy).then(pl.lit("copy_embedding")),
    )  # fmt: skip
    store.put("duplicate_groups", groups)
    return store


def test_copies_by_embeddings_are_held_to_their_own_bound(tmp_path: Path) -> None:
    """A cosine of 0.75 is 41.4 degrees."""
    found = copied_by_embedding(tmp_path, [5, -20, 41]).check(checks.copy_vectors_agree, "all")
    assert found.passed, found.said
    far = copied_by_embedding(tmp_path / "far", [5, -20, 42]).check(checks.copy_vectors_agree, "all")
    assert far.said == "1 of 3 copies that were compared are not close to their keepers"
    assert "raise duplicates.copies.cosine" in far.advice
    many = copied_by_embedding(tmp_path / "many", [5, 6, 7, 8]).check(checks.copy_vectors_agree, "all")
    assert many.said == "40.0% of the images are copies by vectors, at most 30% expected"


def test_without_vectors_there_is_no_check_of_them(store: MadeUpRoot) -> None:
    names = {check.name for check in checks_of(store.graph, checks)}
    assert "one_keeper_per_group" in names
    assert not {"vectors_agree", "copy_vectors_agree"} & names
