"""Other processes that do parts of a step, and what they are brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


class Lost(Exception):
    """A part was not done where it was sent, and has to be done here."""


@dataclass(frozen=True, eq=False)
class Held:
    """An array that parts of several ``map`` need: other processes are brought it once, and keep it while they can.

    Attributes:
        here: what the function gets for it in this process.
        array: what is sent; made when it is first wanted elsewhere.
        there: what the function gets there, of the array; at the top of a module.
    """

    here: Any
    array: Callable[[], np.ndarray]
    there: Callable[[np.ndarray], Any]


class Elsewhere(Protocol):
    """Other processes that do parts."""

    def places(self) -> int:
        """How many they do at once."""
        ...

    def share(self, shared: Any) -> Any:
        """Bring what all parts share to where processes find it: what `do` is given for it.

        Raises:
            Lost: there is no room for it.
        """
        ...

    def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
        """The result of a part; called by as many threads as there are places.

        Args:
            done: whether this process has done it meanwhile, and anything may be returned.

        Raises:
            Lost: nobody did it.
            Exception: what the function raised.
        """
        ...


class Sent(NamedTuple):
    """In the place of what is held: which of the arrays beside the part it is, and what it becomes."""

    at: int
    there: Callable[[np.ndarray], Any]


def taken_apart(part: Any) -> tuple[Any, list[Held]]:
    """A part as it is sent, and what it holds, whose arrays go beside it."""
    held: list[Held] = []
    if type(part) is not tuple:
        return part, held
    sent = []
    for one in part:
        if isinstance(one, Held):
            sent.append(Sent(len(held), one.there))
            held.append(one)
        else:
            sent.append(one)
    return tuple(sent), held


def put_together(part: Any, arrays: Sequence[np.ndarray]) -> Any:
    """A part where it has come to, as the function gets it."""
    return tuple(one.there(arrays[one.at]) if isinstance(one, Sent) else one for one in part) if arrays else part
