from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.config import Duplicates
from paris_assets.curation import candidates, gallery, links
from paris_assets.curation.decided import SCHEMA
from paris_assets.curation.duplicates import find_duplicates
from paris_assets.curation.same_picture import same_picture
from paris_assets_tests.curation.found import duplicates
from paris_assets_tests.curation.variants import COPIES, half, hashed, patched, saved
from paris_assets_tests.fixtures.photographs import photographs

SETTINGS = Duplicates()


def rows(*images: dict[str, object]) -> pl.DataFrame:
    """A table of occurrences; thumbnails by default are textured and all alike, so pHash alone decides."""
    texture = np.random.default_rng(0).integers(0, 256, 384, dtype=np.uint8)
    defaults = {"shard": "00000", "width": 100, "height": 100, "aesthetic": None, "thumbnail": texture, "phash": 0}
    filled = [{**defaults, "source_row": i, **image} for i, image in enumerate(images)]
    schema = {
        "image_id": pl.String, "shard": pl.String, "source_row": pl.Int64, "phash": pl.UInt64,
        "thumbnail": pl.Array(pl.UInt8, 384), "width": pl.Int32, "height": pl.Int32, "aesthetic": pl.Float32,
    }  # fmt: skip
    return pl.DataFrame({name: pl.Series([row[name] for row in filled], dtype=dtype) for name, dtype in schema.items()})


def flipped(phash: int, *bits: int) -> int:
    return phash ^ sum(1 << bit for bit in bits)


def groups(result: pl.DataFrame) -> dict[str, set[str]]:
    """Keeper -> all ids of its group."""
    keepers = dict(result.filter("keeper").select("group_id", "image_id").rows())
    members: dict[str, set[str]] = {}
    for group, image_id in result.select("group_id", "image_id").rows():
        members.setdefault(keepers[group], set()).add(image_id)
    return members


def assert_sound(result: pl.DataFrame, images: pl.DataFrame) -> None:
    assert result.schema == SCHEMA
    occurrences = ["image_id", "shard", "source_row"]
    assert result.select(occurrences).sort(occurrences).equals(images.select(occurrences).sort(occurrences))
    assert result.equals(result.sort("source_row"))
    per_group = result.group_by("group_id").agg(pl.col("keeper").sum(), pl.col("image_id").min())
    assert (per_group["keeper"] == 1).all()
    assert (per_group["group_id"] == per_group["image_id"]).all()
    assert result.filter(pl.col("keeper") != pl.col("method").is_null()).is_empty()
    assert result.filter(pl.col("keeper") != pl.col("distance").is_null()).is_empty()


@pytest.fixture(scope="module")
def web() -> pl.DataFrame:
    """60 photographs with every variant, in four shards, with some byte-identical repeats."""
    images, names = [], []
    for number, photo in enumerate(photographs()[20:80]):
        for name, copy in {"original": lambda image: image, **COPIES}.items():
            images.append(copy(photo))
            names.append((number, name))
    phashes, thumbnails = hashed(images)
    table = pl.DataFrame(
        {
            "image_id": [f"{(number * 7919 + i * 104729) % 99991:05}" for i, (number, _) in enumerate(names)],
            "photo": [number for number, _ in names],
            "variant": [name for _, name in names],
            "shard": [f"{i % 4:05}" for i in range(len(names))],
            "source_row": range(len(names)),
            "phash": phashes,
            "thumbnail": pl.Series(thumbnails, dtype=pl.Array(pl.UInt8, 384)),
            "width": [image.width for image in images],
            "height": [image.height for image in images],
            "aesthetic": pl.Series([None if i % 3 else i % 7 / 2 for i in range(len(names))], dtype=pl.Float64),
        }
    )
    again = table[::9].with_columns(shard=pl.lit("00003"), source_row=pl.col("source_row") + 10_000)
    return pl.concat([table, again])


def test_variants_of_real_photographs(web: pl.DataFrame) -> None:
    result = duplicates(web, SETTINGS)
    assert_sound(result, web)
    photos = result.join(web.select("source_row", "photo", "variant"), on="source_row")
    assert (photos.group_by("group_id").agg(pl.col("photo").n_unique())["photo"] == 1).all()
    easy = photos.filter(pl.col("variant") != "3 % corner crop")
    assert 60 <= easy["group_id"].n_unique() <= 63  # a corner crop that ranks first misses some of the others
    corners = photos.filter(pl.col("variant") == "3 % corner crop")
    assert corners["keeper"].sum() < 0.3 * len(corners)
    repeats = photos.filter(pl.col("source_row") >= 10_000)
    assert repeats["keeper"].sum() == 0
    assert set(repeats["method"]) == {"exact", "phash"}


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_slices_are_the_table_and_counts_are_of_it(web: pl.DataFrame, rows: int) -> None:
    decided = find_duplicates(web, SETTINGS)
    table, slices = decided.table(), list(decided.slices(rows))
    assert [part.height for part in slices[:-1]] == [rows] * (len(slices) - 1)
    assert pl.concat(slices).equals(table)
    assert (len(decided), decided.kept) == (table.height, table["keeper"].sum())
    assert decided.groups_with_copies == table.filter(~pl.col("keeper"))["group_id"].n_unique()
    exact = table.filter(pl.col("method") == "exact").select("image_id", "source_row")
    assert exact.height > 0
    assert decided.further().sort("source_row").equals(exact)


def test_input_order_and_laziness_change_nothing(web: pl.DataFrame) -> None:
    expected = duplicates(web, SETTINGS)
    for seed in range(3):
        shuffled = web.sample(fraction=1, shuffle=True, seed=seed)
        assert duplicates(shuffled.lazy(), SETTINGS).equals(expected)


def test_three_photographs_of_the_sample_come_at_two_sizes() -> None:
    phashes, thumbnails = hashed(photographs())
    table = pl.DataFrame(
        {
            "image_id": [f"{i:03}" for i in range(len(phashes))],
            "phash": phashes,
            "thumbnail": pl.Series(thumbnails, dtype=pl.Array(pl.UInt8, 384)),
            "width": [photo.width for photo in photographs()],
            "height": [photo.height for photo in photographs()],
        }
    ).with_columns(shard=pl.lit("00000"), source_row=pl.int_range(pl.len()))
    result = duplicates(table, SETTINGS)
    assert result["method"].to_list().count("phash") == 3
    for group, members in groups(result).items():
        sizes = table.filter(pl.col("image_id").is_in(members)).select(pl.col("width") * pl.col("height"), "image_id")
        assert dict(sizes.rows()).get(sizes["width"].max()) == group


def test_close_hashes_of_other_pictures_stay_apart() -> None:
    """Hard negatives: pHash takes them for copies, the second measure does not."""
    photos = photographs()[::6]
    others = [patched(photo, photos[i - 3], 0.35) for i, photo in enumerate(photos)]
    (phashes, thumbnails), (other_phashes, other_thumbnails) = hashed(photos), hashed(others)
    hard = np.flatnonzero(np.bitwise_count(phashes ^ other_phashes) <= SETTINGS.radius)
    assert len(hard) > 10
    table = rows(
        *({"image_id": f"a{i}", "phash": phashes[i], "thumbnail": thumbnails[i]} for i in hard),
        *({"image_id": f"b{i}", "phash": other_phashes[i], "thumbnail": other_thumbnails[i]} for i in hard),
    )
    assert duplicates(table, SETTINGS)["keeper"].sum() > 0.97 * len(table)
    blind = SETTINGS.model_copy(update={"verify_correlation": -1.0})
    # Differences in one place tell even where any correlation will do.
    assert duplicates(table, blind)["keeper"].sum() > 0.97 * len(table)


def flats(levels: np.ndarray) -> np.ndarray:
    """(N, 3) Y, Cb, Cr -> (N, 384) thumbnails of one colour each."""
    return np.repeat(levels.astype(np.uint8), [256, 64, 64], axis=1)


def test_thousands_of_flat_images_with_one_hash() -> None:
    levels = np.arange(2000) % 250
    thumbnails = flats(np.stack([levels, np.full(2000, 128), np.full(2000, 128)], axis=1))
    table = rows(*({"image_id": f"{i:04}", "thumbnail": thumbnails[i]} for i in range(2000)))
    result = duplicates(table, SETTINGS)
    assert_sound(result, table)
    level = dict(zip(table["image_id"], levels.tolist(), strict=True))
    for keeper, members in groups(result).items():
        assert max(abs(level[member] - level[keeper]) for member in members) <= 4
    keepers = sorted(level[keeper] for keeper in groups(result))
    assert 25 <= len(keepers) <= 63
    assert min(np.diff(keepers)) > 4


@pytest.mark.parametrize("hashes", [1, 5])
@pytest.mark.parametrize("kind", ["other colours", "nearly white", "other pictures"])
def test_crowded_hashes_are_not_compared_all_with_all(kind: str, hashes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 images are 8 million pairs."""
    random, count = np.random.default_rng(0), 4000
    thumbnails = {
        "other colours": flats(random.integers(0, 256, (count, 3))),
        "nearly white": random.integers(248, 252, (count, 384), dtype=np.uint8),
        "other pictures": random.integers(0, 256, (count, 384), dtype=np.uint8),
    }[kind]
    table = rows(*({"image_id": f"{i:04}", "thumbnail": thumbnails[i], "phash": 1 << i % hashes} for i in range(count)))
    compared = []

    def counted(left: np.ndarray, right: np.ndarray, correlation: float) -> np.ndarray:
        compared.append(len(left))
        return same_picture(left, right, correlation)

    monkeypatch.setattr(gallery, "same_picture", counted)
    keepers = duplicates(table, SETTINGS)["keeper"].sum()
    assert sum(compared) < 10 * count
    assert {"other colours": 3000 < keepers < 4000, "nearly white": keepers == 1, "other pictures": keepers == 4000}[
        kind
    ]


def test_keeper_is_the_best_by_aesthetic_then_pixels_then_id() -> None:
    def keeper(*images: dict[str, object]) -> str:
        return next(iter(groups(duplicates(rows(*images), SETTINGS))))

    a, b, c = ({"image_id": name, "phash": flipped(0, i)} for i, name in enumerate("abc"))
    assert keeper(a, b, c) == "a"
    assert keeper(a, {**b, "width": 101}, c) == "b"
    assert keeper(a, {**b, "width": 101}, {**c, "aesthetic": 1.0}) == "c"
    assert keeper({**a, "aesthetic": 5.0}, {**b, "width": 101}, {**c, "aesthetic": 6.0}) == "c"
    assert keeper(a, {**b, "aesthetic": float("nan")}, c) == "a"


def test_exact_copies_across_shards() -> None:
    table = rows(
        {"image_id": "a", "shard": "00002", "source_row": 17},
        {"image_id": "a", "shard": "00001", "source_row": 9},
        {"image_id": "a", "shard": "00001", "source_row": 5},
        {"image_id": "b", "phash": flipped(0, 1, 2, 3), "shard": "00000", "source_row": 1},
        {"image_id": "b", "phash": flipped(0, 1, 2, 3), "shard": "00003", "source_row": 30},
    )
    result = duplicates(table, SETTINGS)
    assert_sound(result, table)
    assert result.rows() == [
        ("b", "00000", 1, "a", False, 3, "phash"),
        ("a", "00001", 5, "a", True, None, None),
        ("a", "00001", 9, "a", False, 0, "exact"),
        ("a", "00002", 17, "a", False, 0, "exact"),
        ("b", "00003", 30, "a", False, 3, "phash"),
    ]


def test_shards_past_99999_come_after_it() -> None:
    """As text "100000" is less than "99999"."""
    table = rows(
        {"image_id": "a", "shard": "100000", "source_row": 7_000_000},
        {"image_id": "a", "shard": "99999", "source_row": 6_999_999},
    )
    result = duplicates(table, SETTINGS)
    assert result["shard"].to_list() == ["99999", "100000"]
    assert result["keeper"].to_list() == [True, False]


def blend(share: float) -> np.ndarray:
    """A thumbnail part of the way between two textures."""
    random = np.random.default_rng(1)
    first, second = random.normal(128, 40, (2, 256))
    luma = (first * np.sqrt(1 - share**2) + second * share).clip(0, 255)
    return np.concatenate([luma, np.full(128, 128)]).astype(np.uint8)


def test_chains_do_not_join_different_pictures() -> None:
    """Every step is small, the ends have nothing in common: SemDeDup's connected group would keep one of nine."""
    shares = np.sin(np.linspace(0, np.pi / 2, 9))
    table = rows(*({"image_id": f"{i}", "thumbnail": blend(share)} for i, share in enumerate(shares)))
    result = duplicates(table, SETTINGS)
    assert_sound(result, table)
    found = groups(result)
    assert 1 < len(found) < 9
    assert "0" in found
    assert "8" not in found["0"]


def test_a_longer_way_round_still_joins_one_picture() -> None:
    """a and c are 12 bits apart, too far for a pair, but b links them and their thumbnails agree."""
    table = rows(
        {"image_id": "a", "phash": 0},
        {"image_id": "b", "phash": flipped(0, *range(6))},
        {"image_id": "c", "phash": flipped(0, *range(12))},
        {"image_id": "d", "phash": flipped(0, *range(20, 60))},
    )
    result = duplicates(table, SETTINGS)
    assert groups(result) == {"a": {"a", "b", "c"}, "d": {"d"}}
    assert result["distance"].to_list() == [None, 6, 12, None]


def grown(table: pl.DataFrame, *batches: set[str]) -> pl.DataFrame:
    """The result where the shards of each batch came after those of the ones before."""
    published, shards = None, set[str]()
    for batch in batches:
        shards |= batch
        published = duplicates(table.filter(pl.col("shard").is_in(shards)), SETTINGS, published)
    assert published is not None
    return published


def assert_grown(result: pl.DataFrame, published: pl.DataFrame, images: pl.DataFrame) -> None:
    """Every published row is as it was, every group has one keeper, and ids are those of the group's first members."""
    assert published.join(result, on=published.columns, how="semi", nulls_equal=True).equals(published)
    occurrences = ["image_id", "shard", "source_row"]
    assert result.select(occurrences).sort(occurrences).equals(images.select(occurrences).sort(occurrences))
    assert (result.group_by("group_id").agg(pl.col("keeper").sum())["keeper"] == 1).all()
    keepers = result.filter("keeper").select("image_id", "group_id")
    assert keepers["image_id"].is_unique().all()
    images_in_groups = result.select("image_id", "group_id").unique()
    assert images_in_groups["image_id"].is_unique().all()
    assert result.filter(pl.col("keeper") != pl.col("method").is_null()).is_empty()


def test_published_keepers_stay_though_a_better_copy_arrives() -> None:
    table = rows(
        {"image_id": "b", "aesthetic": 1.0},
        {"image_id": "c", "phash": flipped(0, 3)},
        {"image_id": "z", "phash": 2**64 - 1},
        {"image_id": "a", "aesthetic": 9.0, "shard": "00001", "phash": flipped(0, 1)},
    )
    assert groups(duplicates(table, SETTINGS)) == {"a": {"a", "b", "c"}, "z": {"z"}}
    result = grown(table, {"00000"}, {"00001"})
    assert groups(result) == {"b": {"a", "b", "c"}, "z": {"z"}}
    assert result.rows() == [
        ("b", "00000", 0, "b", True, None, None),
        ("c", "00000", 1, "b", False, 1, "phash"),
        ("z", "00000", 2, "z", True, None, None),
        ("a", "00001", 3, "b", False, 1, "phash"),
    ]


def test_a_bridge_between_two_published_groups_joins_the_better_and_removes_neither() -> None:
    """c agrees with a and e, which are 12 bits apart and had nothing between them."""
    far = {"phash": flipped(0, *range(12)), "aesthetic": 2.0}
    table = rows(
        {"image_id": "a", "phash": 0, "aesthetic": 1.0},
        {"image_id": "e", **far},
        {"image_id": "f", "phash": flipped(0, *range(12), 20)},
        {"image_id": "c", "phash": flipped(0, *range(6)), "shard": "00001", "aesthetic": 9.0},
    )
    assert groups(duplicates(table, SETTINGS)) == {"c": {"a", "c", "e", "f"}}
    published = grown(table, {"00000"})
    assert groups(published) == {"a": {"a"}, "e": {"e", "f"}}
    result = grown(table, {"00000"}, {"00001"})
    assert_grown(result, published, table)
    assert groups(result) == {"a": {"a"}, "e": {"c", "e", "f"}}


def test_a_new_image_near_a_published_copy_only_is_kept() -> None:
    """The chain a-b is published; c agrees with b, which is dropped, but not with a, which stands for it."""
    shares = dict(zip("abc", (0.0, 0.3, 0.6), strict=True))
    table = rows(
        *({"image_id": name, "thumbnail": blend(share), "aesthetic": -share} for name, share in shares.items())
    ).with_columns(shard=pl.when(pl.col("image_id") == "c").then(pl.lit("00001")).otherwise("shard"))
    assert groups(grown(table, {"00000"})) == {"a": {"a", "b"}}
    alone = table.filter(pl.col("image_id") != "a")
    assert groups(duplicates(alone, SETTINGS)) == {"b": {"b", "c"}}
    assert groups(grown(table, {"00000"}, {"00001"})) == {"a": {"a", "b"}, "c": {"c"}}


def test_published_copies_tie_new_images_to_their_keeper() -> None:
    """n is 12 bits from the keeper a, too far for a pair, but a's published copy lies between."""
    table = rows(
        {"image_id": "a", "phash": 0},
        {"image_id": "b", "phash": flipped(0, *range(6))},
        {"image_id": "n", "phash": flipped(0, *range(12)), "shard": "00001"},
    )
    assert groups(grown(table, {"00000"}, {"00001"})) == {"a": {"a", "b", "n"}}


def test_a_published_copy_of_a_distant_keeper_leads_no_new_image() -> None:
    """b was found to be a copy of a at a larger radius than now."""
    table = rows(
        {"image_id": "a", "phash": 0},
        {"image_id": "b", "phash": flipped(0, *range(15))},
        {"image_id": "n", "phash": flipped(0, *range(15)), "shard": "00001"},
    )
    published = duplicates(table[:2], Duplicates(radius=20))
    assert groups(published) == {"a": {"a", "b"}}
    assert groups(duplicates(table, SETTINGS, published)) == {"a": {"a", "b"}, "n": {"n"}}


def test_exact_copies_of_published_images() -> None:
    table = rows(
        {"image_id": "a", "shard": "00003", "source_row": 30},
        {"image_id": "b", "shard": "00003", "source_row": 31, "phash": 1},
        {"image_id": "a", "shard": "00000", "source_row": 0},
        {"image_id": "b", "shard": "00000", "source_row": 1, "phash": 1},
        {"image_id": "b", "shard": "00000", "source_row": 2, "phash": 1},
    )
    assert duplicates(table, SETTINGS).filter("keeper")["shard"].to_list() == ["00000"]
    assert grown(table, {"00003"}, {"00000"}).rows() == [
        ("a", "00000", 0, "a", False, 0, "exact"),
        ("b", "00000", 1, "a", False, 1, "phash"),
        ("b", "00000", 2, "a", False, 1, "phash"),
        ("a", "00003", 30, "a", True, None, None),
        ("b", "00003", 31, "a", False, 1, "phash"),
    ]


def test_new_shards_change_no_published_row(web: pl.DataFrame) -> None:
    first = grown(web, {"00002"})
    second = grown(web, {"00002"}, {"00000", "00003"})
    third = grown(web, {"00002"}, {"00000", "00003"}, {"00001"})
    assert_grown(second, first, web.filter(pl.col("shard") != "00001"))
    assert_grown(third, second, web)
    assert duplicates(web, SETTINGS, third).equals(third)
    assert duplicates(web.sample(fraction=1, shuffle=True, seed=1), SETTINGS, second).equals(third)
    # The copies of a photograph come in every shard: growth may keep a few more of them than one look at all.
    assert 0 <= third.filter("keeper").height - duplicates(web, SETTINGS).filter("keeper").height <= 6


def test_published_rows_of_absent_images_are_an_error() -> None:
    table = rows({"image_id": "a"}, {"image_id": "b", "phash": 2**40 - 1})
    with pytest.raises(ValueError, match="1 published rows are of images that are not there, a among them"):
        duplicates(table[1:], SETTINGS, duplicates(table, SETTINGS))


def test_nothing_and_one() -> None:
    assert duplicates(rows().clear(), SETTINGS).schema == SCHEMA
    assert duplicates(rows({"image_id": "a"}), SETTINGS).rows() == [("a", "00000", 0, "a", True, None, None)]
    unhashed = rows({"image_id": "a", "phash": None}, {"image_id": "b", "phash": None})
    assert duplicates(unhashed, SETTINGS)["keeper"].all()


def test_missing_columns_and_thumbnails_are_named() -> None:
    table = rows({"image_id": "a"}, {"image_id": "b"})
    with pytest.raises(ValueError, match=r"\['phash', 'thumbnail'\]"):
        duplicates(table.drop("phash", "thumbnail"), SETTINGS)
    unseen = table.with_columns(thumbnail=pl.when(pl.col("image_id") == "a").then("thumbnail"))
    with pytest.raises(ValueError, match="1 images have a pHash but no thumbnail, b among them"):
        duplicates(unseen, SETTINGS)
    assert duplicates(table.drop("aesthetic"), SETTINGS)["keeper"].to_list() == [True, False]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([0, 1, 3, 2**10 - 1, 2**13 - 1, 2**64 - 1]), st.integers(0, 3)),
        min_size=1, max_size=25,
    ),
    st.randoms(),
)  # fmt: skip
def test_any_set_is_partitioned_the_same_in_any_order(images: list[tuple[int, int, int]], random: object) -> None:
    """Hashes and thumbnails depend on the id, as content does; blocks of any size give the same."""
    table = rows(
        *(
            {"image_id": f"{i:02}", "phash": phash ^ (i % 3), "thumbnail": blend(i / 20), "shard": f"{shard:05}"}
            for i, phash, shard in {i: (i, phash, shard) for i, phash, shard in images}.values()
        )
    )
    result = duplicates(table, SETTINGS)
    assert_sound(result, table)
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "BLOCK_PAIRS", 2)
        patch.setattr(gallery, "CROWDED", 3)
        patch.setattr(links, "FIRST", 1)
        assert duplicates(table[order], SETTINGS).equals(result)


def naive(table: pl.DataFrame) -> dict[str, str]:
    """image_id -> keeper, by comparing all pairs; every image occurs once."""
    order = table.sort(-pl.col("aesthetic"), "image_id")
    ids, hashes, thumbnails = order["image_id"].to_list(), order["phash"].to_list(), order["thumbnail"].to_numpy()
    agree = {
        (i, j): bool(same_picture(thumbnails[i : i + 1], thumbnails[j : j + 1], SETTINGS.verify_correlation)[0])
        for i in range(len(ids))
        for j in range(i, len(ids))
    }

    def judged(members: list[int]) -> dict[int, int]:
        leader: dict[int, int] = {}
        for i in members:
            found = (j for j in members if j < i and leader[j] == j and agree[j, i])
            leader[i] = next(found, i)
        return leader

    leader: dict[int, int] = {}
    for phash in set(hashes):
        leader.update(judged([i for i in range(len(ids)) if hashes[i] == phash]))
    group = {i: {j for j in leader if leader[j] == leader[i]} for i in leader}
    for i, j in agree:
        if leader[i] == i and leader[j] == j and bin(hashes[i] ^ hashes[j]).count("1") <= 10 and agree[i, j]:
            joined = group[i] | group[j]
            group.update(dict.fromkeys(joined, joined))
    keepers = {i: j for members in group.values() for i, j in judged(sorted(members)).items()}
    return {ids[i]: ids[j] for i, j in keepers.items()}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3, 2**10 - 1, 2**13 - 1, 2**64 - 1]),
            st.sampled_from(["flat", "tinted", "faint", "blend"]),
            st.integers(0, 12),
            st.integers(0, 2),
        ),
        min_size=1, max_size=24,
    ),
    st.sampled_from([0, 4, 1 << 10]),
    st.integers(1, 4),
)  # fmt: skip
def test_groups_are_those_of_comparing_all_with_all(
    images: list[tuple[int, str, int, int]], crowded: int, cell: int
) -> None:
    grain = np.random.default_rng(2).integers(-1, 2, (3, 384)) * np.array([[0], [3], [6]])
    table = rows(
        *(
            {
                "image_id": f"{i:02}",
                "phash": phash,
                "aesthetic": i * 7 % 5,
                "thumbnail": shown(kind, step, grain[noise]),
            }
            for i, (phash, kind, step, noise) in enumerate(images)
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "CROWDED", crowded)
        patch.setattr(links, "FIRST", 1)
        patch.setattr(candidates, "CELL", cell)
        patch.setattr(candidates, "WIDE_CELL", 2 * cell)
        patch.setattr(candidates, "BLOCK", 3)
        found = groups(duplicates(table, SETTINGS))
    assert {member: keeper for keeper, members in found.items() for member in members} == naive(table)


def shown(kind: str, step: int, grain: np.ndarray) -> np.ndarray:
    """A thumbnail of a kind in which nearby steps are the same picture, or nearly so."""
    if kind == "blend":
        plain = blend(step / 12).astype(int)
    else:
        luma, tint = (120 + 2 * step, 128) if kind == "flat" else (120, 128 + 2 * step)
        plain = np.repeat([luma, tint, 128], [256, 64, 64])
        if kind == "faint":  # around the contrast from which on a picture is not flat
            plain[:256] += (np.random.default_rng(3).normal(0, 2 + step / 4, 256)).astype(int)
    return (plain + grain).clip(0, 255).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), min_size=1, max_size=25), st.randoms())
def test_any_set_grows_without_changing_a_published_row(occurrences: list[tuple[int, int]], random: object) -> None:
    """Occurrences of 16 images, which are much alike, in four shards that come in any order."""
    phashes = [0, 1, 3, 2**10 - 1, 2**13 - 1, 2**64 - 1]
    table = rows(
        *(
            {"image_id": f"{i:02}", "phash": phashes[i % 6] ^ (i % 3), "thumbnail": blend(i / 20), "shard": f"{at:05}"}
            for i, at in occurrences
        )
    )
    shards = sorted(set(table["shard"]))
    random.shuffle(shards)  # type: ignore[attr-defined]
    published = duplicates(table.filter(shard=shards[0]), SETTINGS)
    for count in range(2, len(shards) + 1):
        present = table.filter(pl.col("shard").is_in(shards[:count]))
        result = duplicates(present, SETTINGS, published)
        assert_grown(result, published, present)
        assert duplicates(present, SETTINGS, result).equals(result)
        published = result


def test_re_encoded_and_halved_copy_of_one_photograph() -> None:
    photo = photographs()[30]
    phashes, thumbnails = hashed([photo, saved(photo, 40), half(photo)])
    table = rows(
        *({"image_id": f"{i}", "phash": phashes[i], "thumbnail": thumbnails[i], "width": 100 - i} for i in range(3))
    )
    assert groups(duplicates(table, SETTINGS)) == {"0": {"0", "1", "2"}}
