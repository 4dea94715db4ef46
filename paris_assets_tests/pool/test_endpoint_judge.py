"""A language model as the judge, by a real server on loopback with every fault that servers and models have."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.models.chat import EndpointError
from paris_assets.models.protocols import Ballot
from paris_assets.pool.endpoint_judge import NO_CAPTION, EndpointJudge
from paris_assets.settings.judge import JudgeEndpoint
from paris_assets.settings.section import without_tuning
from paris_assets_tests.fixtures.chat_server import Answer, Chat, completion, serving
from paris_assets_tests.fixtures.judge_server import GOOD, POOR, judging, questions
from paris_assets_tests.pool.planted import planted, precision_and_recall

EVIDENCE, JUNK = planted()
FEW = EVIDENCE.head(4)


def judge(chat: Chat, folder: Path, votes: int = 1, max_failed: float = 1.0, **settings: Any) -> EndpointJudge:
    usual = {"url": chat.url, "model": "m", "cache": f"{folder}/answers.sqlite", "backoff_s": 0.0, "timeout_s": 5.0}
    return EndpointJudge(JudgeEndpoint(**{**usual, **settings}), votes, max_failed, seed=0)


def by_eye(asked: str) -> dict[str, Any]:
    """The verdict of someone who looks at nothing but the captions shown: file names, one opening, very short ones."""
    captions = [json.loads(found) for found in re.findall(r'^\d+ x (".*")$', asked, re.MULTILINE)]
    words = [re.sub(r"[\d_.:/]+", "0", caption).split() for caption in captions]
    short = sum(len(each) < 3 for each in words) > len(words) / 2
    alike = len({tuple(each[:2]) for each in words}) <= max(1, len(words) // 3)
    return POOR if short or alike or len(captions) < 3 else GOOD


def test_planted_junk_is_found_by_an_endpoint(tmp_path: Path) -> None:
    with serving(judging(by_eye)) as chat:
        ballots = list(judge(chat, tmp_path, votes=3).judge(EVIDENCE))
        assert len(questions(chat)) == 3 * EVIDENCE.height
    assert [ballot.concept for ballot in ballots] == EVIDENCE["concept"].to_list()
    assert {len(ballot.opinions) for ballot in ballots} == {3}
    dropped = {ballot.concept for ballot in ballots if all(each.verdict == "drop" for each in ballot.opinions)}
    precision, recall = precision_and_recall(dropped, JUNK)
    assert precision == 1.0
    assert recall == 1.0


def test_who_judged_what_was_asked_and_what_it_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    with serving(judging(lambda asked: GOOD, "structured_outputs")) as chat:
        asked = judge(chat, tmp_path, votes=2, key_env="JUDGE_KEY")
        list(asked.judge(FEW))
        again = judge(chat, tmp_path, votes=2)
        before = len(chat.bodies)
        list(again.judge(FEW))
        assert len(chat.bodies) == before, "kept answers are not asked for, nor is the way to tell a schema"
        assert {header["authorization"] for header in chat.headers} == {"Bearer s3cret"}
        assert {body["structured_outputs"]["json"]["required"][0] for body in questions(chat)} == {"reason"}
    told = asked.identity()
    assert told == again.identity()
    assert (told["source"], told["served"], told["system_fingerprint"]) == ("m", ["judge-2026-01"], ["fp_7"])
    assert (told["structured"], told["votes"], told["answers"]) == (["structured_outputs"], 2, 8)
    assert (told["tokens_in"], told["tokens_out"]) == (8000, 400)
    assert len(told["prompt_sha256"]) == len(told["answers_sha256"]) == 64
    assert "s3cret" not in json.dumps(told)
    assert "127.0.0.1" not in json.dumps(told)


def test_an_answer_is_known_by_all_that_was_asked_and_by_nothing_else(tmp_path: Path) -> None:
    with serving(judging(lambda asked: GOOD)) as chat:
        list(judge(chat, tmp_path).judge(FEW))
        renumbered = FEW.with_columns(concept=pl.col("concept") + 100)
        list(judge(chat, tmp_path, concurrency=1, retries=0, requests_per_minute=600).judge(renumbered))
        assert len(questions(chat)) == 4, "a concept's number, speed and place say nothing"
        changes: tuple[dict[str, Any], ...] = (
            {"model": "n"},
            {"temperature": 0.5},
            {"max_tokens": 99},
            {"options": {"top_k": 1}},
        )
        for changed in changes:
            before = len(questions(chat))
            list(judge(chat, tmp_path, **changed).judge(FEW))
            assert len(questions(chat)) == before + 4, changed
        before = len(questions(chat))
        list(judge(chat, tmp_path, votes=3).judge(FEW))
        assert len(questions(chat)) == before + 8, "of three votes one is there"
        list(judge(chat, tmp_path).judge(FEW.with_columns(rows=pl.col("rows"), captions=pl.col("captions") + 1)))
        assert len(questions(chat)) == before + 12, "other evidence is another question"
    assert set(without_tuning(JudgeEndpoint(model="m"))) == {"model", "max_tokens", "temperature", "options"}


@pytest.mark.parametrize(
    "said",
    [
        "```json\n" + json.dumps(POOR) + "\n```",
        "<think>file names ... {drop?}</think>\n" + json.dumps(POOR),
        json.dumps(POOR, indent=4),
    ],
)
def test_answers_in_a_fence_or_after_thoughts_count(tmp_path: Path, said: str) -> None:
    with serving(judging(lambda asked: completion(said))) as chat:
        (ballot, *_) = judge(chat, tmp_path).judge(FEW)
    assert ballot.opinions[0].verdict == "drop"


FAULTS = {
    "truncated JSON": (completion('{"reason": "names of'), "no_json"),
    "cut off": (completion('{"reason": "names of', "length"), "cut_off"),
    "wrong vocabulary": (completion(json.dumps({**GOOD, "verdict": "High Value"})), "wrong_schema: verdict"),
    "refusal in words": (completion("I'm sorry, I can't judge this."), "no_json: I'm sorry"),
    "refusal in its field": (completion(None), "refusal"),
    "white-space flood": (completion('{"reason":' + "\n" * 5000), "white_space"),
    "legal white-space flood": (completion(json.dumps(GOOD).replace(",", "," + " " * 900)), "white_space"),
    "a field too few": (completion('{"verdict": "keep"}'), "wrong_schema: reason"),
    "a field too many": (completion(json.dumps({**GOOD, "ignore": 1})), "wrong_schema: ignore"),
    "a score out of bounds": (completion(json.dumps({**GOOD, "variety": 9})), "wrong_schema: variety"),
    "a share of 95": (completion(json.dumps({**GOOD, "english_share": 95})), "wrong_schema: english_share"),
    "a score in words": (completion(json.dumps({**GOOD, "variety": "3"})), "wrong_schema: variety"),
    "a list": (completion(json.dumps([GOOD])), "wrong_schema"),
    "only thoughts": (completion("<think>hm"), "no_json"),
    "no completion": ((200, {}, b"<html>welcome</html>"), "no_answer: HTTP 200"),
    "out of order": ((500, {}, b"CUDA"), "no_answer: HTTP 500"),
    "busy": ((429, {"Retry-After": "0"}, b""), "no_answer: HTTP 429"),
    "cut connection": ((200, {"Content-Length": "999"}, b'{"choices"'), "no_answer: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_is_a_verdict_and_none_is_kept(tmp_path: Path, fault: str) -> None:
    answer, said = FAULTS[fault]
    with serving(judging(lambda asked: answer)) as chat:
        ballots = list(judge(chat, tmp_path, retries=1).judge(FEW))
        assert all(not ballot.opinions for ballot in ballots)
        assert all(ballot.failures[0].startswith(said) for ballot in ballots), ballots[0].failures
    with serving(judging(lambda asked: GOOD)) as chat:
        (ballot, *_) = judge(chat, tmp_path).judge(FEW)
        assert ballot.opinions[0].verdict == "keep", "asked again, another time it answers"


@pytest.mark.parametrize("fault", ["429", "500", "hang", "drip", "cut"])
def test_faults_that_pass_cost_time_and_nothing_else(tmp_path: Path, fault: str) -> None:
    seen = set[str]()

    def drip() -> Any:
        for _ in range(20):
            time.sleep(0.1)
            yield b" "

    def answer(asked: str) -> Answer | dict[str, Any]:
        if asked in seen:
            return GOOD
        seen.add(asked)
        if fault == "hang":
            time.sleep(1.5)
        passing = {"429": (429, {"Retry-After": "0.1"}, b""), "500": (500, {}, b""), "drip": (200, {}, drip())}
        return passing.get(fault, (200, {"Content-Length": "999"}, b"{"))

    with serving(judging(answer)) as chat:
        ballots = list(judge(chat, tmp_path, timeout_s=0.7, retries=2).judge(FEW))
        assert [len(ballot.opinions) for ballot in ballots] == [1] * 4
        assert len(questions(chat)) == 8


def test_an_answer_that_was_cut_off_is_asked_for_with_twice_the_limit(tmp_path: Path) -> None:
    def answer(chat: Chat, number: int) -> Answer:
        said = completion(json.dumps(GOOD))
        return said if chat.bodies[number]["max_tokens"] > 64 else completion(json.dumps(GOOD)[:40], "length")

    with serving(answer) as chat:
        ballots = list(judge(chat, tmp_path, max_tokens=64, structured="none").judge(FEW))
        assert [len(ballot.opinions) for ballot in ballots] == [1] * 4
        assert sorted(body["max_tokens"] for body in chat.bodies) == [64] * 4 + [128] * 4


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_a_request_that_is_refused_ends_all_with_the_cause(tmp_path: Path, status: int) -> None:
    with serving(judging(lambda asked: (status, {}, b"context length exceeded"))) as chat:
        with pytest.raises(EndpointError, match=f"model m: HTTP {status}: context length exceeded; "):
            list(judge(chat, tmp_path, concurrency=1).judge(EVIDENCE))
        assert len(questions(chat)) <= 3, "the others are not asked"


def test_more_failed_concepts_than_the_bound_end_all_and_answers_that_came_are_kept(tmp_path: Path) -> None:
    def answer(asked: str) -> Answer | dict[str, Any]:
        return completion("no") if "plumber" in asked or "Page" in asked else GOOD

    with serving(judging(answer)) as chat:
        with pytest.raises(EndpointError, match=r"2 of 30 concepts have too few answers.*max_failed = 0\.05.*no_json"):
            list(judge(chat, tmp_path, votes=3, max_failed=0.05).judge(EVIDENCE))
        ballots = list(judge(chat, tmp_path, votes=3, max_failed=0.1).judge(EVIDENCE))
        assert sum(not ballot.opinions for ballot in ballots) == 2
        asked = [json.dumps(body) for body in questions(chat)]
        answered = [each for each in asked if "plumber" not in each and "Page" not in each]
        assert len(answered) == 28 * 3, "what was answered is not asked for twice"


def test_a_concept_without_captions_is_dropped_without_asking(tmp_path: Path) -> None:
    empty = FEW.with_columns(captions=pl.lit(0, pl.Int64))
    with serving(judging(lambda asked: GOOD)) as chat:
        assert list(judge(chat, tmp_path).judge(empty)) == [Ballot(row, [NO_CAPTION]) for row in range(4)]
        assert chat.bodies == []


def test_no_more_requests_at_once_than_asked_for_and_votes_differ_in_order_alone(tmp_path: Path) -> None:
    def slow(asked: str) -> dict[str, Any]:
        time.sleep(0.03)
        return GOOD

    with serving(judging(slow)) as chat:
        list(judge(chat, tmp_path, votes=3, concurrency=4).judge(EVIDENCE))
        assert chat.most_at_once == 4
        systems = {body["messages"][0]["content"] for body in questions(chat)}
        assert len(systems) == 1, "instructions come first and are the same: a server keeps them"
        asked = [body["messages"][1]["content"] for body in questions(chat)]
    by_lines: dict[tuple[str, ...], set[str]] = {}
    for text in asked:
        lines = [line for line in text.splitlines() if not line.startswith("captions ")]
        by_lines.setdefault(tuple(sorted(lines)), set()).add(text)
    assert len(by_lines) == EVIDENCE.height
    assert sum(map(len, by_lines.values())) > 2.5 * EVIDENCE.height, "most concepts are shown in three orders"


KILLED = """
import sys
from pathlib import Path
import polars as pl
from paris_assets.pool.endpoint_judge import EndpointJudge
from paris_assets.settings.judge import JudgeEndpoint
settings = JudgeEndpoint(url=sys.argv[1], model="m", cache=sys.argv[2], concurrency=1)
list(EndpointJudge(settings, 1, 1.0, 0).judge(pl.read_parquet(sys.argv[3])))
"""


def test_a_killed_run_asks_nothing_twice(tmp_path: Path) -> None:
    EVIDENCE.write_parquet(tmp_path / "evidence.parquet")
    process: list[subprocess.Popen[bytes]] = []
    answered: list[str] = []

    def answer(asked: str) -> dict[str, Any]:
        if len(answered) == 12 and process[0].poll() is None:
            os.kill(process[0].pid, signal.SIGKILL)  # while it waits for an answer
            process[0].wait()
        else:
            answered.append(asked)
        return by_eye(asked)

    with serving(judging(answer)) as chat:
        given = [chat.url, f"{tmp_path}/answers.sqlite", str(tmp_path / "evidence.parquet")]
        process.append(subprocess.Popen([sys.executable, "-c", KILLED, *given]))
        assert process[0].wait(timeout=120) == -signal.SIGKILL
        assert len(answered) == 12
        ballots = list(judge(chat, tmp_path).judge(EVIDENCE))
    assert len(ballots) == EVIDENCE.height
    assert len(answered) == len(set(answered)) == EVIDENCE.height, "each was answered once, by one run or the other"
