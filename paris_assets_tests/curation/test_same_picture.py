from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from paris_assets.config import Duplicates
from paris_assets.curation import same_picture as same_picture_module
from paris_assets.curation.same_picture import THUMBNAIL_BYTES, same_picture
from paris_assets.signals import perceptual_hash
from paris_assets_tests.curation.variants import COPIES, cropped, hashed, patched
from paris_assets_tests.fixtures.photographs import photographs

RADIUS, CORRELATION = Duplicates().radius, Duplicates().verify_correlation
PHOTOS = photographs()[::2]


def judged(left: list[Image.Image], right: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs are close by pHash, and which of all pairs the second measure takes for the same picture."""
    (hashes_a, thumbnails_a), (hashes_b, thumbnails_b) = hashed(left), hashed(right)
    close = np.bitwise_count(hashes_a ^ hashes_b) <= RADIUS
    same = same_picture(thumbnails_a, thumbnails_b, CORRELATION)
    assert np.array_equal(same, same_picture(thumbnails_b, thumbnails_a, CORRELATION))
    return close, same


def flat(*colour: int) -> Image.Image:
    return Image.new("RGB", (300, 200), colour)


def sky(top: int, bottom: int, seed: int = 0) -> Image.Image:
    """A blue gradient with sensor noise."""
    random = np.random.default_rng(seed)
    luma = np.linspace(top, bottom, 200)[:, None] + random.normal(0, 2, (200, 300))
    return Image.fromarray((luma[..., None] * [0.5, 0.7, 1]).clip(0, 255).astype(np.uint8))


def test_thumbnail_layouts_agree() -> None:
    assert perceptual_hash.THUMBNAIL_BYTES == THUMBNAIL_BYTES


@pytest.mark.parametrize(
    ("copy", "recall"),
    [("JPEG q50", 1), ("half size", 1), ("1 % crop", 1), ("3 % crop", 0.98), ("3 % corner crop", 0.8),
     ("brightness +10 %", 1), ("brightness -10 %", 1)],
)  # fmt: skip
def test_copies_are_found(copy: str, recall: float) -> None:
    close, same = judged(PHOTOS, [COPIES[copy](photo) for photo in PHOTOS])
    assert (close & same).mean() >= recall


def test_coarse_pictures_of_copies_agree_as_they_stand() -> None:
    """With room to the limit, up to crops that alignment can follow; beyond these it tells copies from accidents."""
    _, thumbnails = hashed(PHOTOS)
    for copy in COPIES.values():
        copies = hashed([copy(photo) for photo in PHOTOS])[1]
        same = same_picture(thumbnails, copies, CORRELATION)
        sides = (same_picture_module.detrended(side[same, :256].astype(float)) for side in (thumbnails, copies))
        a, b = (same_picture_module.coarse(side / side.std(axis=1, keepdims=True)) for side in sides)
        assert np.sqrt(((a - b) ** 2).mean(axis=1)).max() < 0.9 * same_picture_module.MAX_COARSE_DIFFERENCE


def test_far_crops_are_others_even_where_any_correlation_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails, moved = hashed(PHOTOS)[1], hashed([cropped(photo, 0.08, corner=True) for photo in PHOTOS])[1]
    passed = same_picture(thumbnails, moved, -1)
    monkeypatch.setattr(same_picture_module, "MAX_COARSE_DIFFERENCE", np.inf)
    without = same_picture(thumbnails, moved, -1)
    assert (passed <= without).all()
    assert passed.sum() < 0.8 * without.sum()


def test_different_photographs_are_never_the_same() -> None:
    """Whatever their pHashes say; the set holds some photographs at two sizes, and copies, which pHash tells."""
    hashes, thumbnails = hashed(PHOTOS)
    pairs = np.array(list(combinations(range(len(PHOTOS)), 2)))
    different = pairs[np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]) > 13]
    assert len(different) > 5000
    assert same_picture(thumbnails[different[:, 0]], thumbnails[different[:, 1]], CORRELATION).sum() == 0


def test_mirrored_photographs_are_others() -> None:
    close, same = judged(PHOTOS, [ImageOps.mirror(photo) for photo in PHOTOS])
    assert (close & same).mean() == 0


def test_recoloured_photographs_pass_phash_and_fail_the_second_measure() -> None:
    colourful = [p for p in PHOTOS if np.ptp(np.asarray(p.resize((8, 8))).mean(axis=(0, 1))) > 30]
    swapped = [Image.merge("RGB", photo.split()[::-1]) for photo in colourful]
    close, same = judged(colourful, swapped)
    assert close.mean() > 0.9
    assert (close & same).sum() == 0


@pytest.mark.parametrize(("share", "passed"), [(0.3, 0.05), (0.4, 0.02)])
def test_another_subject_in_the_same_frame_passes_phash_and_fails_the_second_measure(
    share: float, passed: float
) -> None:
    others = [patched(photo, PHOTOS[i - 7], share) for i, photo in enumerate(PHOTOS)]
    close, same = judged(PHOTOS, others)
    assert close.mean() > 0.2
    assert (close & same).sum() <= passed * close.sum()


def test_flat_images_pass_phash_and_are_told_apart_by_level_and_colour() -> None:
    pairs = [
        (flat(255, 255, 255), flat(255, 255, 255), True),
        (flat(255, 255, 255), flat(253, 254, 253), True),
        (flat(255, 255, 255), flat(235, 235, 235), False),
        (flat(0, 0, 0), flat(255, 255, 255), False),
        (flat(200, 30, 30), flat(30, 83, 200), False),
        (flat(120, 120, 120), flat(130, 115, 120), False),
    ]
    close, same = judged([a for a, _, _ in pairs], [b for _, b, _ in pairs])
    assert close.sum() >= 5
    assert same.tolist() == [expected for _, _, expected in pairs]


def test_skies_are_told_apart_by_their_levels() -> None:
    pairs = [
        (sky(200, 240, 1), sky(200, 240, 2), True),  # nothing tells these apart
        (sky(200, 240), sky(140, 180), False),
        (sky(200, 240), sky(215, 225), False),
        (sky(200, 240), sky(60, 250), False),
        (sky(200, 240), sky(240, 200), False),
    ]
    _, same = judged([a for a, _, _ in pairs], [b for _, b, _ in pairs])
    assert same.tolist() == [expected for _, _, expected in pairs]


def test_a_faint_gradient_is_no_photograph() -> None:
    photo = PHOTOS[0].convert("L")
    faint = photo.point([100 + level // 12 for level in range(256)]).convert("RGB")
    close, same = judged([photo.convert("RGB")], [faint])
    assert close.all()
    assert not same.any()


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (6, THUMBNAIL_BYTES)), st.floats(-1, 1))
def test_any_thumbnails_are_judged_without_numeric_trouble(thumbnails: np.ndarray, correlation: float) -> None:
    left, right = thumbnails[:3], thumbnails[3:]
    with np.errstate(all="raise", under="ignore"):
        together = same_picture(left, right, correlation)
        assert same_picture(left, left, correlation).all()
    alone = [same_picture(left[i : i + 1], right[i : i + 1], correlation)[0] for i in range(3)]
    assert together.tolist() == alone
