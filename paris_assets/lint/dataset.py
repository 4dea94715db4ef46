"""What shows only when files are held against each other: the majority's arrays and members, repeated samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from paris_assets.lint.arrays import Form
from paris_assets.lint.file_report import FileReport, Group, most_common

MAJORITY = 0.9
"""Share of samples that decides what the others should be like."""
Names = Callable[[str, set[int]], dict[int, str]]
"""File, hashes of keys -> hash -> key, for those that are in the file."""
Expected = dict[str, tuple[str, tuple[int, ...]]]
"""Field -> dtype and shape that a manifest states; -1 for a side of any length."""


def check_together(reports: Sequence[FileReport], names: Names, expected: Expected, required: Iterable[str]) -> None:
    """Add what files show together to their reports.

    Args:
        names: tells keys of hashes, by reading a file's names once more; asked only where something repeats.
        expected: what arrays are to be like, where somebody says so; else the majority says.
        required: fields that every sample is to have; else those that nearly all have.
    """
    _check_forms(reports, expected)
    _check_fields(reports, frozenset(required))
    _check_repeats(reports, names)
    _check_contents(reports, names)


def _check_forms(reports: Sequence[FileReport], expected: Expected) -> None:
    fields = sorted({name for report in reports for name in report.forms})
    for name in fields:
        counts: Counter[Form] = Counter()
        for report in reports:
            counts.update({form: group.count for form, group in report.forms.get(name, {}).items()})
        dtype, shape = expected.get(name) or _usual(counts)
        for report in reports:
            for form, group in report.forms.get(name, {}).items():
                _compare(report, name, form, group, dtype, shape)


def _usual(counts: Counter[Form]) -> tuple[str | None, tuple[int, ...] | None]:
    """dtype and shape of the majority: None where there is none, -1 for a side that varies."""
    dtypes: Counter[str] = Counter()
    ranks: dict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for form, count in counts.items():
        dtypes[form.dtype] += count
        ranks[len(form.shape)][form.shape] += count
    dtype = most_common(dtypes, MAJORITY)
    rank, shapes = max(ranks.items(), key=lambda item: item[1].total())
    if shapes.total() < MAJORITY * counts.total():
        return dtype, None
    sides = []
    for axis in range(rank):
        lengths: Counter[int] = Counter()
        for shape, count in shapes.items():
            lengths[shape[axis]] += count
        length, count = lengths.most_common(1)[0]
        sides.append(length if count >= MAJORITY * counts.total() else -1)
    return dtype, tuple(sides)


def _compare(
    report: FileReport, name: str, form: Form, group: Group, dtype: str | None, shape: tuple[int, ...] | None
) -> None:
    kinds = []
    if dtype is not None and form.dtype != dtype:
        kinds.append(("other_dtype", f"{name} is {form.dtype}, not {dtype}"))
    if shape is not None and not _fits(form.shape, shape):
        wanted = "x".join("any" if side < 0 else str(side) for side in shape) or "scalar"
        kinds.append(("other_shape", f"{name} is {form}, not {wanted}"))
    for kind, what in kinds:
        _add(report, kind, group, what)


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(side in (-1, have) for have, side in zip(shape, wanted, strict=True))


def _check_fields(reports: Sequence[FileReport], required: frozenset[str]) -> None:
    samples, counts = 0, Counter[str]()
    for report in reports:
        for fields, group in report.fields.items():
            samples += group.count
            counts.update(dict.fromkeys(fields, group.count))
    wanted = required or {name for name, count in counts.items() if count >= MAJORITY * samples}
    for report in reports:
        for fields, group in report.fields.items():
            if missing := sorted(wanted - fields):
                others = (
                    "" if required else f", which {min(counts[name] for name in missing)} of {samples} samples have"
                )
                _add(report, "missing_member", group, f"no {', '.join(missing)}{others}")


def _add(report: FileReport, kind: str, group: Group, what: str) -> None:
    """A line for each of the keys that are known, and the rest counted."""
    for key in group.keys:
        report.problems.add(kind, key, what)
    if group.count > len(group.keys):
        report.problems.counts[kind] += group.count - len(group.keys)


def _check_repeats(reports: Sequence[FileReport], names: Names) -> None:
    """Keys that several files hold."""
    own = [np.unique(report.keys) for report in reports]
    every = np.concatenate([np.zeros(0, np.uint64), *own])
    found, counts = np.unique(every, return_counts=True)
    repeated = found[counts > 1]
    if not len(repeated):
        return
    places: dict[str, list[FileReport]] = defaultdict(list)
    for report, keys in zip(reports, own, strict=True):
        held = set(np.intersect1d(keys, repeated).tolist())
        for name in names(report.problems.file, held).values() if held else ():
            places[name].append(report)
    for name, (first, *others) in sorted(places.items()):
        for other in others:
            apart = first.place != other.place
            kind = "two_experts" if apart and _is_expert(first.place) and _is_expert(other.place) else "repeated_key"
            other.problems.add(kind, name, f"it is in {first.problems.file} too")


def _is_expert(place: str) -> bool:
    return place.rpartition("/")[2].startswith("cluster_")


def _check_contents(reports: Sequence[FileReport], names: Names) -> None:
    """Data that stand under several keys: of each set of equal data the first sample stays."""
    looked = [report for report in reports if len(report.contents) == len(report.keys)]
    if not looked:
        return
    keys = np.concatenate([report.keys for report in looked])
    contents = np.concatenate([report.contents for report in looked])
    files = np.repeat(np.arange(len(looked)), [len(report.keys) for report in looked])
    _, once = np.unique(keys, return_index=True)  # a key that repeats is noted as such
    once = np.sort(once[contents[once] != 0])
    _, first, group = np.unique(contents[once], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[group] != np.arange(len(once)))
    for number in np.unique(files[once[again]]).tolist():
        report, rows = looked[number], again[files[once[again]] == number]
        listed = rows[: report.problems.most]
        known = names(report.problems.file, set(keys[once[listed]].tolist()))
        for row in listed:
            like = looked[files[once[first[group[row]]]]].problems.file
            key = known.get(int(keys[once[row]]), "")
            report.problems.add("same_content", key, f"its data are those of another sample, in {like}")
        report.problems.counts["same_content"] += len(rows) - len(listed)
