"""What a chat completion says."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_FENCE = re.compile(r"^```[a-z]*\s*|\s*```$", re.IGNORECASE)
_THOUGHT = re.compile(r"^\s*<(think|thinking|reasoning)>.*?</\1>\s*", re.IGNORECASE | re.DOTALL)
_END_OF_THOUGHT = re.compile(r"^.*</(think|thinking|reasoning)>\s*", re.IGNORECASE | re.DOTALL)
_OPEN_THOUGHT = re.compile(r"^\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_FLOOD = re.compile(r"\s{200}")


class Completion(NamedTuple):
    """An answer as it came, without what a model thought before it.

    Attributes:
        text: what the model says; None where it says nothing, or refuses in a field of its own.
        cut: whether it was cut off at the longest answer.
        model: as the server calls it.
        fingerprint: the server's own mark of its configuration (``system_fingerprint``).
        tokens_in: tokens of the question.
        tokens_out: tokens of the answer, thoughts included.
        structured: how the schema of the answer was told (``structured.WAYS``).
    """

    text: str | None
    cut: bool = False
    model: str | None = None
    fingerprint: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    structured: str | None = None

    def kept(self) -> str:
        """As it is kept in a file of answers."""
        return json.dumps(self._asdict())

    @classmethod
    def of_kept(cls, kept: str) -> Completion:
        """What ``kept`` wrote."""
        return cls(**json.loads(kept))


def completion_of(body: str) -> Completion | None:
    """The first choice of a chat completion; None where there is none."""
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        message = choice["message"]
        said = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    usage = whole.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text=without_thoughts(said) if isinstance(said, str) and not message.get("refusal") else None,
        cut=choice.get("finish_reason") == "length",
        model=_text(whole.get("model")),
        fingerprint=_text(whole.get("system_fingerprint")),
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
    )


def without_thoughts(said: str) -> str:
    """What follows a block of thoughts at the beginning; the opening mark may be missing, as some chat templates write
    it into the question. One that does not end leaves nothing."""
    text = _THOUGHT.sub("", said, count=1)
    if text == said:
        text = _END_OF_THOUGHT.sub("", said, count=1)
    return "" if _OPEN_THOUGHT.match(text) else text


def json_of(said: str) -> Any:
    """The JSON value that a model wrote, within a fence or not.

    Raises:
        ValueError: it is none, or holds a flood of white space, as models write that were kept from writing words.
    """
    if _FLOOD.search(said):
        raise ValueError("white space")
    try:
        return json.loads(_FENCE.sub("", said.strip()))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def field_of(said: str, field: str) -> str | None:
    """One field of a JSON object that a model wrote, lists joined by commas; a text that is no JSON as it stands.

    None where the object lacks the field or is no JSON though it begins like it.
    """
    text = _FENCE.sub("", said.strip())
    if text[:1] not in ("{", "["):
        return text
    try:
        value = json_of(text)
    except ValueError:
        return None
    held = value.get(field) if isinstance(value, dict) else None
    if isinstance(held, list):
        return ", ".join(str(item) for item in held)
    return held if isinstance(held, str) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
