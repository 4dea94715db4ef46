"""One MDS shard: offsets, header, and every value of every sample."""

from __future__ import annotations

import json
import mmap

import numpy as np

from paris_assets.formats.mds_columns import Columns
from paris_assets.lint.contents import Seen
from paris_assets.lint.file_report import FileReport, array_of, hash_of
from paris_assets.lint.mds_index import COLUMNS, Shard
from paris_assets.lint.mds_values import size_of, value_faults
from paris_assets.lint.problems import Problems
from paris_assets.lint.webdataset import Chosen, check_metadata, every

KEYS = ("image_id", "__key__", "key", "id", "uid", "url")
"""Columns that name a sample, the first that is there."""
_WORD = 4


def lint_shard(view: mmap.mmap | bytes, shard: Shard, report: FileReport, chosen: Chosen = every) -> None:
    """Everything that one shard shows beside its index.

    Args:
        view: its bytes, not compressed.
        report: takes what is found.
        chosen: which samples are looked into; keys of all are.
    """
    offsets = _offsets(view, shard, report)
    if offsets is None:
        return
    columns = _columns(shard)
    key_column = next((name for name in KEYS if shard.columns.get(name) == "str"), None)
    keys, contents = list[int](), list[int]()
    for number, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        values = _values(bytes(view[start:end]), columns)
        if values is None:
            said = f"its {end - start} bytes are not those that its columns take"
            report.problems.add("bad_column", f"sample {number}", said)
            continue
        key = values[key_column].decode(errors="replace") if key_column else f"sample {number}"
        if key_column:
            keys.append(hash_of(values[key_column]))
        if chosen(number):
            contents.append(_look_into(key, values, columns, report))
    report.samples, report.keys, report.contents = len(offsets) - 1, array_of(keys), array_of(contents)
    _say_repeats(view, offsets, shard, report)


def keys_of(view: mmap.mmap | bytes, shard: Shard) -> list[bytes]:
    """The keys of a sound shard, in order; none where no column names samples."""
    key_column = next((name for name in KEYS if shard.columns.get(name) == "str"), None)
    offsets = _offsets(view, shard, FileReport(Problems("")))
    if key_column is None or offsets is None:
        return []
    columns = _columns(shard)
    spans = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    found = (_values(bytes(view[start:end]), columns) for start, end in spans)
    return [values[key_column] for values in found if values is not None]


def _offsets(view: mmap.mmap | bytes, shard: Shard, report: FileReport) -> np.ndarray | None:
    """(n + 1,) positions of samples, or None where they cannot be."""
    problems, size = report.problems, len(view)
    if size < _WORD:
        problems.add("truncated", "", f"{size} bytes are no shard")
        return None
    count = int.from_bytes(view[:_WORD], "little")
    table_end = _WORD * (count + 2)
    if count != shard.samples:
        problems.add("count_mismatch", "", f"{count} samples by its first bytes, {shard.samples} by the index")
    if size < table_end:
        problems.add("truncated", "", f"{count} offsets take {table_end} bytes, and it has {size}")
        return None
    offsets = np.frombuffer(view[_WORD:table_end], np.dtype("<u4")).astype(np.int64)
    if (np.diff(offsets) < 0).any() or offsets[0] < table_end:
        problems.add("bad_offsets", "", "offsets of samples that go back, or lie in the table of offsets")
        return None
    if offsets[-1] > size:
        problems.add("truncated", "", f"its samples end at byte {offsets[-1]}, and it has {size}")
        return None
    if offsets[-1] < size:
        problems.add("bad_offsets", "", f"{size - offsets[-1]} bytes after the last sample")
    _check_header(bytes(view[table_end : offsets[0]]), shard, report)
    return offsets


def _check_header(data: bytes, shard: Shard, report: FileReport) -> None:
    try:
        held = json.loads(data)
        columns = dict(zip(*(held[key] for key in COLUMNS[:2]), strict=True))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        report.problems.add("bad_offsets", "", f"no header between offsets and samples ({str(error)[:60]})")
        return
    if columns != shard.columns:
        report.problems.add("other_columns", "", f"columns {columns} in its header, {shard.columns} in the index")


def _columns(shard: Shard) -> Columns:
    return Columns(shard.columns, {name: size_of(encoding) for name, encoding in shard.columns.items()})


def _values(data: bytes, columns: Columns) -> dict[str, bytes] | None:
    """Column -> bytes of a sample, or None where they do not add up."""
    try:
        return {name: data[slice(*part)] for name, part in columns.parts(data, len(data)).items()}
    except ValueError:
        return None


def _look_into(key: str, values: dict[str, bytes], columns: Columns, report: FileReport) -> int:
    """Hash of the sample's arrays, images and bytes; 0 where it has none."""
    parts: list[bytes] = []
    cluster = columns.by_name.get("cluster")
    if cluster and cluster.scalar:
        check_metadata(key, {"cluster": cluster.decode(values["cluster"])}, report)
    for name, data in values.items():
        encoding, seen = columns.by_name[name].encoding, Seen()
        for kind, what in value_faults(name, encoding, data, seen):
            report.problems.add(kind, key, what)
        if seen.form is not None:
            report.saw_form(key, name, seen.form)
        if isinstance(seen.value, dict):
            check_metadata(key, seen.value, report)
        if seen.form is not None or encoding in ("bytes", "jpeg", "png", "pil"):
            parts.append(data)
    return hash_of(b"".join(parts)) if any(parts) else 0


def _say_repeats(view: mmap.mmap | bytes, offsets: np.ndarray, shard: Shard, report: FileReport) -> None:
    """Keys that the shard holds twice."""
    if len(np.unique(report.keys)) == len(report.keys):
        return
    seen: set[bytes] = set()
    for key in keys_of(view, shard):
        if key in seen:
            report.problems.add("repeated_key", key.decode(errors="replace"), "it is in this shard twice")
        seen.add(key)
