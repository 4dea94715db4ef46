"""What a source holds that is no row: by kind, how many of it and which are the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

NAMED = 3  # examples of each kind
LONGEST = 60  # letters of a name


class LeftOut:
    """Counts by kind with the first few names of each; a kind is what a person calls it, such as `.npy files`."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    @classmethod
    def of(cls, found: Iterable[Mapping[str, Any]]) -> LeftOut:
        """The sum of what `as_dict` gave."""
        total = cls()
        for kinds in found:
            total.include(kinds)
        return total

    def include(self, kinds: Mapping[str, Any]) -> None:
        """Count what `as_dict` of another gave."""
        for kind, those in kinds.items():
            self.add(kind, *those["names"], count=those["count"])

    def add(self, kind: str, *names: str, count: int | None = None) -> None:
        """Count one thing for each name, or `count` of which these are some."""
        self._counts[kind] = self._counts.get(kind, 0) + (len(names) if count is None else count)
        known = self._names.setdefault(kind, [])
        if len(known) < NAMED:
            known += [_text(name) for name in names[: NAMED - len(known)]]

    def take_kind(self, kind: str) -> LeftOut:
        """What was counted of one kind, which is then counted no more; empty if there was none."""
        taken = LeftOut()
        if kind in self._counts:
            taken.add(kind, *self._names.pop(kind), count=self._counts.pop(kind))
        return taken

    def take(self) -> LeftOut:
        """What was counted until now, which is then counted no more."""
        taken = LeftOut()
        taken._counts, taken._names, self._counts, self._names = self._counts, self._names, {}, {}
        return taken

    def __bool__(self) -> bool:
        return bool(self._counts)

    def as_dict(self) -> dict[str, Any]:
        """kind -> `count` and the first `names`, sorted by kind."""
        return {kind: {"count": self._counts[kind], "names": self._names[kind]} for kind in sorted(self._counts)}

    def in_words(self) -> str:
        """In one line: `3 .npy files (a.npy, b.npy, c.npy), 12 hidden files (.a, .b, .c, ...)`."""
        return ", ".join(self._kinds())

    def _kinds(self) -> Iterator[str]:
        for kind, count in sorted(self._counts.items()):
            names = [_short(name) for name in self._names[kind]]
            more = ["..."] if names and count > len(names) else []
            yield f"{count} {kind} ({', '.join([*names, *more])})" if names else f"{count} {kind}"


def _text(name: str) -> str:
    """A name as a table can hold it, whatever it was on disk."""
    return name.encode("utf-8", "backslashreplace").decode()


def _short(name: str) -> str:
    """A name as one line of a terminal can show it."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= LONGEST else f"...{plain[-LONGEST:]}"
