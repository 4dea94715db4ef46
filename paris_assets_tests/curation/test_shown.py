import polars as pl

from paris_assets.curation.shown import sample_copies, sample_curated, sample_verdicts


def test_rejected_images_come_first_one_for_each_reason() -> None:
    reasons = ["entropy"] * 4 + ["aspect"] * 3 + [None] * 20
    table = pl.DataFrame(
        {
            "image_id": [f"{number:02d}" for number in range(27)],
            "kept": [reason is None for reason in reasons],
            "reason": reasons,
            "value": [1.23456, None, 2.0, 2.5, 4.0, 5.0, 6.0, *[None] * 20],
        }
    )
    found = sample_verdicts(table.lazy())
    assert found.height == 9
    assert found["words"].to_list()[:4] == ["entropy: 1.235", "aspect: 4.0", "entropy: no value", "aspect: 5.0"]
    assert found["words"].to_list()[7:] == ["kept", "kept"]


def test_a_copy_follows_the_image_that_is_kept_for_it() -> None:
    table = pl.DataFrame(
        [
            ("a", "a", True, None, None),
            ("a", "a", False, 0, "exact"),  # the same bytes: nothing to compare
            ("c", "b", True, None, None),
            ("b", "b", False, 4, "phash"),
            ("d", "b", False, 6, "phash"),
            ("e", "e", True, None, None),
        ],
        schema=["image_id", "group_id", "keeper", "distance", "method"],
        orient="row",
    )
    assert sample_copies(table.lazy()).rows() == [("c", "kept"), ("b", "copy: pHash 4 bits away")]
    assert sample_copies(table.filter("keeper").lazy()).is_empty()


def test_a_curated_image_without_text_says_so() -> None:
    table = pl.DataFrame({"image_id": ["a", "b"], "text": ["a dog", None]})
    assert sample_curated(table.lazy()).rows() == [("a", "a dog"), ("b", "no text")]
