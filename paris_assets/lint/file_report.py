"""What was found in one file, small enough to be kept for every file of a large set."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from paris_assets.lint.arrays import Form
from paris_assets.lint.problems import Problems

MOST_FORMS = 512
"""Forms of a field, and sets of fields, that are told apart in one file."""
EXAMPLES = 8


@dataclass
class Group:
    """Samples that are alike: how many, and the keys of the first."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        """One more."""
        self.count += 1
        if len(self.keys) < EXAMPLES:
            self.keys.append(key)


@dataclass
class FileReport:
    """One file.

    Attributes:
        problems: what is wrong with it, without looking at others.
        place: what keeps sets apart that share no samples: the folder of the file.
        fields: samples by the set of their fields.
        forms: field -> form of its array -> samples.
        keys, contents: (N,) uint64 hashes of the samples' keys and of their data.
        samples, size_bytes: how many were seen, and bytes of the file.
        sha256: of the file; '' where it was not asked for.
    """

    problems: Problems
    place: str = ""
    fields: dict[frozenset[str], Group] = field(default_factory=dict)
    forms: dict[str, dict[Form, Group]] = field(default_factory=dict)
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    contents: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    samples: int = 0
    size_bytes: int = 0
    sha256: str = ""

    def saw_fields(self, key: str, fields: frozenset[str]) -> None:
        """A sample has these fields."""
        if fields in self.fields or len(self.fields) < MOST_FORMS:
            self.fields.setdefault(fields, Group()).add(key)

    def saw_form(self, key: str, name: str, form: Form) -> None:
        """A sample's array has this form."""
        forms = self.forms.setdefault(name, {})
        if form in forms or len(forms) < MOST_FORMS:
            forms.setdefault(form, Group()).add(key)


def hash_of(data: bytes) -> int:
    """64 bits that tell keys and contents apart."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def array_of(hashes: list[int]) -> np.ndarray:
    """(N,) uint64."""
    return np.array(hashes, np.uint64)


def most_common(counts: Counter[str], share: float) -> str | None:
    """The value that so large a share has, if there is one."""
    if not counts:
        return None
    value, count = counts.most_common(1)[0]
    return value if count >= share * counts.total() else None
