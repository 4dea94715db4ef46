"""Rows of networks that others prepare, too: those of this process, and no network is sent along."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets import compute
from paris_assets.compute import Compute
from paris_assets.config import Latents, Model
from paris_assets.images.decode import Undecodable
from paris_assets.latents.encode import encode
from paris_assets.models import decoding
from paris_assets.models.batches import run_batches
from paris_assets.models.decoding import Idle, prepared, who_prepares
from paris_assets.models.dinov2 import DinoV2
from paris_assets.models.siglip import SiglipImage
from paris_assets.models.together import run_together
from paris_assets_tests.fixtures.elsewhere import Pickling
from paris_assets_tests.models.cheap import Blocks
from paris_assets_tests.models.every_network import EVERY, Sample
from paris_assets_tests.models.fakes import MeanColour
from paris_assets_tests.models.photos import photos

IMAGES = sorted((f"{number:032x}", data) for number, (_, data) in enumerate(photos()[:60]))


def mean(rgb: np.ndarray, scale: float) -> np.ndarray:
    return (scale * rgb.mean((0, 1), dtype=np.float64)).astype(np.float32)


class Portable(MeanColour):
    """Its rows are made by a function that goes without it."""

    def __init__(self, batch_size: int = 4, scale: float = 1.0) -> None:
        super().__init__(batch_size)
        self.preprocess = partial(mean, scale=scale)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Pickling:
    """Places that are asked at once by who waits, for small parts."""
    monkeypatch.setattr(decoding, "_PART_IMAGES", 2)
    monkeypatch.setattr(compute, "LOOK_S", 0.001)
    monkeypatch.setattr(compute, "WINDOW_S", 0.01)
    return Pickling(2)


def helped(others: Pickling) -> Compute:
    return Compute(1, others, alone_s=0, decoders=2)


def rows(network: Any, who: Compute | None, images: list[tuple[str, bytes]] = IMAGES) -> list[tuple[str, list[float]]]:
    found = run_batches(images, network, who)
    return [(image_id, row.tolist()) for ids, batch in found for image_id, row in zip(ids, batch, strict=True)]


def test_rows_are_those_of_this_process_whoever_prepares_them(others: Pickling) -> None:
    expected = rows(Portable(), None)
    assert rows(Portable(), helped(others), IMAGES) == expected
    assert others.did > 0
    assert [image_id for image_id, _ in expected] == [image_id for image_id, _ in IMAGES]


def test_what_is_a_method_is_done_here_with_its_network(others: Pickling) -> None:
    network = MeanColour()
    assert rows(network, helped(others)) == rows(MeanColour(), None)
    assert others.shares == 0
    assert len(network.sides) == len(IMAGES)
    together = run_together(IMAGES, {"a": Portable(), "b": network}, helped(others))
    assert sum(len(batch.ids) for batch in together) == len(IMAGES)
    assert others.shares == 0


class Held(MeanColour):
    """Its rows are made by what holds it, or its weights."""

    def __init__(self, how: str) -> None:
        super().__init__()
        weights = np.zeros(1 << 20)
        self.preprocess = {
            "partial of a method": partial(super().preprocess),
            "lambda": lambda rgb: mean(rgb, 1.0),
            "its weights": partial(weighted, weights=weights),
            "a lock": partial(weighted, weights=threading.Lock()),
        }[how]


def weighted(rgb: np.ndarray, weights: object) -> np.ndarray:
    return mean(rgb, 1.0)


@pytest.mark.parametrize("how", ["partial of a method", "lambda", "its weights", "a lock"])
def test_what_would_take_its_network_along_is_done_here(others: Pickling, how: str) -> None:
    assert rows(Held(how), helped(others)) == rows(MeanColour(), None)
    assert others.shares == 0


@pytest.mark.parametrize("ends", ["the network fails", "the caller stops"])
@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_nothing_is_left_open_by_who_ends_early(others: Pickling, ends: str, together: bool) -> None:
    """Not even for as long as somebody keeps what the network raised, and with it the frames that it came through."""
    closed: list[bool] = []

    def images() -> Iterator[tuple[str, bytes]]:
        try:
            yield from 10 * IMAGES
        finally:
            closed.append(True)

    class Fails(Portable):
        def run(self, batch: np.ndarray) -> np.ndarray:
            if ends == "the network fails":
                raise ValueError("no such kernel")
            return batch

    who = helped(others)
    found = run_together(images(), {"a": Fails()}, who) if together else run_batches(images(), Fails(), who)
    if ends == "the network fails":
        with pytest.raises(ValueError, match="no such kernel") as kept:
            list(found)
        assert kept.value.__traceback__ is not None
    else:
        next(iter(found))
        found.close()  # type: ignore[attr-defined]
    assert closed
    assert not [thread.name for thread in threading.enumerate() if thread.name == "part"]


ALL, MADE = threading.Event(), list[None]()


def counted(rgb: np.ndarray) -> np.ndarray:
    time.sleep(0.002)
    MADE.append(None)
    if len(MADE) == len(IMAGES):
        ALL.set()
    return mean(rgb, 1.0)


class Busy(Portable):
    """It runs its first batch until the rows of all are there."""

    in_flight = 1

    def __init__(self) -> None:
        super().__init__(20)
        self.preprocess = counted

    def run(self, batch: np.ndarray) -> np.ndarray:
        assert ALL.wait(30)
        return batch


def test_a_network_that_is_at_work_does_not_wait_for_pictures(others: Pickling) -> None:
    assert len(rows(Busy(), helped(others))) == len(IMAGES)
    assert others.shares == 0


def test_idle_is_the_time_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(decoding.time, "monotonic", lambda: now[0])
    idle = Idle()
    now[0] = 10.0
    assert idle.seconds() == 0, "before the first batch nothing is told"
    with idle:
        now[0] = 12.0
        with idle:
            now[0] = 13.0
        assert idle.seconds() == 0
        now[0] = 14.0
    now[0] = 16.5
    assert idle.seconds() == 2.5
    with idle:
        now[0] = 20.0
    assert idle.seconds() == 2.5


def test_several_networks_have_their_rows_of_one_decode(others: Pickling) -> None:
    models = {"once": Portable(), "twice": Portable(3, 2.0)}
    broken = sorted([*IMAGES, ("1" * 32, b"no image"), ("2" * 32, b"")])

    def told(who: Compute | None) -> tuple[list[Any], dict[str, str]]:
        found = list(run_together(broken, models, who))
        values = [(batch.ids, {name: rows.tolist() for name, rows in batch.results.items()}) for batch in found]
        return values, {image_id: reason for batch in found for image_id, reason in batch.undecodable.items()}

    expected, reasons = told(None)
    found, refused = told(helped(others))
    assert others.did > 0
    assert (found, refused) == (expected, reasons)
    assert refused.keys() == {"1" * 32, "2" * 32}


def test_an_image_that_cannot_be_decoded_is_named(others: Pickling) -> None:
    broken = [*IMAGES[:30], ("f" * 32, b"no image")]
    with pytest.raises(Undecodable, match=f"^image {'f' * 32} cannot be decoded here"):
        rows(Portable(), helped(others), broken)


def test_latents_of_several_sizes(others: Pickling) -> None:
    settings = Latents(resolutions=[64, 128], upscale=True)
    codec = Blocks(Model(implementation="blocks", batch_size=4))
    expected = pl.concat(encode(IMAGES, codec, settings, 0))
    assert pl.concat(encode(IMAGES, codec, settings, 0, None, helped(others))).equals(expected)
    assert others.did > 0


def sizes(image_id: str, data: bytes) -> tuple[str, int]:
    time.sleep(0.001)
    return image_id, len(data)


@pytest.mark.usefixtures("others")
def test_parts_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_PART_IMAGES", 16)
    seen = list[list[tuple[str, bytes]]]()

    class Watched(Pickling):
        def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
            seen.append(part)
            return super().do(function, shared, part, done)

    files = [(f"{number:03d}", bytes(2**17 if number % 7 else 2**21)) for number in range(300)]
    found = prepared(sizes, files, 16, Compute(1, Watched(3), alone_s=0, decoders=3), "any")
    assert list(found) == [(image_id, len(data)) for image_id, data in files]
    assert seen
    assert all(len(part) <= 16 and sum(len(data) for _, data in part[:-1]) < 2**21 for part in seen)


@pytest.mark.parametrize("sample", [each for each in EVERY if each.kind == "images"], ids=lambda sample: sample.name)
def test_the_preprocessing_of_no_network_takes_it_along(sample: Sample, tmp_path: Path) -> None:
    network = sample.load(tmp_path)
    sent = pickle.dumps(network.preprocess)
    assert len(sent) < 1000
    who = Compute(1, Pickling(), decoders=1)
    assert who_prepares([network], who) is who
    rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert np.array_equal(pickle.loads(sent)(rgb), network.preprocess(rgb))  # noqa: S301 (written above)


@pytest.mark.parametrize("kind", [DinoV2, SiglipImage])
def test_a_class_may_prepare_pictures_another_way_than_the_one_it_is_made_of(kind: Any, tmp_path: Path) -> None:
    name = "dinov2" if kind is DinoV2 else "siglip-image"
    shipped = next(each for each in EVERY if each.name == name).load(tmp_path)

    class Mirrored(kind):  # type: ignore[misc]
        def preprocess(self, rgb: np.ndarray) -> np.ndarray:
            return super().preprocess(rgb[:, ::-1])

    own = object.__new__(Mirrored)
    own.__dict__.update(shipped.__dict__)
    rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert np.array_equal(own.preprocess(rgb), shipped.preprocess(np.ascontiguousarray(rgb[:, ::-1])))
