from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Signals
from paris_assets.curation.schema import FILTERED_IMAGES
from paris_assets.images.decode import decode_rgb
from paris_assets.rules.columns import VERDICTS
from paris_assets.signals.copies import MOST_LINES, line_moments, samples
from paris_assets.signals.measure import measure, signal_problem, signal_schema
from paris_assets.signals.signal import load_signals
from paris_assets_tests.benchmarks.bench_signals import FURTHER


class Brightest:
    """A user's signal: the largest value, and the smallest where there is some black."""

    schema = {"brightest": pl.UInt8, "darkest": pl.Float32}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        return {
            "brightest": [int(pixels.max()) for pixels in rgb],
            "darkest": [float(pixels.min()) or None for pixels in rgb],
        }


class Clashing(Brightest):
    schema = {"entropy": pl.Float64}


class Short(Brightest):
    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        return {name: values[1:] for name, values in super().measure(rgb).items()}


class NoSignal:
    pass


class Halves:
    schema = {"half": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, Any]:
        return {"half": ["x" for _ in rgb]}


class Crashing(Halves):
    def measure(self, rgb: list[np.ndarray]) -> dict[str, Any]:
        return {"half": [1 / int(pixels.max()) for pixels in rgb]}


class Untyped(Halves):
    schema = {"size": float}


class Sized(Halves):
    schema = {"width": pl.Int32}


class Judged(Halves):
    schema = {"value": pl.Float64}


class Scored(Halves):
    schema = {"similarity": pl.Float64}


def photo(seed: int, width: int = 40, height: int = 30) -> bytes:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def table(images: list[tuple[str, bytes]], settings: Signals) -> pl.DataFrame:
    return pl.concat(measure(images, settings))


IMAGES = [(f"{i:032x}", photo(i, 20 + i, 40)) for i in range(70)]


@pytest.fixture(scope="module")
def measured() -> pl.DataFrame:
    return table(IMAGES, Signals(threads=1))


@pytest.mark.parametrize("threads", [0, 2, 5])
def test_threads_change_nothing(measured: pl.DataFrame, threads: int) -> None:
    assert measured.equals(table(IMAGES, Signals(threads=threads)))


def test_batches_change_nothing(measured: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paris_assets.signals.measure.BATCH_PIXELS", 2000)
    monkeypatch.setattr("paris_assets.signals.measure.BATCH_IMAGES", 3)
    monkeypatch.setattr("paris_assets.signals.measure.FRAME_BATCHES", 2)
    frames = list(measure(IMAGES, Signals(threads=2)))
    assert [len(frame) for frame in frames] == [6] * 11 + [2, 2]
    assert pl.concat(frames).equals(measured)
    subset = table(IMAGES[5:50:7], Signals())
    assert subset.equals(measured[5:50:7])


EVERY = [*Signals().measures, *FURTHER]


def test_equal_pictures_have_equal_bits_wherever_they_stand() -> None:
    """Sides that are no whole number of vectors, among others of other sizes, by any number of threads."""
    same, others = photo(0, 331, 277), [photo(i, 20 + 37 * i, 300 - 17 * i) for i in range(1, 14)]
    images = [(f"{i:032x}", same if i % 3 else others[i // 3]) for i in range(39)]
    alone = table([("0" * 32, same)], Signals(threads=1, measures=EVERY)).drop("image_id")
    for threads in (1, 3):
        found = table(images, Signals(threads=threads, measures=EVERY)).drop("image_id")
        copies = found.filter(pl.int_range(pl.len()) % 3 != 0)
        assert copies.height == 26
        assert copies.equals(pl.concat([alone] * 26))


def test_schema_and_order(measured: pl.DataFrame) -> None:
    assert dict(measured.schema) == signal_schema(Signals())
    assert measured["image_id"].to_list() == [image_id for image_id, _ in IMAGES]
    assert measured.drop("error").null_count().sum_horizontal()[0] == 0
    assert dict(next(measure([], Signals())).schema) == signal_schema(Signals())


def test_undecodable_images_have_nulls_and_a_cause(measured: pl.DataFrame) -> None:
    damaged = [(name, data[:200] if i in (0, 33, 69) else data) for i, (name, data) in enumerate(IMAGES)]
    rows = table(damaged, Signals())
    bad = rows.filter("undecodable")
    assert bad["image_id"].to_list() == [IMAGES[i][0] for i in (0, 33, 69)]
    assert bad["error"].null_count() == 0
    signals = [name for name in rows.columns if name not in ("image_id", "undecodable", "error")]
    assert (bad.select(signals).null_count() == 3).row(0) == (True,) * len(signals)
    assert rows.filter(~pl.col("undecodable")).equals(measured.filter(~rows["undecodable"]))


def test_all_undecodable() -> None:
    rows = table([("a", b""), ("b", b"<html>")], Signals())
    assert rows["undecodable"].to_list() == [True, True]
    assert rows["thumbnail"].null_count() == 2


def test_a_users_signal_by_import_path() -> None:
    rows = table([*IMAGES[:3], ("z", b"no")], Signals(measures=[f"{__name__}:Brightest"]))
    assert rows.columns == ["image_id", "brightest", "darkest", "undecodable", "error"]
    assert rows.schema["brightest"] == pl.UInt8
    assert rows["brightest"].to_list()[3] is None
    assert 128 < rows["brightest"][0] <= 255


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (["paris_assets.signals.entropy:Entropy", f"{__name__}:Clashing"], "Clashing and .*Entropy both .* 'entropy'"),
        ([f"{__name__}:Brightest"] * 2, "both have a column 'brightest'"),
        (["paris_assets.signals.entropy:Nothing"], "paris_assets.signals.entropy:Nothing"),
        (["no.such.module:Signal"], "no.such.module:Signal"),
        (["entropy"], "'entropy'"),
        ([f"{__name__}:NoSignal"], "NoSignal lacks"),
    ],
)
def test_unusable_settings_say_what_is_wrong(measures: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_signals(measures)


def test_what_signals_and_scores_may_not_be_called_are_the_columns_of_verdicts() -> None:
    assert {"image_id", *VERDICTS} == set(FILTERED_IMAGES.frame().columns)


def test_a_signal_that_loses_images_stops_the_run() -> None:
    with pytest.raises(ValueError, match=r"test_measure:Short measured .* for 1 images"):
        table(IMAGES[:3], Signals(measures=[f"{__name__}:Short"]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Brightest", None),
        ("Short", "Short measured .*'darkest': 0.* for 1 images"),
        ("Halves", "signal .*Halves: TypeError: unexpected value .*x.$"),
        ("Crashing", "signal .*Crashing: ZeroDivisionError: division by zero"),
        ("Untyped", "Untyped gives column 'size' the type <class 'float'>, which polars lacks"),
        ("Sized", "Sized and the table itself both have a column 'width'"),
        ("Judged", "Judged and filtered_images both have a column 'value'"),
        ("Scored", "Scored and the source both have a column 'similarity'"),
    ],
)
def test_a_users_signal_is_tried_before_any_image(name: str, said: str | None) -> None:
    problem = signal_problem(Signals(measures=[f"{__name__}:{name}"]))
    assert problem is None if said is None else re.search(said, str(problem)), problem


def test_memory_is_bounded_by_the_window() -> None:
    taken = 0

    def endless() -> Iterator[tuple[str, bytes]]:
        nonlocal taken
        while True:
            taken += 1
            yield f"{taken:032x}", IMAGES[taken % 5][1]

    frames = measure(endless(), Signals(threads=2, measures=["paris_assets.signals.entropy:Entropy"]))
    assert len(next(frames)) == 1024
    assert taken <= 1024 + 2 * 2 * 16
    frames.close()  # type: ignore[attr-defined]


def test_no_limit_on_pixels_but_that_of_the_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_rgb, "__defaults__", (None, 1000))
    assert table([("0" * 32, photo(0, 40, 30))], Signals(threads=1))["error"].to_list() == [None]


@pytest.mark.parametrize("shape", [(1, 3_000_000, 3), (3_000_000, 1, 3)])
def test_a_line_of_pixels_costs_no_more_than_a_square(shape: tuple[int, ...]) -> None:
    """What signals keep of each line of a sample would be a hundred bytes for each pixel."""
    rgb = [np.full(shape, 100, np.uint8)]
    assert max(samples(rgb)[0].shape) <= MOST_LINES
    tracemalloc.start()
    line_moments(rgb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
