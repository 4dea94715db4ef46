"""Validation samples: the share asked for of every expert, copies on one side, and no change when a source grows."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest

from paris_assets.clusters.split import divided, quota

SIZES = {0: 206, 1: 41, 2: 9, 3: 2, 4: 1}


def samples(sizes: dict[int, int] = SIZES, shard: str = "00000") -> pl.DataFrame:
    """A sample in a group of its own for each of ``sizes`` images of an expert."""
    clusters = [cluster for cluster, count in sizes.items() for _ in range(count)]
    names = sorted(hashlib.sha256(f"{shard} {number}".encode()).hexdigest()[:32] for number in range(len(clusters)))
    return pl.DataFrame(
        {"image_id": names, "shard": shard, "cluster": clusters, "group_id": names},
        schema_overrides={"cluster": pl.Int32},
    )


def held_out(rows: pl.DataFrame) -> dict[int, int]:
    return dict(rows.group_by("cluster").agg(pl.sum("split")).sort("cluster").iter_rows())


def sides(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows.select("image_id", "split").iter_rows())


def test_every_expert_has_the_share_and_at_least_one() -> None:
    assert held_out(divided(samples(), 0.05)) == {0: 10, 1: 2, 2: 1, 3: 1, 4: 0}
    assert held_out(divided(samples(), 0.9)) == {0: 185, 1: 37, 2: 8, 3: 1, 4: 0}
    assert set(held_out(divided(samples(), 0.0)).values()) == {0}


@pytest.mark.parametrize(
    ("groups", "fraction", "wanted"),
    [(0, 0.5, 0), (1, 0.99, 0), (2, 0.01, 1), (2, 0.99, 1), (3, 0.99, 2), (100, 0.05, 5), (100, 0.999, 99), (9, 0, 0)],
)
def test_the_quota_leaves_something_on_both_sides(groups: int, fraction: float, wanted: int) -> None:
    assert quota(groups, fraction) == wanted


def test_neither_order_nor_shards_matter() -> None:
    rows = samples()
    moved = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(shard=pl.format("0000{}", pl.int_range(259) % 3))
    assert sides(divided(moved, 0.1)) == sides(divided(rows, 0.1))


def test_an_image_that_is_gone_moves_at_most_one_group_of_its_own_expert() -> None:
    rows = samples()
    before = sides(divided(rows, 0.1))
    for gone in range(0, rows.height, 7):
        left = rows.filter(pl.int_range(pl.len()) != gone)
        after = sides(divided(left, 0.1))
        moved = [name for name in after if after[name] != before[name]]
        assert len(moved) <= 1
        assert set(rows.filter(pl.col("image_id").is_in(moved))["cluster"]) <= {rows["cluster"][gone]}


def test_copies_are_on_one_side_even_in_different_experts() -> None:
    rows = samples({0: 40, 1: 40, 2: 4})
    groups = pl.int_range(pl.len()) // 4 * 4
    copied = rows.with_columns(pl.col("image_id").gather(groups).alias("group_id"), cluster=pl.int_range(84) % 3)
    found = divided(copied.cast({"cluster": pl.Int32}), 0.2)
    assert found.group_by("group_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 21
    assert min(held_out(found).values()) >= 1


def test_an_expert_of_groups_that_are_others_too_gets_one() -> None:
    """The larger expert chooses after it."""
    rows = samples({0: 50})
    shared = rows.sort(pl.col("group_id").str.slice(16, 8))[-2:].with_columns(
        pl.col("image_id").str.reverse(), cluster=pl.lit(1, pl.Int32)
    )
    assert held_out(divided(pl.concat([rows, shared]), 0.05)) == {0: 2, 1: 1}


def test_growth_moves_nothing_and_keeps_the_share() -> None:
    first = samples({0: 18, 1: 1, 2: 30})
    published = divided(first, 0.1)
    assert held_out(published) == {0: 2, 1: 0, 2: 3}
    new = samples({0: 30, 1: 1, 2: 200, 3: 3}, "00001")
    grown = divided(pl.concat([first, new]), 0.1, published)
    assert grown.filter(shard="00000").equals(published)
    assert held_out(grown) == {0: 5, 1: 1, 2: 23, 3: 1}
    assert held_out(divided(pl.concat([first, new]), 0.1)) == held_out(grown)


def test_a_copy_that_comes_later_goes_where_its_group_is() -> None:
    published = divided(samples({0: 20}), 0.25)
    copies = published.select(
        pl.col("image_id").str.reverse(),
        pl.lit("00001").alias("shard"),
        pl.lit(1, pl.Int32).alias("cluster"),
        "group_id",
    )
    grown = divided(pl.concat([samples({0: 20}), copies]), 0.25, published)
    assert grown.filter(shard="00001")["split"].to_list() == published["split"].to_list()
