"""How a server is told a schema: by the first way that it keeps to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paris_assets.models.chat import ChatClient, EndpointError
from paris_assets.models.structured import fields_of, object_schema, way_of
from paris_assets.settings.chat_server import ChatServer
from paris_assets_tests.fixtures.chat_server import Chat, completion, serving
from paris_assets_tests.fixtures.judge_server import GOOD, judging


def client(chat: Chat, **settings: Any) -> ChatClient:
    return ChatClient(ChatServer(url=chat.url, model="m", backoff_s=0.0, retries=1, timeout_s=5.0, **settings))


@pytest.mark.parametrize("knows", ["response_format", "structured_outputs", "guided_json"])
def test_the_way_that_the_server_knows_is_found(knows: str) -> None:
    with serving(judging(lambda asked: GOOD, knows)) as chat:
        assert way_of(client(chat), "auto") == knows
        assert way_of(client(chat), knows) == knows


def test_a_server_that_takes_schemas_and_keeps_to_none_is_told_by_words_alone() -> None:
    with serving(lambda chat, number: completion('{"answer": "Paris"}')) as chat:
        assert way_of(client(chat), "auto") == "none"
        assert len(chat.bodies) == 3
        with pytest.raises(EndpointError, match="does not hold answers to a schema by `structured: guided_json`"):
            way_of(client(chat), "guided_json")
        assert way_of(client(chat), "none") == "none"
        assert len(chat.bodies) == 4, "by words alone is nothing to try"


@pytest.mark.parametrize(("status", "said"), [(401, "key_env"), (404, "up to /v1"), (503, "start it")])
def test_a_server_that_answers_nobody_is_an_error_and_no_way(status: int, said: str) -> None:
    with serving(lambda chat, number: (status, {}, b"no")) as chat:
        with pytest.raises(EndpointError, match=said):
            way_of(client(chat), "auto")
        assert len(chat.bodies) == (2 if status == 503 else 1)


def test_requests_hold_the_schema_as_each_way_has_it() -> None:
    schema = object_schema({"a": {"type": "string"}, "b": {"type": "number"}})
    assert schema["required"] == ["a", "b"]
    assert schema["additionalProperties"] is False
    told = fields_of("response_format", "verdict", schema)["response_format"]
    assert told == {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    assert fields_of("structured_outputs", "v", schema) == {"structured_outputs": {"json": schema}}
    assert fields_of("guided_json", "v", schema) == {"guided_json": schema}
    assert fields_of("none", "v", schema) == {}


def test_fields_of_the_settings_are_sent(tmp_path: Path) -> None:
    with serving(lambda chat, number: completion("a barn")) as chat:
        client(chat, max_tokens=9).ask([])
        client(
            chat, max_tokens=9, temperature=None, limit_field="max_completion_tokens", options={"top_k": 5}
        ).ask([], {"more": 1})  # fmt: skip
        assert chat.bodies[0] == {"model": "m", "messages": [], "max_tokens": 9, "temperature": 0.0}
        assert chat.bodies[1] == {"model": "m", "messages": [], "max_completion_tokens": 9, "top_k": 5, "more": 1}
