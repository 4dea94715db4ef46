"""The degradation scorer: what it sees of a picture, what it says of odd ones, and that size is none of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from safetensors.torch import load_file

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.carried import Shipped, WeightsError
from paris_assets.models.degradation import OVERALL, PARTS, Degradation
from paris_assets.models.degradation_statistics import statistics
from paris_assets.models.degradation_views import GRID, TILE, VIEW, mirrored, reduced_view, row, tiles, view, views
from paris_assets.models.registry import KNOWN, build, requirements
from paris_assets.models.score_columns import score_columns
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals.ladder import balanced, clean, compressed, noisy, sample
from tools.degradation.damage import cast

DIRECTIONS = slice(59, 71)
"""Of `statistics`, those by direction: least, mean and most of lags 1 and 2, two quantiles each."""
GREY = np.full((300, 200, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def scorer() -> Degradation:
    return build(Model(implementation="degradation", precision="fp32", device="cpu", batch_size=4))


def told(scorer: Degradation, *pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Part -> a score per picture."""
    return dict(zip(PARTS, scorer.run(np.stack([scorer.preprocess(each) for each in pictures])).T, strict=True))


def test_the_weights_ship_and_are_small() -> None:
    path = carried.DEGRADATION.verified()
    assert path.stat().st_size <= 4_000_000
    values = [value for value in load_file(path).values() if value.is_floating_point()]
    assert {value.dtype for value in values} == {torch.float16}
    assert all(bool(value.isfinite().all()) for value in values)
    assert (path.parent / "model_card.md").is_file()


def test_other_weights_than_the_shipped_are_refused_before_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    found = carried.DEGRADATION.sha256
    monkeypatch.setattr(carried, "DEGRADATION", Shipped("degradation/model.safetensors", "0" * 64))
    with pytest.raises(WeightsError, match=f"sha256 {found}, expected 0+: it was not opened. Install paris_assets"):
        build(Model(implementation="degradation"))
    absent = Shipped("degradation/gone.safetensors", found)
    assert absent.problem() == "degradation/gone.safetensors is missing from paris_assets: install it again"


def test_a_score_has_a_column_for_each_part() -> None:
    assert KNOWN["degradation"].parts == PARTS == Degradation.parts
    scores = {"d": Model(implementation="degradation"), "nsfw": Model(implementation="open-nsfw")}
    assert score_columns(scores) == {"d": [f"d_{part}" for part in PARTS], "nsfw": ["nsfw"]}
    assert requirements(Model(implementation="degradation", path="somewhere")) == [
        "degradation ships in a package: leave `path` and `revision` empty"
    ]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 5000), (5000, 1), (31, 900), (64, 64), (300, 200), (200, 3000), (1500, 2000)], ids=str
)
def test_any_shape_gives_rows_of_one_size(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    seen = views(row(pixels)[None])
    assert np.array_equal(seen.tiles[0], tiles(pixels))
    assert np.array_equal(seen.view[0], view(pixels))
    assert seen.short_side.tolist() == [min(255, *shape)]


@settings(max_examples=30, deadline=None)
@given(height=st.integers(TILE, 900), width=st.integers(TILE, 900))
def test_tiles_are_native_spread_and_on_the_grid(height: int, width: int) -> None:
    lines, columns = np.indices((height, width))
    places = np.stack([lines % 256, columns % 256, (lines // 256) * 16 + columns // 256], 2).astype(np.uint8)
    corners = set()
    for tile in tiles(places):
        line, column, block = tile[0, 0].tolist()
        top, left = block // 16 * 256 + line, block % 16 * 256 + column
        assert np.array_equal(tile, places[top : top + TILE, left : left + TILE])
        assert top % GRID == left % GRID == 0
        corners.add((top, left))
    if min(height, width) >= 3 * TILE:
        assert len(corners) == 6


def test_the_view_keeps_the_shape_and_never_enlarges() -> None:
    assert reduced_view(np.zeros((900, 1800, 3), np.uint8)).shape == (VIEW // 2, VIEW, 3)
    assert reduced_view(np.zeros((5000, 1, 3), np.uint8)).shape == (VIEW, 1, 3)
    small = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    assert reduced_view(small) is small
    assert np.array_equal(mirrored(small, 400)[200:], mirrored(small, 400)[:200][::-1])


def test_odd_pictures_are_unknown_or_undamaged(scorer: Degradation) -> None:
    strip = np.random.default_rng(0).integers(0, 256, (1, 5000, 3), np.uint8)
    found = told(scorer, GREY[:1, :1], strip, GREY[:31], GREY)
    for part, values in found.items():
        assert np.isnan(values[:3]).all(), part
        assert np.isnan(values[3]) == (part in ("blur", "overall")), part
    assert found["noise"][3] < 0.15
    assert found["cast"][3] < 0.3
    assert found["watermark"][3] < 0.5


def test_scores_are_shares_and_overall_is_what_the_parts_make(scorer: Degradation) -> None:
    found = told(scorer, *(np.asarray(photo) for photo in sample(4)))
    assert all((values >= 0).all() and (values <= 1).all() for values in found.values())
    expected = 1 - sum(weight * found[part] for part, weight in OVERALL.items())
    assert found["overall"] == pytest.approx(expected, abs=1e-6)
    assert sum(OVERALL.values()) == pytest.approx(1)


@pytest.mark.parametrize("count", [4, 9])
def test_others_in_the_batch_change_no_bit(scorer: Degradation, count: int) -> None:
    """Also of as many as fill no vector of any instruction set."""
    pictures = [np.asarray(photo) for photo in sample(count)]
    first, again = told(scorer, *pictures), told(scorer, *pictures[::-1])
    for part in PARTS:
        assert np.array_equal(first[part], again[part][::-1]), part


def _blurred(pixels: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _cast(pixels: np.ndarray, size: float) -> np.ndarray:
    return cast(balanced(pixels), np.array([size, -size / 2]))


DAMAGES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], tuple[float, ...]]] = {
    "blur": (_blurred, (0, 1, 2, 4)),
    "noise": (lambda pixels, sigma: _opened(noisy(pixels, sigma)), (0, 5, 12, 30)),
    "blocking": (lambda pixels, quality: _opened(compressed(pixels, quality)), (100, 60, 25, 8)),
    "cast": (_cast, (0, 0.3, 0.6, 0.9)),
}


@pytest.mark.parametrize("part", DAMAGES)
def test_a_score_climbs_with_its_damage(scorer: Degradation, part: str) -> None:
    damage, levels = DAMAGES[part]
    climbs = [told(scorer, *(damage(clean(photo, 192), level) for level in levels))[part] for photo in sample(4)]
    means = np.mean(climbs, 0)
    assert (np.diff(means) > 0).all()
    assert means[-1] - means[0] > 0.4


@pytest.mark.parametrize("part", DAMAGES)
@pytest.mark.slow
def test_size_is_none_of_it(scorer: Degradation, part: str) -> None:
    """The same damage of the same pixels, of which there are more. Squeezed to 224 pixels it would be another."""
    damage, levels = DAMAGES[part]
    large = [photo for photo in photographs() if photo.height >= 256 and photo.width >= 320]
    ratios = []
    for photo in large[:: len(large) // 5][:5]:
        tile = clean(photo, 128)[:127, :157]
        sizes = [np.pad(tile, [(0, (n - 1) * 127), (0, (n - 1) * 157), (0, 0)], "symmetric") for n in (4, 16)]
        small, big = told(scorer, *(damage(pixels, levels[2]) for pixels in sizes))[part]
        ratios.append(big / small)
    assert np.median(ratios) == pytest.approx(1, abs=0.1)


def test_the_identity_names_the_weights(scorer: Degradation) -> None:
    assert scorer.identity() == {
        "implementation": "degradation",
        "source": "paris_assets",
        "revision": None,
        "sha256": carried.DEGRADATION.sha256,
        "precision": "fp32",
    }


def test_the_wheel_has_the_weights() -> None:
    shipped = (Path(carried.__file__).parents[2] / "setup.cfg").read_text()
    assert "models/weights/degradation/*" in shipped


def test_motion_shows_in_one_direction_and_the_whole_turned_about_says_the_same() -> None:
    sharp = torch.from_numpy(np.random.default_rng(3).uniform(0, 255, (1, 6, 1, 128, 128)).astype(np.float32))
    sharp = sharp.expand(-1, -1, 3, -1, -1)
    moved = torch.nn.functional.avg_pool3d(sharp, (1, 1, 9), 1, (0, 0, 4), count_include_pad=False)
    least, mean, most = statistics(moved)[:, DIRECTIONS].unflatten(1, (3, -1)).unbind(1)
    assert (least[:, 0] < most[:, 0] - 2).all(), "steps over one pixel, along the motion and across it"
    assert ((least < mean) & (mean < most)).all()
    turned = statistics(moved.mT.contiguous())[:, DIRECTIONS]  # a step to the lower left counts for another block then
    assert torch.allclose(turned, statistics(moved)[:, DIRECTIONS], atol=0.02)
    still = statistics(sharp)[:, DIRECTIONS].unflatten(1, (3, -1))
    assert (still[:, 2] - still[:, 0] < 0.1).all(), "noise is the same in all directions"
