"""The uint8 codec: rounded to the nearest, symmetric, zero exact, the same for every shape that values come in."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.formats.codec import ArrayCodec, clipped, codecs_json, decode, encode, read_codecs

HALF = ArrayCodec((0.5,))


def halves(*values: float) -> np.ndarray:
    return np.array(values, np.float16)


def test_values_are_rounded_to_the_nearest_step_and_halves_to_the_even_one() -> None:
    values = halves(0, -0.0, 0.24, 0.25, 0.26, 0.75, 1.25, -0.25, -0.75, 63.5, -63.5)
    assert encode(values, HALF).tolist() == [128, 128, 128, 128, 129, 130, 130, 128, 126, 255, 1]


def test_zero_is_exact_and_what_is_beyond_the_range_gets_its_end() -> None:
    values = halves(0, 64, 65504, -64, -65504)
    codes = encode(values, HALF)
    assert codes.tolist() == [128, 255, 255, 1, 1]
    assert decode(codes, HALF).tolist() == [0, 63.5, 63.5, -63.5, -63.5]
    assert clipped(values, HALF) == 4
    assert clipped(halves(63.5, 63.7, -63.5, 0), HALF) == 0


@given(st.lists(st.floats(-60, 60, width=16), min_size=1, max_size=50), st.floats(1 / 64, 2, width=32))
def test_no_value_moves_by_more_than_half_a_step(values: list[float], scale: float) -> None:
    codec, array = ArrayCodec((scale,)), np.array(values, np.float16)
    inside = np.abs(array.astype(np.float64)) <= 127 * scale
    back = decode(encode(array, codec), codec)
    assert (np.abs(back - array.astype(np.float64))[inside] <= scale / 2 * 1.0001).all()
    assert np.array_equal(encode(-array, codec).astype(int), 256 - encode(array, codec).astype(int))


def test_codes_survive_their_own_values() -> None:
    codes = np.arange(1, 256, dtype=np.uint8)
    for scale in (0.0078125, 0.03, 1.7):
        codec = ArrayCodec((float(np.float32(scale)),))
        assert np.array_equal(encode(decode(codes, codec).astype(np.float16), codec), codes)


def test_channels_have_scales_of_their_own_whatever_the_batch() -> None:
    codec = ArrayCodec((0.5, 1.0, 2.0, 4.0), -3)
    latents = np.random.default_rng(0).standard_normal((5, 4, 3, 2)).astype(np.float16) * 20
    whole = encode(latents, codec)
    assert np.array_equal(whole[3], encode(latents[3], codec))
    for channel, scale in enumerate(codec.scales):
        assert np.array_equal(whole[:, channel], encode(latents[:, channel], ArrayCodec((scale,))))
    assert np.abs(decode(whole, codec)[:, 3] - latents[:, 3]).max() <= 2.01
    with pytest.raises(ValueError, match=r"shape \(3, 2\) has not 4 channels"):
        encode(latents[0, 0], codec)


def test_values_without_a_code_are_refused() -> None:
    for value in (np.inf, -np.inf, np.nan):
        with pytest.raises(ValueError, match="not finite"):
            encode(halves(1, value), HALF)


@pytest.mark.parametrize(("scales", "axis"), [((), None), ((0.0,), None), ((-1.0,), None), ((np.nan,), None)])
def test_scales_are_positive(scales: tuple[float, ...], axis: int | None) -> None:
    with pytest.raises(ValueError, match="positive"):
        ArrayCodec(scales, axis)


def test_one_scale_has_no_axis_and_several_have() -> None:
    with pytest.raises(ValueError, match="need an axis"):
        ArrayCodec((1.0, 2.0))
    with pytest.raises(ValueError, match="need no axis"):
        ArrayCodec((1.0,), -3)


def test_what_is_written_beside_the_data_gives_the_codec_again() -> None:
    codecs = {"latents": ArrayCodec((float(np.float32(0.1)), 2.0), -3), "text": ArrayCodec((float(np.float32(1 / 3)),))}
    text = json.dumps(codecs_json(codecs))
    assert read_codecs(text) == codecs
    assert json.loads(text)["kinds"]["text"] == {"channel_axis": None, "scale": float(np.float32(1 / 3))}


@pytest.mark.parametrize(
    ("text", "said"), [('{"version": 2, "kinds": {}}', "version 2"), ("[]", "no codec.json"), ("{}", "lacks 'version'")]
)
def test_another_file_is_no_codec(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_codecs(text)
