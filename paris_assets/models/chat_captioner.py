"""A captioner behind an OpenAI-compatible address, asked with an image and a prompt.

Answers are kept on this machine by image, prompt and model, so that a run that goes on, another field of the same
answer and another curation ask for nothing twice.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from paris_assets.config import Endpoint
from paris_assets.models.answers import Answers
from paris_assets.models.chat import OF_NOBODY, ChatClient
from paris_assets.models.completion import Completion, field_of
from paris_assets.models.decoding import Images, decode
from paris_assets.models.http_post import Reply
from paris_assets.models.threads import ordered_map

JPEG_QUALITY = 90
FAILED_IN_A_ROW = 8  # images over which a server may fail before it is the server that is broken


class ChatCaptioner:
    """Asks an endpoint for captions. An image that it refuses or fails over, and an answer that is cut off or lacks the
    field, is no answer (None); an address that gives none to anybody is an ``EndpointError``."""

    def __init__(self, settings: Endpoint) -> None:
        self.name, self._settings, self._client = settings.model, settings, ChatClient(settings)
        self._failed, self._lock, self._served = 0, Lock(), set[str]()

    def write(self, images: Images) -> Iterator[tuple[str, str | None]]:
        """(image_id, file bytes) -> (image_id, caption or None), in their order, several requests at once."""
        most = self._settings.concurrency
        with Answers(Path(self._settings.cache).expanduser()) as answers:
            yield from ordered_map(lambda image: self._caption(answers, *image), images, most, 2 * most, "ask")

    def identity(self) -> dict[str, str | None]:
        """As networks tell it; the weights behind an address are known by name only: the one that was asked for, and
        in ``served`` those by which the server called what answered so far."""
        known = {"implementation": "openai-compatible", "source": self.name}
        served = ", ".join(sorted(self._served)) or None
        return {**known, "revision": None, "sha256": None, "precision": None, "served": served}

    def _caption(self, answers: Answers, image_id: str, data: bytes) -> tuple[str, str | None]:
        key = self._key(data)
        kept = answers.get(key)
        said = self._ask(image_id, data) if kept is None else Completion.of_kept(kept)
        if said is None or said.text is None:
            return image_id, None
        if kept is None:
            answers.put(key, said.kept())
        if said.model:
            self._served.add(said.model)
        return image_id, field_of(said.text, self._settings.field)

    def _key(self, data: bytes) -> str:
        # Not the image_id: under ingest.encode it is that of the bytes as fetched, not of the picture that is sent.
        names = ("model", "prompt", "max_tokens")
        asked = (hashlib.sha256(data).hexdigest(), *(getattr(self._settings, name) for name in names))
        drawn = (self._settings.temperature, self._settings.side, JPEG_QUALITY, self._settings.options)
        return hashlib.sha256(json.dumps(["caption", *asked, *drawn], sort_keys=True).encode()).hexdigest()

    def _ask(self, image_id: str, data: bytes) -> Completion | None:
        """What the model says; None where it cannot answer for this image."""
        reply, said = self._client.ask([self._message(picture_url(image_id, data, self._settings.side))])
        if self._broken(reply):
            raise self._client.error(reply)
        return None if said is None or said.cut else said

    def _broken(self, reply: Reply) -> bool:
        """Whether a reply means that nobody is answered."""
        with self._lock:
            self._failed = self._failed + 1 if reply.by_question else 0
            if self._failed >= FAILED_IN_A_ROW:
                return True
        moved = 300 <= reply.status < 400
        return reply.status in OF_NOBODY or moved or (reply.passing and not reply.by_question)

    def _message(self, picture: str) -> dict[str, Any]:
        parts = [{"type": "text", "text": self._settings.prompt}, {"type": "image_url", "image_url": {"url": picture}}]
        return {"role": "user", "content": parts}


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
