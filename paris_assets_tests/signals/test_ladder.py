"""Each signal follows the damage that it is for, in order, leaves the others' aside, and does not depend on size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from paris_assets.signals.blocking import Blocking
from paris_assets.signals.collage import Collage
from paris_assets.signals.compression import Compression
from paris_assets.signals.degradation import Degradation
from paris_assets.signals.detail import Detail
from paris_assets.signals.frame import Frame
from paris_assets.signals.signal import Signal
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals import plain
from paris_assets_tests.signals.ladder import LADDERS, balanced, clean, climbed, measured, own, pooled, sample, tinted

SIGNALS: list[Signal] = [Blocking(), Degradation(), Detail(), Frame(), Collage()]
OWN = {
    "blocking": "compression",
    "noise": "noise",
    "blur": "blur",
    "colour_cast": "cast",
    "upscaled": "enlarging",
    "frame_share": "frame",
}
# Which pairs are no mistake, and why.
ONE_THING = {
    ("upscaled", "blur"): "an enlarged picture is a blurred one: what lies between the pixels is gone in both",
    ("blur", "enlarging"): "the same",
}
PAIRS = [
    (name, ladder) for name in OWN for ladder in LADDERS if OWN[name] != ladder and (name, ladder) not in ONE_THING
]
FEW, MANY = (6, 256), (36, 384)  # photographs, and pixels on the short side

Climbs = dict[str, dict[str, np.ndarray]]


def extended(test: Callable[..., None]) -> Callable[..., None]:
    """What a rank over photographs says takes many of them."""
    return pytest.mark.extended(pytest.mark.parametrize("climbs", [MANY], indirect=True, ids=["many"])(test))


@pytest.fixture(scope="module")
def climbs(request: pytest.FixtureRequest) -> Climbs:
    """Ladder -> column -> (photos, levels)."""
    photos, side = request.param
    return {ladder: climbed(SIGNALS, ladder, sample(photos), side) for ladder in LADDERS}


@pytest.mark.parametrize(
    "climbs", [FEW, pytest.param(MANY, marks=pytest.mark.extended)], indirect=True, ids=["few", "many"]
)
@pytest.mark.parametrize("name", OWN)
def test_follows_its_own_damage(climbs: Climbs, name: str) -> None:
    values = climbs[OWN[name]][name]
    assert round(own(values), 9) >= 0.9
    assert np.median(values[:, -1]) > np.median(values[:, 0])


@extended
@pytest.mark.parametrize(("name", "ladder"), PAIRS)
def test_is_blind_to_the_others(climbs: Climbs, name: str, ladder: str) -> None:
    assert abs(pooled(climbs[ladder][name])) < 0.3


@extended
@pytest.mark.parametrize(("name", "ladder"), ONE_THING)
def test_pairs_that_are_one_thing_are_so(climbs: Climbs, name: str, ladder: str) -> None:
    """Else they belong among those that are told apart."""
    assert pooled(climbs[ladder][name]) > 0.5


@extended
def test_gutters_and_flat_sides_are_no_damage(climbs: Climbs) -> None:
    """`flat_sides` counts to four: it has one step, at the frame."""
    sides = climbs["frame"]["flat_sides"]
    assert (sides[:, 1:] == 4).all()
    for ladder in set(LADDERS) - {"frame"}:
        assert abs(pooled(climbs[ladder]["flat_sides"])) < 0.3
        if ladder != "noise":  # grain hides a bar: its lines are no longer flat
            assert abs(pooled(climbs[ladder]["gutters"])) < 0.3


def test_what_the_file_says_of_its_compression() -> None:
    climb = climbed([Compression()], "compression", sample(4), 256)
    assert (climb["jpeg_quality"] == LADDERS["compression"][1]).all()
    assert (np.diff(climb["bits_per_pixel"]) < 0).all()


LEVELS = {"noise": 10.0, "blur": 2.0, "compression": 10.0, "enlarging": 2.0, "cast": 15.0}


@pytest.mark.parametrize("name", [name for name in OWN if OWN[name] in LEVELS])
@pytest.mark.parametrize(
    "times", [(4, 8), pytest.param((4, 16), marks=pytest.mark.extended)], ids=["508 and 1016", "508 and 2032"]
)
def test_size_is_none_of_it(name: str, times: tuple[int, int]) -> None:
    """The same damage of the same pixels, of which there are more: within 10 %, and no photograph beyond 20 %, as rows
    are sampled and the steepest edges lie on few of them."""
    ladder = OWN[name]
    damage = LADDERS[ladder][0]
    large = [photo for photo in photographs() if photo.height >= 256 and photo.width >= 320]
    ratios = []
    for photo in large[:: len(large) // 5][:5]:
        tile = clean(photo, 128)[:127, :157]  # primes: no grid of samples may fall on the same rows of each
        tiled = (np.pad(tile, [(0, (n - 1) * 127), (0, (n - 1) * 157), (0, 0)], "symmetric") for n in times)
        values = [measured(SIGNALS, [damage(pixels, LEVELS[ladder])])[name][0] for pixels in tiled]
        ratios.append(values[1] / values[0])
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert ratios == pytest.approx([1] * len(ratios), abs=0.2)


def test_a_cast_of_known_size_moves_the_mean_colour_by_it() -> None:
    """The ladder's own rungs: what is called a distance of 10 is one."""
    pixels = balanced(clean(sample(1)[0], 256))
    moved = plain.lab(tinted(pixels, np.array([3.0, 9.5])))[..., 1:].mean(axis=(0, 1))
    assert np.linalg.norm(plain.lab(pixels)[..., 1:].mean(axis=(0, 1))) < 0.5
    assert np.linalg.norm(moved) == pytest.approx(10, rel=0.15)
