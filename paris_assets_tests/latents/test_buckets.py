"""Tables of buckets, and which bucket an image is in."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from paris_assets.latents.buckets import SDXL, Bucket, generated, nearest, ratio_error, table
from paris_assets.settings.latents import Buckets, Latents

SIDES = st.integers(1, 5000)
TABLES = {"sdxl": SDXL, "generated": generated(1024, 64, 4.0), "fine": generated(256, 16, 6.0)}


def test_the_table_of_sdxl() -> None:
    assert len(SDXL) == len(set(SDXL)) == 33
    assert (str(SDXL[0]), str(SDXL[18]), str(SDXL[-1])) == ("512x2048", "1024x1024", "2048x512")
    ratios = [Fraction(*shape) for shape in SDXL]
    assert ratios == sorted(ratios)
    assert [round(float(ratio), 2) for ratio in ratios[:5]] == [0.25, 0.28, 0.32, 0.33, 0.35]
    assert all(side % 64 == 0 for shape in SDXL for side in shape)
    without_mirror = {str(shape) for shape in SDXL if Bucket(shape.width, shape.height) not in SDXL}
    assert without_mirror == {"512x1856", "576x1792", "576x1664", "704x1344"}


@pytest.mark.parametrize(("resolution", "step"), [(1024, 64), (768, 48), (512, 32), (256, 16)])
def test_other_sizes_have_the_same_shapes_in_whole_steps(resolution: int, step: int) -> None:
    for shape in SDXL:
        scaled = shape.scaled(resolution, 1024)
        assert Fraction(*scaled) == Fraction(*shape)
        assert not [side for side in scaled if side % step]
        assert 0.9 * resolution**2 <= scaled.height * scaled.width <= resolution**2


@pytest.mark.parametrize("name", TABLES)
def test_areas_are_at_most_a_tenth_below_the_square(name: str) -> None:
    shapes, area = TABLES[name], {"fine": 256}.get(name, 1024)
    assert Bucket(area, area) in shapes
    assert all(0.9 * area**2 <= shape.height * shape.width <= area**2 for shape in shapes)


def test_a_generated_table_has_every_shape_of_sdxl_and_all_mirrored() -> None:
    shapes = TABLES["generated"]
    assert set(SDXL) < set(shapes)
    assert {Bucket(shape.width, shape.height) for shape in shapes} == set(shapes)
    assert max(max(shape) / min(shape) for shape in shapes) == 4
    assert len({Fraction(*shape) for shape in TABLES["fine"]}) == len(TABLES["fine"])


@pytest.mark.parametrize("name", TABLES)
def test_every_bucket_is_reached(name: str) -> None:
    for shape in TABLES[name]:
        assert nearest(TABLES[name], *shape) == shape
        assert nearest(TABLES[name], 3 * shape.height, 3 * shape.width) == shape
        assert ratio_error(shape, *shape) == 0


@settings(max_examples=200, deadline=None)
@given(height=SIDES, width=SIDES, name=st.sampled_from(sorted(TABLES)))
def test_no_bucket_is_nearer(height: int, width: int, name: str) -> None:
    found = nearest(TABLES[name], height, width)
    errors = [abs(math.log(height / width) - math.log(shape.height / shape.width)) for shape in TABLES[name]]
    assert ratio_error(found, height, width) == pytest.approx(min(errors), abs=1e-9)
    if name != "sdxl":  # four of its shapes have no mirror image
        turned = nearest(TABLES[name], width, height)
        assert ratio_error(turned, width, height) == ratio_error(found, height, width)


def test_of_equally_near_buckets_the_larger_then_the_lower() -> None:
    wide, high = Bucket(64, 256), Bucket(256, 64)
    assert nearest([high, wide], 100, 100) == wide
    assert nearest([wide, Bucket(260, 65)], 100, 100) == Bucket(260, 65)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"area": 512}, "area, step and max_aspect are of generated tables"),
        ({"table": "generated", "area": 1000}, "area 1000 is no multiple of step 64"),
        ({"resolutions": [128]}, r"buckets.resolutions: \[128\] are not among resolutions \[256\]"),
    ],
)
def test_settings_that_make_no_table(values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Latents(buckets=Buckets(**{"resolutions": [256], **values}))


def test_the_table_of_settings() -> None:
    assert table(Buckets(resolutions=[256])) == SDXL
    assert table(Buckets(resolutions=[256], table="generated", area=512, step=32)) == generated(512, 32, 4.0)
