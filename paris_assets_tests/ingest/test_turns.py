"""Turns at hosts and answers that are asked for once, on a clock that the tests set."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from paris_assets.ingest.web.kept_answers import KeptAnswers
from paris_assets.ingest.web.turns import Turns


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        heapq.heappush(self._due, (self.now + seconds, len(self._due), function))

    def pass_to(self, moment: float) -> None:
        while self._due and self._due[0][0] <= moment:
            self.now, _, function = heapq.heappop(self._due)
            function()
        self.now = moment


def _turns() -> tuple[Clock, Turns, list[tuple[Any, ...]]]:
    clock, told = Clock(), list[tuple[Any, ...]]()
    return clock, Turns(clock, clock.later, lambda *said: told.append(said)), told


def test_a_host_has_so_many_permits_whoever_holds_them() -> None:
    _, turns, told = _turns()
    for fetcher in (1, 2, 1, 3):
        turns.ask(fetcher, "a", 3, 0.0)
    turns.ask(3, "b", 3, 0.0)
    assert told == [(1, "granted", "a"), (2, "granted", "a"), (1, "granted", "a"), (1, "wanted", "a"),
                    (2, "wanted", "a"), (3, "granted", "b")]  # fmt: skip
    turns.give_back(2, "a")
    turns.give_back(2, "a")  # it has none
    turns.give_back(2, "nowhere")
    assert told[6:] == [(3, "granted", "a")]


def test_permits_of_before_count_and_more_than_there_are_come_back_first() -> None:
    _, turns, told = _turns()
    turns.hold(1, "a", 2)
    turns.hold(2, "a", 1)
    turns.ask(3, "a", 2, 0.0)
    turns.give_back(1, "a")
    assert told == [(1, "wanted", "a"), (2, "wanted", "a")]
    turns.leave(2)
    assert told[2:] == [(3, "granted", "a")]


def test_who_waits_longest_is_next_and_who_alone_waits_hears_of_no_other() -> None:
    _, turns, told = _turns()
    turns.ask(1, "a", 1, 0.0)
    turns.ask(1, "a", 1, 0.0)
    assert told == [(1, "granted", "a")]
    turns.ask(2, "a", 1, 0.0)
    turns.ask(1, "a", 1, 0.0)
    assert told == [(1, "granted", "a"), (1, "wanted", "a")]
    turns.give_back(1, "a")
    turns.give_back(1, "a")
    turns.give_back(2, "a")
    assert [said for said in told if said[1] == "granted"] == [(fetcher, "granted", "a") for fetcher in (1, 1, 2, 1)]


def test_who_is_given_a_permit_after_it_heard_of_others_hears_of_them_again() -> None:
    """It may have given back all it had by then, so that nobody waited as far as it knew."""
    _, turns, told = _turns()
    for fetcher in (1, 1, 2, 1, 2):
        turns.ask(fetcher, "a", 2, 0.0)
    assert told == [(1, "granted", "a"), (1, "granted", "a"), (1, "wanted", "a")]
    turns.give_back(1, "a")
    turns.give_back(1, "a")
    assert told[3:] == [(2, "granted", "a"), (2, "wanted", "a"), (1, "granted", "a"), (1, "wanted", "a")]


def test_two_permits_are_as_far_apart_as_the_gap_whoever_asks() -> None:
    clock, turns, told = _turns()
    times: list[float] = []
    turns = Turns(clock, clock.later, lambda *said: (times.append(clock.now), told.append(said)))
    for fetcher in (1, 2, 3, 1, 2, 3):
        turns.ask(fetcher, "a", 6, 0.5)
    for tenth in range(31):
        clock.pass_to(tenth / 10)
    assert times == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert [said[0] for said in told] == [1, 2, 3, 1, 2, 3]


def test_a_host_that_rests_gives_nobody_a_permit_and_holders_are_told() -> None:
    clock, turns, told = _turns()
    turns.ask(1, "a", 2, 0.0)
    turns.rest(2, "a", 10.0)
    turns.rest(2, "a", 3.0)  # the longer one holds
    turns.ask(3, "a", 2, 0.0)
    assert told == [(1, "granted", "a"), (1, "rest", "a", 10.0), (1, "rest", "a", 3.0)]
    clock.pass_to(9.9)
    assert len(told) == 3
    clock.pass_to(10.0)
    assert told[3:] == [(3, "granted", "a")]


def test_what_a_fetcher_had_is_free_when_it_is_gone_and_nothing_is_kept_of_a_host() -> None:
    clock, turns, told = _turns()
    for fetcher in (1, 1, 2, 3):
        turns.ask(fetcher, "a", 2, 1.0)
    clock.pass_to(1.0)
    turns.leave(1)
    clock.pass_to(3.0)
    assert [said[0] for said in told if said[1] == "granted"] == [1, 1, 2, 3]
    turns.leave(2)
    turns.leave(3)
    clock.pass_to(60.0)
    assert turns._hosts == {}


def _answers(**options: int) -> tuple[Clock, KeptAnswers, list[tuple[Any, ...]]]:
    clock, told = Clock(), list[tuple[Any, ...]]()
    return clock, KeptAnswers(clock, lambda *said: told.append(said), **options), told


def test_an_answer_is_asked_for_once_until_it_is_old() -> None:
    clock, answers, told = _answers()
    for fetcher in (1, 2, 3):
        answers.want(fetcher, "a")
    assert told == [(1, "to_ask", "a")]
    answers.found(1, "a", ["text", "x"], 60.0)
    answers.want(4, "a")
    assert told[1:] == [(fetcher, "said", "a", ["text", "x"]) for fetcher in (2, 3, 4)]
    clock.pass_to(61.0)
    answers.want(5, "a")
    assert told[4:] == [(5, "to_ask", "a")]


def test_when_who_asks_is_gone_the_next_one_asks() -> None:
    _, answers, told = _answers()
    for fetcher in (1, 2, 3):
        answers.want(fetcher, "a")
    answers.leave(3)
    answers.leave(1)
    answers.found(2, "a", ["text", ""], 60.0)
    assert told == [(1, "to_ask", "a"), (2, "to_ask", "a")]
    answers.want(1, "b")
    answers.leave(1)
    answers.want(2, "b")
    assert told[2:] == [(1, "to_ask", "b"), (2, "to_ask", "b")]


def test_the_oldest_answers_are_forgotten_when_they_are_many() -> None:
    _, answers, told = _answers(keep_bytes=200)
    for number in range(20):
        answers.found(1, f"{number}", ["text", f"{number}" * 20], 60.0)
    for number in (0, 19):
        answers.want(1, f"{number}")
    assert told == [(1, "to_ask", "0"), (1, "said", "19", ["text", "19" * 20])]
