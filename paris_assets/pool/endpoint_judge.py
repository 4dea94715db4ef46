"""A language model behind an address as the judge of concepts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import polars as pl

from paris_assets.models.answers import Answers
from paris_assets.models.chat import ChatClient, EndpointError
from paris_assets.models.completion import Completion
from paris_assets.models.protocols import Ballot, Opinion
from paris_assets.models.structured import fields_of, way_of
from paris_assets.models.threads import ordered_map
from paris_assets.pool.question import INSTRUCTIONS, SCHEMA, VERSION, messages_of, opinion_of
from paris_assets.settings.judge import JudgeEndpoint

NO_CAPTION = Opinion("drop", "none of its rows has a caption")


class _Question(NamedTuple):
    key: str
    messages: list[dict[str, str]]


class _Vote(NamedTuple):
    """An answer that counts and its key, or why there is none."""

    key: str
    opinion: Opinion | None
    said: Completion | None
    failure: str = ""


class EndpointJudge:
    """Asks for several votes on each concept and keeps each answer once it is there, by all that was asked.

    Args:
        votes: answers asked for on each concept.
        max_failed: largest share of concepts of which less than half the votes are answers; above, all ends.
        seed: of the order in which captions are shown.
    """

    def __init__(self, settings: JudgeEndpoint, votes: int, max_failed: float, seed: int) -> None:
        self._settings, self._votes, self._max_failed, self._seed = settings, votes, max_failed, seed
        self._client, self._lock, self._way = ChatClient(settings), Lock(), ""
        self._said, self._failures = dict[str, Completion](), Counter[str]()

    def judge(self, evidence: pl.DataFrame) -> Iterator[Ballot]:
        """A ballot for each row of `concept_evidence`; nobody is asked about one without captions.

        Raises:
            EndpointError: the address refuses the request, or too many concepts have no answer.
        """
        rows, most = evidence.filter(pl.col("captions") > 0), self._settings.concurrency
        failed = 0
        with (
            Answers(Path(self._settings.cache).expanduser()) as answers,
            closing(
                ordered_map(lambda one: self._vote(answers, one), self._questions(rows), most, 2 * most, "judge")
            ) as votes,
        ):
            for concept, captions in evidence.select("concept", "captions").iter_rows():
                ballot = Ballot(concept, [NO_CAPTION]) if not captions else self._ballot(concept, votes)
                failed += lacks_votes(ballot)
                if failed > self._max_failed * evidence.height:
                    raise self._broken(failed, evidence.height)
                yield ballot

    def identity(self) -> dict[str, Any]:
        """Who answered: the model as asked for and as served, its fingerprints, what was asked and what it cost."""
        said = self._said.values()
        kept = sorted((key, completion.text) for key, completion in self._said.items())
        return {
            "implementation": "openai-compatible",
            "source": self._settings.model,
            "revision": None, "sha256": None, "precision": None,
            "served": sorted({each.model for each in said if each.model}),
            "system_fingerprint": sorted({each.fingerprint for each in said if each.fingerprint}),
            "structured": sorted({each.structured for each in said if each.structured}),
            "prompt_sha256": hashlib.sha256(INSTRUCTIONS.encode()).hexdigest(),
            "schema_version": VERSION,
            "votes": self._votes,
            "answers": len(self._said),
            "answers_sha256": hashlib.sha256(json.dumps(kept).encode()).hexdigest(),
            "tokens_in": sum(each.tokens_in for each in said),
            "tokens_out": sum(each.tokens_out for each in said),
        }  # fmt: skip

    def _questions(self, rows: pl.DataFrame) -> Iterator[_Question]:
        for figures in rows.iter_rows(named=True):
            for vote in range(self._votes):
                yield self._question(figures, vote)

    def _question(self, figures: Mapping[str, Any], vote: int) -> _Question:
        settings, messages = self._settings, messages_of(figures, self._seed, vote)
        drawn = (settings.temperature, settings.max_tokens, settings.options)
        asked = ["verdict", settings.model, messages, SCHEMA, *drawn, vote]
        return _Question(hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(), messages)

    def _vote(self, answers: Answers, question: _Question) -> _Vote:
        kept = answers.get(question.key)
        if kept is not None:
            said = Completion.of_kept(kept)
            return _Vote(question.key, opinion_of(said.text or ""), said)
        way = self._structured()
        reply, said = self._client.ask(question.messages, fields_of(way, "verdict", SCHEMA))
        if said is None and reply.status >= 300 and not reply.passing:
            raise self._client.error(reply)
        if said is None or said.cut or said.text is None:
            status = f"HTTP {reply.status}" if reply.status else reply.body
            failure = f"no_answer: {status}" if said is None else "cut_off" if said.cut else "refusal"
            return _Vote(question.key, None, None, failure)
        try:
            opinion = opinion_of(said.text)
        except ValueError as error:
            return _Vote(question.key, None, None, str(error))
        said = said._replace(structured=way)
        answers.put(question.key, said.kept())
        return _Vote(question.key, opinion, said)

    def _structured(self) -> str:
        """How answers are held to the schema, found out when the first question is asked."""
        with self._lock:
            self._way = self._way or way_of(self._client, self._settings.structured)
        return self._way

    def _ballot(self, concept: int, answers: Iterator[_Vote]) -> Ballot:
        votes = list(islice(answers, self._votes))
        self._said |= {vote.key: vote.said for vote in votes if vote.said is not None}
        failures = [vote.failure for vote in votes if vote.opinion is None]
        self._failures.update(failures)
        return Ballot(concept, [vote.opinion for vote in votes if vote.opinion is not None], failures)

    def _broken(self, failed: int, concepts: int) -> EndpointError:
        often, count = self._failures.most_common(1)[0]
        said = (
            f"{failed} of {concepts} concepts have too few answers, above pool.judge.max_failed = {self._max_failed:g}"
        )
        advice = "mend the server, take another model or max_tokens, and run again: answers that came are kept"
        said += f"; most often ({count} times) {often}; {advice}"
        return self._client.ended(EndpointError(f"{self._client.address}, model {self._settings.model}: {said}"))


def lacks_votes(ballot: Ballot) -> bool:
    """Whether no more than half of the votes are answers."""
    return 2 * len(ballot.opinions) <= len(ballot.opinions) + len(ballot.failures)
