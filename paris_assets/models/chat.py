"""A model behind an OpenAI-compatible address: `POST .../chat/completions`. Captioners and judges ask through this."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from threading import Event, Lock
from typing import Any, NamedTuple

from paris_assets.errors import UserError
from paris_assets.models.completion import Completion, completion_of
from paris_assets.models.http_post import Pace, Poster, Reply
from paris_assets.settings.chat_server import ChatServer

MAX_WAIT_S = 60.0
OF_NOBODY = {401, 402, 403, 404, 405, 407}  # wrong whatever is asked


class EndpointError(UserError, RuntimeError):
    """The address gives no answers; the message names it, says what came and what to do."""


class Answer(NamedTuple):
    """The last reply, and the completion in it, if it holds one."""

    reply: Reply
    completion: Completion | None


class ChatClient:
    """Asks one model; from several threads at once.

    What passes (408, 409, 425, 429, 5xx, time-outs, lost connections) is asked again after waits that double up to a
    minute, shortened at random so that threads do not come back together; Retry-After goes before them.
    """

    def __init__(self, settings: ChatServer) -> None:
        self._settings, self._pace = settings, Pace(settings.requests_per_minute)
        self._stop, self._lock = Event(), Lock()
        self._end: EndpointError | None = None
        self.address = f"{settings.url.rstrip('/')}/chat/completions"
        key = os.environ.get(settings.key_env, "") if settings.key_env else ""
        self._poster = Poster(self.address, [f"Authorization: Bearer {key}"] if key else [], settings.timeout_s)

    def ask(self, messages: Sequence[Mapping[str, Any]], further: Mapping[str, Any] | None = None) -> Answer:
        """What the model says; an answer that is cut off is asked for once more with twice the limit.

        Args:
            messages: as the protocol has them.
            further: fields of this question beside those of the settings.
        """
        first = self._asked(messages, further or {}, self._settings.max_tokens)
        if first.completion is None or not first.completion.cut:
            return first
        second = self._asked(messages, further or {}, 2 * self._settings.max_tokens)
        return second._replace(completion=_with_tokens_of(first.completion, second.completion))

    def error(self, reply: Reply) -> EndpointError:
        """What a reply that ends all is raised as; see ``ended``."""
        came = f"HTTP {reply.status}: " if reply.status else ""
        said = " ".join(reply.body.split())[:200]
        advice = self._advice(reply)
        return self.ended(EndpointError(f"{self.address}, model {self._settings.model}: {came}{said}; {advice}"))

    def ended(self, error: EndpointError) -> EndpointError:
        """The first error that ended all: whoever asks, or waits to ask, is told it from now on."""
        with self._lock:
            self._end = self._end or error
            self._stop.set()
            return self._end

    def _asked(self, messages: Sequence[Mapping[str, Any]], further: Mapping[str, Any], limit: int) -> Answer:
        question = {"model": self._settings.model, "messages": messages, self._settings.limit_field: limit}
        if self._settings.temperature is not None:
            question["temperature"] = self._settings.temperature
        reply = self._sent(json.dumps({**question, **self._settings.options, **further}).encode())
        return Answer(reply, completion_of(reply.body) if 200 <= reply.status < 300 else None)

    def _sent(self, body: bytes) -> Reply:
        reply = self._posted(body)
        for attempt in range(self._settings.retries):
            if not reply.passing:
                break
            usual = self._settings.backoff_s * 2**attempt * random.uniform(0.5, 1)
            self._stop.wait(min(MAX_WAIT_S, usual if reply.wait_s is None else reply.wait_s))
            reply = self._posted(body)
        return reply

    def _posted(self, body: bytes) -> Reply:
        self._pace.wait(self._stop)
        if self._end is not None:
            raise self._end
        return self._poster.post(body)

    def _advice(self, reply: Reply) -> str:
        if reply.status in (401, 403):
            return f"name the variable that holds its key in key_env (now {self._settings.key_env})"
        if reply.status in OF_NOBODY or 200 <= reply.status < 400:
            return "give the url up to /v1 and the model's name as GET /v1/models lists it"
        if reply.passing:
            return "start it, or raise retries and timeout_s, and run again: answers that came are kept"
        return "the server does not take the request: change max_tokens, limit_field, temperature, options or model"


def _with_tokens_of(first: Completion, second: Completion | None) -> Completion | None:
    """The second answer, with the tokens of both: both are paid for."""
    if second is None:
        return None
    tokens_in, tokens_out = first.tokens_in + second.tokens_in, first.tokens_out + second.tokens_out
    return second._replace(tokens_in=tokens_in, tokens_out=tokens_out)
