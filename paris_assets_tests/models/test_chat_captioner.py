"""Captions from an OpenAI-compatible address, by a real server on loopback."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paris_assets.config import Captions, Endpoint
from paris_assets.images.decode import decode_rgb
from paris_assets.models.answers import AnswersError
from paris_assets.models.chat import EndpointError
from paris_assets.models.chat_captioner import ChatCaptioner, picture_url
from paris_assets.runs.preflight import endpoint_problem
from paris_assets.settings.section import without_tuning
from paris_assets_tests.fixtures.chat_server import Answer, Chat, completion, serving
from paris_assets_tests.models.photos import photos

PHOTOS = photos()[:6]
BARN = completion(json.dumps({"caption": "a red barn", "tags": ["barn", "sky"], "n": 3}))


def endpoint(chat: Chat | str, folder: Path, **settings: Any) -> Endpoint:
    url = chat if isinstance(chat, str) else chat.url
    usual = {
        "url": url,
        "model": "vlm",
        "prompt": "Describe as JSON.",
        "cache": str(folder / "kept" / "answers.sqlite"),
    }
    return Endpoint(**{**usual, "backoff_s": 0.0, "timeout_s": 5.0, **settings})


def captions(settings: Endpoint, images: list[tuple[str, bytes]] = PHOTOS) -> list[str | None]:
    found = list(ChatCaptioner(settings).write(iter(images)))
    assert [image_id for image_id, _ in found] == [image_id for image_id, _ in images]
    return [text for _, text in found]


def always(answer: Answer) -> Any:
    return lambda chat, number: answer


def test_an_image_and_a_prompt_are_sent_and_a_field_of_the_answer_is_the_caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_KEY", "s3cret")
    with serving(always(BARN)) as chat:
        assert captions(endpoint(chat, tmp_path, key_env="VLM_KEY", side=96, max_tokens=77)) == ["a red barn"] * 6
        body, header = chat.bodies[0], chat.headers[0]
    assert header["path"] == "/v1/chat/completions"
    assert header["authorization"] == "Bearer s3cret"
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("vlm", 77, 0.0)
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "Describe as JSON."}
    sent = {picture.size for picture in chat.pictures()}
    assert {max(size) for size in sent} == {96}
    shapes = {decode_rgb(data).shape[1::-1] for _, data in PHOTOS}
    assert {round(width / height, 1) for width, height in sent} == {
        round(width / height, 1) for width, height in shapes
    }


def test_what_is_sent_shows_the_image(tmp_path: Path) -> None:
    with serving(always(BARN)) as chat:
        captions(endpoint(chat, tmp_path, side=64), PHOTOS[:1])
        picture = np.asarray(chat.pictures()[0], np.float64)
    own = Image.fromarray(decode_rgb(PHOTOS[0][1]))
    own.thumbnail((64, 64), Image.Resampling.BICUBIC)
    assert np.abs(picture - np.asarray(own)).mean() < 6


def test_no_key_is_sent_where_none_is_named_and_a_key_that_is_not_set_is_a_problem(tmp_path: Path) -> None:
    with serving(always(BARN)) as chat:
        captions(endpoint(chat, tmp_path), PHOTOS[:1])
        assert "authorization" not in chat.headers[0]
    problem = endpoint_problem(endpoint("http://vlm.example/v1", tmp_path, key_env="NO_SUCH_KEY"))
    assert problem == "the environment variable NO_SUCH_KEY, which key_env names, is not set: export it"
    assert endpoint_problem(endpoint("vlm.example/v1", tmp_path)) is not None
    assert endpoint_problem(endpoint("http://vlm.example/v1", tmp_path)) is None


def test_answers_are_kept_by_image_prompt_and_model(tmp_path: Path) -> None:
    with serving(always(BARN)) as chat:
        captions(endpoint(chat, tmp_path))
        assert len(chat.bodies) == 6
        assert captions(endpoint(chat, tmp_path)) == ["a red barn"] * 6
        assert captions(endpoint(chat, tmp_path, field="tags")) == ["barn, sky"] * 6
        assert captions(endpoint(chat, tmp_path, concurrency=1, retries=0, timeout_s=9.0)) == ["a red barn"] * 6
        assert len(chat.bodies) == 6, "another field of the same answer is asked for again"
        for changed in (
            {"prompt": "Short."},
            {"model": "other"},
            {"max_tokens": 9},
            {"side": 64},
            {"options": {"top_p": 1}},
        ):
            before = len(chat.bodies)
            captions(endpoint(chat, tmp_path, **changed))
            assert len(chat.bodies) == before + 6, changed


def test_an_answer_is_that_of_the_picture_that_was_sent(tmp_path: Path) -> None:
    """Under ingest.encode an image_id stays while the picture that is kept of it gets smaller, or faces are blurred."""
    by_picture = lambda chat, number: completion(f"picture {number}")  # noqa: E731
    (image_id, data), (_, other) = PHOTOS[:2]
    with serving(by_picture) as chat:
        first = captions(endpoint(chat, tmp_path), [(image_id, data)])
        assert captions(endpoint(chat, tmp_path), [(image_id, other)]) != first
        assert captions(endpoint(chat, tmp_path), [(image_id, data)]) == first
        assert len(chat.bodies) == 2


def test_no_more_requests_at_once_than_the_profile_says(tmp_path: Path) -> None:
    def slow(chat: Chat, number: int) -> Answer:
        time.sleep(0.05)
        return BARN

    with serving(slow) as chat:
        # JPEGs take bytes behind their end: twelve files of one picture.
        many = [(f"{number:032x}", PHOTOS[0][1] + bytes([number])) for number in range(12)]
        captions(endpoint(chat, tmp_path, concurrency=3), many)
        assert chat.most_at_once == 3


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_failure_is_asked_again(tmp_path: Path, status: int) -> None:
    with serving(lambda chat, number: BARN if number == 2 else (status, {"Retry-After": "0"}, b"busy")) as chat:
        assert captions(endpoint(chat, tmp_path, retries=2), PHOTOS[:1]) == ["a red barn"]
        assert len(chat.bodies) == 3


def test_retry_after_goes_before_the_usual_wait(tmp_path: Path) -> None:
    with serving(lambda chat, number: BARN if number else (429, {"retry-after": "0"}, b"")) as chat:
        start = time.monotonic()
        captions(endpoint(chat, tmp_path, backoff_s=30.0), PHOTOS[:1])
        assert time.monotonic() - start < 10


def test_an_address_that_stays_busy_is_an_error_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    with serving(lambda chat, number: BARN if number < 2 else (503, {}, b"overloaded")) as chat:
        with pytest.raises(EndpointError, match="model vlm: HTTP 503: overloaded; start it, or raise retries"):
            captions(endpoint(chat, tmp_path, retries=1, concurrency=1))
        assert captions(endpoint(chat, tmp_path), PHOTOS[:2]) == ["a red barn"] * 2


@pytest.mark.parametrize(
    ("status", "said"), [(401, "name the variable that holds its key"), (404, "give the url up to /v1")]
)
def test_a_request_that_is_wrong_for_every_image_is_an_error_at_once(tmp_path: Path, status: int, said: str) -> None:
    with serving(always((status, {}, b'{"error": "no"}'))) as chat:
        with pytest.raises(EndpointError, match=said):
            captions(endpoint(chat, tmp_path), PHOTOS[:1])
        assert len(chat.bodies) == 1


def test_nobody_there_is_an_error_that_names_the_address(tmp_path: Path) -> None:
    with serving(always(BARN)) as chat:
        gone = endpoint(chat, tmp_path, retries=1)
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:\d+/v1/chat/completions, model vlm: .*; start it"):
        captions(gone, PHOTOS[:1])


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}, b'{"error": "unsafe content"}'),
        (413, {}, b"too large"),
        (200, {}, b"<html>hello</html>"),
        (200, {}, b"[" * 100_000),
        (200, {}, b'{"choices": []}'),
        completion(None),
        completion('{"caption": "a red ba', "length"),
        completion('{"caption": "a red ba'),
        completion('{"text": "a red barn"}'),
        completion('["a red barn"]'),
        completion('{"caption": 7}'),
    ],
)
def test_one_image_without_an_answer_stops_nothing(tmp_path: Path, answer: Answer) -> None:
    second = picture_url(*PHOTOS[1], Endpoint.model_fields["side"].default)
    with serving(lambda chat, number: answer if second in json.dumps(chat.bodies[number]) else BARN) as chat:
        settings = endpoint(chat, tmp_path, concurrency=1)
        assert captions(settings) == ["a red barn", None, *["a red barn"] * 4]


@pytest.mark.parametrize("failure", ["500", "timeout", "endless"])
def test_an_image_over_which_a_server_fails_stops_nothing(tmp_path: Path, failure: str) -> None:
    def answer(chat: Chat, number: int) -> Answer:
        if number not in (1, 2):  # the second image, asked twice
            return BARN
        if failure == "timeout":
            time.sleep(1.0)
        return (500, {}, b"out of memory") if failure == "500" else (200, {}, b"x" * (3 << 20))

    with serving(answer) as chat:
        settings = endpoint(chat, tmp_path, concurrency=1, retries=1, timeout_s=0.5)
        found = captions(settings)
        assert found[1] is None
        assert found.count("a red barn") >= 4


def test_a_server_that_fails_over_every_image_is_an_error(tmp_path: Path) -> None:
    many = [(f"{number:032x}", PHOTOS[0][1] + bytes([number])) for number in range(12)]
    with serving(always((500, {}, b"no GPU"))) as chat:
        with pytest.raises(EndpointError, match="HTTP 500: no GPU"):
            captions(endpoint(chat, tmp_path, concurrency=1, retries=0), many)
        assert 8 <= len(chat.bodies) <= 12


def test_a_file_of_answers_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file in place of the folder")
    with pytest.raises(AnswersError, match=r"kept/answers\.sqlite"):
        captions(endpoint("http://127.0.0.1:1/v1", tmp_path))


def test_where_and_how_fast_it_is_asked_is_no_part_of_the_results() -> None:
    settings = Captions(kinds={"long": {"endpoint": {"model": "m", "prompt": "p"}}}, train=["long"])  # type: ignore[dict-item]
    published = without_tuning(settings)["kinds"]["long"]["endpoint"]
    assert set(published) == {"model", "prompt", "field", "max_tokens", "temperature", "side", "options"}
    with pytest.raises(ValueError, match="credentials"):
        Endpoint(url="http://user:secret@vlm.example/v1", model="m", prompt="p")


def test_the_name_by_which_the_server_answers_is_told(tmp_path: Path) -> None:
    served = json.loads(BARN[2]) | {"model": "vlm-2026-01"}
    with serving(always((200, {}, json.dumps(served).encode()))) as chat:
        asked = ChatCaptioner(endpoint(chat, tmp_path))
        list(asked.write(iter(PHOTOS)))
        again = ChatCaptioner(endpoint(chat, tmp_path))
        list(again.write(iter(PHOTOS)))
        assert len(chat.bodies) == 6
    assert asked.identity() == again.identity(), "kept answers say as much as those that were asked for"
    assert (asked.identity()["source"], asked.identity()["served"]) == ("vlm", "vlm-2026-01")


def test_an_answer_that_is_cut_off_is_asked_once_more_with_twice_the_limit(tmp_path: Path) -> None:
    cut = completion('{"caption": "a red ba', "length")
    with serving(lambda chat, number: cut if chat.bodies[number]["max_tokens"] == 50 else BARN) as chat:
        assert captions(endpoint(chat, tmp_path, max_tokens=50), PHOTOS[:1]) == ["a red barn"]
        assert [body["max_tokens"] for body in chat.bodies] == [50, 100]
