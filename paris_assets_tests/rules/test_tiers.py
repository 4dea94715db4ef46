"""The highest tier that an image reaches."""

from __future__ import annotations

import polars as pl
import pytest
from pydantic import ValidationError

from paris_assets.config import Rule, Tier
from paris_assets.rules.tiers import tiers_of
from paris_assets.settings.curation import Curation


def tier(name: str, side: float, watermark: float) -> Tier:
    rules = [
        Rule(name="short_side", column="short_side", min=side),
        Rule(name="watermark", column="watermark", max=watermark),
    ]
    return Tier(name=name, rules=rules)


TIERS = [tier("256", 128, 0.5), tier("512", 256, 0.3), tier("1024", 512, 0.1)]


def test_the_highest_tier_and_what_stopped_an_image() -> None:
    images = pl.DataFrame(
        [
            # id, width, height, watermark -> tier, stopped_by
            ("a", 600, 512, 0.1, "1024", None),
            ("b", 600, 511, 0.1, "512", "short_side"),
            ("c", 900, 900, 0.2, "512", "watermark"),
            ("d", 300, 200, 0.0, "256", "short_side"),
            # Meets the third tier's bounds on sides and not the second's on watermarks: no tier is skipped.
            ("e", 900, 900, 0.4, "256", "watermark"),
            ("f", 900, 900, None, "256", "watermark"),
        ],
        schema=["image_id", "width", "height", "watermark", "tier", "stopped_by"],
        orient="row",
    )
    found = tiers_of(images.drop("tier", "stopped_by").reverse().lazy(), TIERS)
    assert found.rows() == images.select("image_id", "tier", "stopped_by").rows()


def test_a_single_tier() -> None:
    images = pl.DataFrame({"image_id": ["a"]})
    assert tiers_of(images.lazy(), TIERS[:1]).rows() == [("a", "256", None)]


@pytest.mark.parametrize(
    ("side", "watermark", "said"),
    [(255, 0.1, "min 255 on short_side is looser than 256"), (512, 0.4, "max 0.4 on watermark is looser than 0.3")],
)
def test_bounds_only_tighten(side: float, watermark: float, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Curation(tiers=[*TIERS[:2], tier("1024", side, watermark)])


def test_a_bound_that_a_tier_leaves_out_stays_that_of_those_before() -> None:
    middle = Tier(name="512", rules=[Rule(name="short_side", column="short_side", min=256)])
    with pytest.raises(ValidationError, match=r"max 0\.6 on watermark is looser than 0\.5"):
        Curation(tiers=[TIERS[0], middle, tier("1024", 512, 0.6)])
