"""Problems of training files: what they are called, what to do about each, and how many a file has of a kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

MOST = 20
"""Problems of one kind that are listed of one file, unless another number is asked for."""
_WRITE_AGAIN = "write the file again from its source"
_RENAME = "rename the members to KEY.FIELD, without a dot in KEY, and write the tar again"
REMEDIES = {
    "unreadable": "look at the path and its rights, or fetch the file again",
    "empty": "leave the file away, or write it again: readers stop at it, or count it as a shard",
    "truncated": "fetch it again, or write it again: what follows the cut is lost",
    "damaged": "fetch it again, or write it again: readers stop here, without a word or with an error",
    "trailing_bytes": "write the tar again: readers stop at its end mark and see none of what follows",
    "unsafe_name": "write the tar again with names below its own folder: unpacking this one writes elsewhere",
    "not_a_file": "write the tar again with plain files: readers skip links, devices and sparse members, or fail",
    "no_key": "name it KEY.FIELD, or take it away: readers skip a member that has no field",
    "dotted_key": _RENAME,
    "long_name": "use names of at most 100 bytes: simple readers cut off the rest, and keys become the same",
    "bad_name": "use UTF-8 names",
    "repeated_member": "keep one of them: readers raise, or keep the last",
    "split_sample": "write the members of a sample side by side: readers give two incomplete samples",
    "missing_member": "write the sample whole, or leave it out: readers raise a KeyError, or drop it",
    "empty_member": "write it again, or leave the sample out",
    "unreadable_member": "write it again, or leave the sample out",
    "object_array": "save numbers, as np.save(..., allow_pickle=False) does: this one runs code when it is loaded",
    "pickle": "use .npy, .safetensors or JSON: a pickle runs code when it is loaded; it was not opened",
    "other_dtype": "write all of one type: batches of these fail, or change type",
    "other_shape": "write all of one shape, or pad at load: batches of these fail",
    "not_finite": "leave the sample out, and look at what made it: one NaN spoils a training run",
    "all_zero": "leave the sample out, and look at what made it: zeros stand for a failure in many pipelines",
    "key_mismatch": "find out which is right, as the sample and its metadata are of two images",
    "wrong_expert": "move the sample to the expert that its metadata names, or correct the metadata",
    "repeated_key": "keep one of them: it is seen twice in every epoch, and caches by key mix them up",
    "two_experts": "keep it in one expert: the experts are to be trained on disjoint images",
    "same_content": "keep one of them: the same data under two keys is seen twice in every epoch",
    "hash_mismatch": "fetch it again, or write it and its list of hashes again",
    "size_mismatch": "fetch it again, or write it and its index again",
    "count_mismatch": "write the file and its index again",
    "not_listed": "add it to the index or manifest, or take it away: readers by list do not see it, others do",
    "not_there": "fetch it, or write the index again without it",
    "bad_index": "write the index again; of parts, merge their indices",
    "bad_offsets": _WRITE_AGAIN,
    "other_columns": "write all shards with the same columns and encodings",
    "unknown_encoding": "use one of MDS' own encodings: stock readers know no other",
    "bad_column": _WRITE_AGAIN,
}
"""Kind of problem -> what to do about it."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        file: path as it is shown.
        key: of the sample, or name of the member; '' where it is of the whole file.
        kind: one of ``REMEDIES``.
        what: a sentence part.
    """

    file: str
    key: str
    kind: str
    what: str

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]

    def __str__(self) -> str:
        return f"{self.file}: {f'{self.key}: ' if self.key else ''}{self.what}; {self.remedy}"


@dataclass
class Problems:
    """Problems in the order in which they were met, of each kind and file so many; the rest are counted."""

    file: str
    most: int = MOST
    listed: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, key: str, what: str, times: int = 1) -> None:
        """Add a problem, or ``times`` of them of which the first is described."""
        if self.counts[kind] < self.most:
            self.listed.append(Problem(self.file, _shown(key), kind, what))
        self.counts[kind] += times

    def unlisted(self) -> dict[str, int]:
        """Kind -> problems that are counted and not listed."""
        listed = Counter(problem.kind for problem in self.listed)
        return {kind: count - listed[kind] for kind, count in self.counts.items() if count > listed[kind]}


def _shown(key: str) -> str:
    """A key as one line shows it."""
    printable = key if key.isprintable() else repr(key)[1:-1]
    return printable if len(printable) <= 120 else f"{printable[:117]}..."
