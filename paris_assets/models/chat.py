"""A captioner behind an OpenAI-compatible address: `POST .../chat/completions` with an image and a prompt.

Answers are kept on this machine by image, prompt and model, so that a run that goes on, another field of the same
answer and another curation ask for nothing twice.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, local
from typing import Any, NamedTuple

import pycurl
from PIL import Image

from paris_assets.config import Endpoint
from paris_assets.errors import UserError
from paris_assets.models.answers import Answers
from paris_assets.models.batches import Images, decode
from paris_assets.models.threads import ordered_map

JPEG_QUALITY = 90
MAX_ANSWER_BYTES = 1 << 20
MAX_WAIT_S = 60.0
CONNECT_S = 10
FAILED_IN_A_ROW = 8  # images over which a server may fail before it is the server that is broken
REPEATED_STATUS = {408, 425, 429, 500, 502, 503, 504, 529}
WRONG_REQUEST = {401, 402, 403, 404, 405, 407}  # whatever the image
_FENCE = re.compile(r"^```[a-z]*\s*|\s*```$", re.IGNORECASE)


class EndpointError(UserError, RuntimeError):
    """The address gives no answers; the message names it, says what came and what to do."""


class Reply(NamedTuple):
    """Status (0: no whole answer came), the body or what failed, the seconds that Retry-After asks for, and whether it
    may be the image's fault alone: the server failed over it, or took too long."""

    status: int
    body: str
    wait_s: float | None = None
    by_image: bool = False


class ChatCaptioner:
    """Asks an endpoint for captions. An image that it refuses or fails over, and an answer that is cut off or lacks the
    field, is no answer (None); an address that gives none to anybody is an ``EndpointError``."""

    def __init__(self, settings: Endpoint) -> None:
        self.name, self._settings = settings.model, settings
        self._address = f"{settings.url.rstrip('/')}/chat/completions"
        self._headers, self._own = _headers(settings), local()
        self._failed, self._lock = 0, Lock()

    def write(self, images: Images) -> Iterator[tuple[str, str | None]]:
        """(image_id, file bytes) -> (image_id, caption or None), in their order, several requests at once."""
        most = self._settings.concurrency
        with Answers(Path(self._settings.cache).expanduser()) as answers:
            yield from ordered_map(lambda image: self._caption(answers, *image), images, most, 2 * most, "ask")

    def identity(self) -> dict[str, str | None]:
        """As networks tell it; the weights behind an address are known by name only."""
        known = {"implementation": "openai-compatible", "source": self.name}
        return {**known, "revision": None, "sha256": None, "precision": None}

    def _caption(self, answers: Answers, image_id: str, data: bytes) -> tuple[str, str | None]:
        key = self._key(image_id)
        said = answers.get(key)
        if said is None:
            said = self._ask(image_id, data)
            if said is not None:
                answers.put(key, said)
        return image_id, None if said is None else field_of(said, self._settings.field)

    def _key(self, image_id: str) -> str:
        asked = (image_id, *(getattr(self._settings, name) for name in ("model", "prompt", "max_tokens")))
        drawn = (self._settings.temperature, self._settings.side, JPEG_QUALITY)
        return hashlib.sha256(json.dumps([*asked, *drawn]).encode()).hexdigest()

    def _ask(self, image_id: str, data: bytes) -> str | None:
        """What the model says; None where it cannot answer for this image."""
        body = json.dumps(self._question(picture_url(image_id, data, self._settings.side))).encode()
        reply = self._post(body)
        for attempt in range(self._settings.retries):
            if reply.status and reply.status not in REPEATED_STATUS:
                break
            usual = self._settings.backoff_s * 2**attempt
            time.sleep(min(MAX_WAIT_S, usual if reply.wait_s is None else reply.wait_s))
            reply = self._post(body)
        with self._lock:
            self._failed = self._failed + 1 if reply.by_image else 0
            broken = self._failed >= FAILED_IN_A_ROW
        passing = not reply.status or reply.status in REPEATED_STATUS
        if broken or reply.status in WRONG_REQUEST or (passing and not reply.by_image):
            raise EndpointError(self._failure(reply))
        return content_of(reply.body) if 200 <= reply.status < 300 else None

    def _question(self, picture: str) -> dict[str, Any]:
        parts = [{"type": "text", "text": self._settings.prompt}, {"type": "image_url", "image_url": {"url": picture}}]
        return {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": parts}],
            "max_tokens": self._settings.max_tokens,
            "temperature": self._settings.temperature,
        }

    def _post(self, body: bytes) -> Reply:
        """One request, over the connection that this thread keeps."""
        if not hasattr(self._own, "curl"):
            self._own.curl = pycurl.Curl()
        curl = self._own.curl
        answer, lines = bytearray(), list[bytes]()

        def take(chunk: bytes) -> int:
            answer.extend(chunk)
            return len(chunk) if len(answer) <= MAX_ANSWER_BYTES else 0

        options = {
            pycurl.URL: self._address, pycurl.POSTFIELDS: body, pycurl.HTTPHEADER: self._headers, pycurl.NOSIGNAL: 1,
            pycurl.WRITEFUNCTION: take, pycurl.HEADERFUNCTION: lines.append, pycurl.CONNECTTIMEOUT: CONNECT_S,
            pycurl.TIMEOUT_MS: round(self._settings.timeout_s * 1000),
        }  # fmt: skip
        for option, value in options.items():
            curl.setopt(option, value)
        try:
            curl.perform()
        except pycurl.error as error:
            if len(answer) > MAX_ANSWER_BYTES:
                return Reply(curl.getinfo(pycurl.RESPONSE_CODE), "")
            return Reply(0, str(error.args[-1]), by_image=error.args[0] == pycurl.E_OPERATION_TIMEDOUT)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        return Reply(status, answer.decode(errors="replace"), _retry_after(lines), by_image=status == 500)

    def _failure(self, reply: Reply) -> str:
        came = f"HTTP {reply.status}: " if reply.status else ""
        said = " ".join(reply.body.split())[:200]
        if reply.status in (401, 403):
            advice = f"name the variable that holds its key in key_env (now {self._settings.key_env})"
        elif reply.status in WRONG_REQUEST:
            advice = "give the url up to /v1 and the model's name as GET /v1/models lists it"
        else:
            advice = "start it, or raise retries and timeout_s, and run again: answers that came are kept"
        return f"{self._address}, model {self._settings.model}: {came}{said}; {advice}"


def picture_url(image_id: str, data: bytes, side: int) -> str:
    """A picture as a data URL: a JPEG of what a person sees, no side longer than ``side`` pixels.

    Raises:
        Undecodable: names the image.
    """
    picture = Image.fromarray(decode(image_id, data, None))
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def content_of(body: str) -> str | None:
    """The text of a chat completion; None where there is none, or it was cut off."""
    try:
        choice = json.loads(body)["choices"][0]
        content = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return content if isinstance(content, str) and choice.get("finish_reason") != "length" else None


def field_of(said: str, field: str) -> str | None:
    """One field of a JSON object that a model wrote, lists joined by commas; a text that is no JSON as it stands.

    None where the object lacks the field or is no JSON though it begins like it.
    """
    text = _FENCE.sub("", said.strip())
    if text[:1] not in ("{", "["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    held = value.get(field) if isinstance(value, dict) else None
    if isinstance(held, list):
        return ", ".join(str(item) for item in held)
    return held if isinstance(held, str) else None


def _headers(settings: Endpoint) -> list[str]:
    key = os.environ.get(settings.key_env, "") if settings.key_env else ""
    return ["Content-Type: application/json", "Expect:", *([f"Authorization: Bearer {key}"] if key else [])]


def _retry_after(lines: list[bytes]) -> float | None:
    """Seconds, where the header gives them as a number; dates are left to the usual wait."""
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "retry-after" and value.strip().isdigit():
            return float(value)
    return None
