"""What differs between the manifests of two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

REJECTS = "rejects"


class Change(NamedTuple):
    """A value that differs; None where a side has none."""

    name: str
    before: Any
    after: Any


class Stage(NamedTuple):
    """What differs of one stage: rows in and out, and rejects by reason."""

    asset: str
    counts: list[Change]


class Files(NamedTuple):
    """Paths that only one side lists, or both with other bytes; and how many are the same."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    same: int


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name -> value, of nested objects; lists are values."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from flat(value[key], f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def changes(before: Any, after: Any) -> list[Change]:
    """Every value that differs, by dotted name."""
    old, new = dict(flat(before)), dict(flat(after))
    return [
        Change(name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or old[name] != new[name]
    ]


def stages(before: Mapping[str, Any], after: Mapping[str, Any], order: Sequence[str]) -> list[Stage]:
    """Counts of every stage that differ.

    Args:
        before, after: ``counts`` of manifests.
        order: names of stages as images pass them; others come last.
    """
    found, places = [], {name: place for place, name in enumerate(order)}
    for asset in sorted(before.keys() | after.keys(), key=lambda name: (places.get(name, len(places)), name)):
        differ = changes(before.get(asset, {}), after.get(asset, {}))
        counts = [change for change in differ if change.name]
        if counts:
            found.append(Stage(asset, counts))
    return found


def files(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Files:
    """What differs of two manifests' ``files``."""
    old, new = ({file["path"]: file["sha256"] for file in side} for side in (before, after))
    both = old.keys() & new.keys()
    changed = sorted(path for path in both if old[path] != new[path])
    return Files(sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys()), changed, len(both) - len(changed))
