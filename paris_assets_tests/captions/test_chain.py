"""A chain of captioners behind addresses: who is asked for what, who spoke, and what ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.captions.captioning import Writers
from paris_assets.captions.kinds import kind_rows
from paris_assets.config import Captions
from paris_assets.models.chat import EndpointError
from paris_assets.models.chat_captioner import picture_url
from paris_assets.models.decoding import Images
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures.chat_server import Answer, Chat, completion, serving
from paris_assets_tests.models.photos import photos

PHOTOS = photos()[:5]
SHORT = "captions.kinds.short"


def read(image_ids: pl.Series) -> Images:
    wanted = set(image_ids)
    yield from (photo for photo in PHOTOS if photo[0] in wanted)


def chain(first: Chat, second: Chat, folder: Path) -> Captions:
    def endpoint(chat: Chat, model: str) -> dict[str, Any]:
        usual = {"prompt": "Describe.", "cache": f"{folder}/answers", "side": 64, "backoff_s": 0.0, "retries": 0}
        return {"endpoint": {"url": chat.url, "model": model, **usual}}

    kinds = {"short": {**endpoint(first, "large"), "fallback": [endpoint(second, "small")]}}
    return Captions(kinds=kinds, train=["short"])  # type: ignore[arg-type]


def captioned(settings: Captions) -> tuple[pl.DataFrame, Output]:
    output = Output()
    wanted = pl.DataFrame({"image_id": [image_id for image_id, _ in PHOTOS]})
    return kind_rows(wanted, read, settings, Writers(output, Models(), settings)), output


@pytest.fixture
def second() -> Iterator[Chat]:
    said = completion(json.dumps({"caption": "a plain picture"}), model="small-v2")
    with serving(lambda chat, number: said) as chat:
        yield chat


def test_images_that_the_first_refuses_or_fails_over_are_captioned_by_the_next(tmp_path: Path, second: Chat) -> None:
    failing = {picture_url(*PHOTOS[1], 64): (400, {}, b"unsafe"), picture_url(*PHOTOS[3], 64): (500, {}, b"")}

    def answer(chat: Chat, number: int) -> Answer:
        picture = chat.bodies[number]["messages"][0]["content"][1]["image_url"]["url"]
        return failing.get(picture, completion(json.dumps({"caption": "a red barn"}), model="large-v1"))

    with serving(answer) as first:
        settings = chain(first, second, tmp_path)
        table, output = captioned(settings)
        assert table["captioner"].to_list() == ["large", "small", "large", "small", "large"]
        assert table["caption"].to_list() == ["a red barn", "a plain picture"] * 2 + ["a red barn"]
        assert table["reason"].null_count() == 5
        ran = output.facts["models"]
        assert {setting: identity["served"] for setting, identity in ran.items()} == {
            f"{SHORT}.endpoint": "large-v1",
            f"{SHORT}.fallback.0.endpoint": "small-v2",
        }
        asked = len(first.bodies), len(second.bodies)
        assert asked == (5, 2)
        again, _ = captioned(settings)
        assert again.equals(table)
        assert (len(first.bodies), len(second.bodies)) == (7, 2), "only what had no answer is asked again"


def test_a_server_that_answers_nobody_is_an_error_and_no_reason_to_ask_the_next(tmp_path: Path, second: Chat) -> None:
    with serving(lambda chat, number: (503, {}, b"loading")) as first:
        with pytest.raises(EndpointError, match="model large: HTTP 503: loading"):
            captioned(chain(first, second, tmp_path))
        assert second.bodies == []
