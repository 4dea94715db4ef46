"""What answers of language models say, as they come in practice."""

from __future__ import annotations

import json

import pytest

from paris_assets.models.completion import Completion, completion_of, field_of, json_of, without_thoughts
from paris_assets_tests.fixtures.chat_server import completion


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"caption": "a barn"}', "a barn"),
        ('```json\n{"caption": "a barn"}\n```', "a barn"),
        ("a barn", "a barn"),
        ("Sorry, I cannot describe this image.", "Sorry, I cannot describe this image."),
        ('{"caption": ""}', ""),
        ('{"caption": null}', None),
        ("[" * 100_000, None),
    ],
)
def test_a_field_of_what_was_said(said: str, expected: str | None) -> None:
    assert field_of(said, "caption") == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("<think>\nIs it a barn? {no}\n</think>\n\n{}", "{}"),
        ("It may be a barn.</think>{}", "{}"),
        ("<Thinking>a</Thinking> b", "b"),
        ("<think>never ends {}", ""),
        ("a <think> in a caption", "a <think> in a caption"),
    ],
)
def test_thoughts_are_no_answer(said: str, expected: str) -> None:
    assert without_thoughts(said) == expected


def test_what_a_completion_tells() -> None:
    said = {
        "model": "m-2026", "system_fingerprint": "fp_1", "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        "choices": [{"message": {"content": "a barn"}, "finish_reason": "length"}],
    }  # fmt: skip
    found = completion_of(json.dumps(said))
    expected = Completion("a barn", True, "m-2026", "fp_1", 7, 3)
    assert found == expected
    assert Completion.of_kept(expected.kept()) == expected
    said["choices"][0]["message"]["refusal"] = "I cannot help with that"
    refused = completion_of(json.dumps(said))
    assert refused is not None
    assert refused.text is None


@pytest.mark.parametrize("body", ["{}", "<html>", '{"choices": []}', '{"choices": [{"message": null}]}', "[" * 100_000])
def test_no_completion(body: str) -> None:
    assert completion_of(body) is None


def test_json_of_an_answer() -> None:
    assert json_of('```json\n{"a": [1]}\n```') == {"a": [1]}
    with pytest.raises(ValueError, match="white space"):
        json_of('{"a": ' + "\n" * 300 + "1}")
    for said in ("Sorry, no.", '{"a": ', "[" * 100_000):
        with pytest.raises(ValueError):  # noqa: PT011  (the decoder's words)
            json_of(said)
    text = completion_of(completion("a barn")[2].decode())
    assert text is not None
    assert text.text == "a barn"
