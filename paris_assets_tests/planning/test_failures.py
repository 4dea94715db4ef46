"""Images are found in what errors say, and a batch that fails says which images were in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl
import pytest

from paris_assets.captions.text import encode as encode_text
from paris_assets.config import Latents, Model, Text
from paris_assets.latents.encode import encode as encode_latents
from paris_assets.models.batches import run_batches
from paris_assets.planning import failures
from paris_assets.signals.scores import score
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.models import cheap

IDS = [f"{number:032x}" for number in range(5)]
IMAGES = [(image_id, small_world.picture(number)) for number, image_id in enumerate(IDS)]
CAPTIONS = pl.DataFrame({"image_id": IDS, "caption": ["sea", "hill", "tree", "boat", "rain"]})


class Breaks:
    """Fails at its second batch of two, as a network on a broken device does."""

    calls = 0

    def _break(self) -> None:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


class Embedder(Breaks, cheap.Colours):
    def run(self, batch: Any) -> Any:
        self._break()
        return super().run(batch)


class Scorer(Breaks, cheap.Redness):
    def run(self, batch: Any) -> Any:
        self._break()
        return super().run(batch)


class Encoder(Breaks, cheap.Letters):
    def encode(self, texts: Any, tokens: int) -> Any:
        self._break()
        return super().encode(texts, tokens)


class Codec(Breaks, cheap.Blocks):
    def encode(self, pixels: Any, noise: Any = None) -> Any:
        self._break()
        return super().encode(pixels, noise)


PAIRS = Model(implementation="pairs", batch_size=2)
RUNS: dict[str, Callable[[], Iterable[Any]]] = {
    "embedder": lambda: run_batches(IMAGES, Embedder(PAIRS)),
    "scorer": lambda: score(IMAGES, {"redness": Scorer(PAIRS)}),
    "text": lambda: encode_text(CAPTIONS, Encoder(PAIRS), Text(tokens=8)),
    "latents": lambda: encode_latents(IMAGES, Codec(PAIRS), Latents(resolutions=[small_world.SIDE]), 0),
}


@pytest.mark.parametrize("network", RUNS)
def test_a_batch_that_fails_names_its_images(network: str) -> None:
    with pytest.raises(RuntimeError, match="illegal memory access") as caught:
        list(RUNS[network]())
    assert caught.value.__notes__ == [f"in a batch of images {IDS[2]}, {IDS[3]}"]


def test_images_that_errors_name_are_found() -> None:
    image = "0123456789abcdef" * 2
    sha256, run = "0123456789abcdef" * 4, "01234567-89ab-cdef-0123-456789abcdef"
    said = f"raw_images/00000.tar, image {image}: expected sha256 {sha256} (run {run})"
    assert failures.IMAGE_ID.findall(said) == [image]


def test_a_webhook_must_be_on_the_web() -> None:
    assert failures.post({}, "file:///etc/passwd") == "it is no http or https address"
    for address in ("http://127.0.0.1:9/secret", "http://me:secret@127.0.0.1:9/", "http://127.0.0.1:9/secret is wrong"):
        said = failures.post({}, address) or ""
        assert "127.0.0.1:9: " in said
        assert "secret" not in said
    assert failures.post({}, "http://[")
