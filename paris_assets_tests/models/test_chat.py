"""The client that captioners and judges share: what passes, how long it waits, and what ends all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from paris_assets.models.chat import ChatClient, EndpointError
from paris_assets.settings.chat_server import ChatServer
from paris_assets_tests.fixtures.chat_server import Answer, Chat, completion, serving

BARN = completion("a barn", usage={"prompt_tokens": 10, "completion_tokens": 2})


def client(chat: Chat, **settings: Any) -> ChatClient:
    return ChatClient(ChatServer(**{"url": chat.url, "model": "m", "backoff_s": 0.0, "timeout_s": 5.0, **settings}))


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_passes_is_asked_again(status: int) -> None:
    with serving(lambda chat, number: BARN if number == 2 else (status, {}, b"busy")) as chat:
        _, said = client(chat).ask([])
        assert said is not None
        assert said.text == "a barn"
        assert len(chat.bodies) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_what_does_not_pass_is_asked_once(status: int) -> None:
    with serving(lambda chat, number: (status, {}, b"no")) as chat:
        reply, said = client(chat).ask([])
        assert (reply.status, said, len(chat.bodies)) == (status, None, 1)


def test_waits_double_and_are_shortened_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    with serving(lambda chat, number: (503, {}, b"busy")) as chat:
        asked = client(chat, retries=8, backoff_s=1.0)
        monkeypatch.setattr(asked._stop, "wait", lambda seconds: waits.append(seconds) if seconds else None)
        asked.ask([])
    assert len(waits) == 8
    for attempt, wait in enumerate(waits[:6]):
        assert 0.5 * 2**attempt <= wait <= 2**attempt
    assert max(waits) <= 60
    assert len(set(waits[:6])) == 6


def test_retry_after_by_number_and_by_date_goes_before_the_usual_wait() -> None:
    def answer(chat: Chat, number: int) -> Answer:
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        return [(429, {"Retry-After": soon}, b""), (429, {"Retry-After": "0.2"}, b""), BARN][number]  # type: ignore[return-value]

    with serving(answer) as chat:
        start = time.monotonic()
        assert client(chat, backoff_s=60.0).ask([]).completion is not None
        assert 0.2 <= time.monotonic() - start < 10


def test_a_connection_that_ends_within_an_answer_is_asked_again() -> None:
    with serving(lambda chat, number: BARN if number else (200, {"Content-Length": "999"}, b'{"choices": [')) as chat:
        assert client(chat, retries=1).ask([]).completion is not None
        assert len(chat.bodies) == 2


def test_an_answer_that_drips_takes_no_longer_than_the_whole_may() -> None:
    def drip() -> Any:
        for _ in range(100):
            time.sleep(0.1)
            yield b" "

    with serving(lambda chat, number: (200, {}, drip())) as chat:
        start = time.monotonic()
        reply, said = client(chat, retries=0, timeout_s=0.5).ask([])
        assert time.monotonic() - start < 5
        assert (reply.status, reply.by_question, said) == (0, True, None)


def test_no_more_requests_a_minute_than_the_profile_says_retries_included() -> None:
    with serving(lambda chat, number: (503, {}, b"") if number % 2 == 0 else BARN) as chat:
        asked, start = client(chat, requests_per_minute=600), time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: asked.ask([]), range(3)))
        assert len(chat.bodies) >= 6
        assert time.monotonic() - start >= 0.1 * (len(chat.bodies) - 1) - 0.01


def test_an_answer_that_is_cut_off_is_asked_for_once_more_and_both_are_paid() -> None:
    cut = completion("a ba", "length", usage={"prompt_tokens": 10, "completion_tokens": 9})
    with serving(lambda chat, number: cut if number == 0 else BARN) as chat:
        said = client(chat, max_tokens=9).ask([]).completion
        assert said is not None
        assert (said.text, said.tokens_in, said.tokens_out) == ("a barn", 20, 11)
        assert [body["max_tokens"] for body in chat.bodies] == [9, 18]
    with serving(lambda chat, number: cut) as chat:
        said = client(chat).ask([]).completion
        assert said is not None
        assert said.cut
        assert len(chat.bodies) == 2


def test_the_first_error_that_ends_all_is_told_to_everybody_who_waits_or_asks() -> None:
    with serving(lambda chat, number: (503, {}, b"busy")) as chat:
        asked = client(chat, backoff_s=60.0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(asked.ask, [])
            while not chat.bodies:
                time.sleep(0.01)
            first = asked.ended(EndpointError("the key is wrong"))
            assert asked.ended(EndpointError("later")) is first
            with pytest.raises(EndpointError, match="the key is wrong"):
                waiting.result(timeout=10)
        with pytest.raises(EndpointError, match="the key is wrong"):
            asked.ask([])
        assert len(chat.bodies) == 1
