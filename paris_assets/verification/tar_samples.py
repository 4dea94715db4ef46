"""Expert tars read back for verification: every member, every array and every metadata value of every sample."""

from __future__ import annotations

import io
import json
import mmap
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.formats.npy import npy_header
from paris_assets.storage.tar_members import Member, TornTar, members
from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import load_array
from paris_assets.verification.sample_shapes import MEMBERS, WEIGHTS, Shapes

KEY = re.compile(r"[0-9a-f]{32}")
INFINITE, SIGN = np.uint16(0x7C00), np.uint16(0x8000)  # float16: exponent bits, all set for infinities and NaN
Faults = dict[tuple[str, str], list[str]]  # (expected, found) -> samples


class ShardTars:
    """The tars of one image shard: a row per sample (columns of ``Shapes.schema``), and arrays inside by position."""

    what = "tars"

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._open = ExitStack()
        self._views: dict[str, mmap.mmap] = {}
        self._rows: list[dict[str, Any]] = []

    def add(self, path: str, local: Path, declared: int | None, findings: Findings) -> None:
        """Check one tar and add its samples."""
        expert = int(path.split("/")[1].removeprefix("cluster_"))
        if not local.stat().st_size:
            findings.problem(path, "a tar", "an empty file")
            return
        with open(local, "rb") as file:
            view = self._open.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self._views[path] = view
        faults: Faults = defaultdict(list)
        keys = []
        try:
            for key, group in groupby(members(view), key=lambda member: member.key):
                keys.append(key)
                row = read_sample(view, key, list(group), expert, self._shapes, faults)
                if row:
                    self._rows.append({"path": path, **row})
        except TornTar as error:
            findings.problem(path, "a whole tar of plain members", str(error))
        findings.checked["samples"] += len(keys)
        for (expected, found), names in faults.items():
            findings.samples(path, expected, found, names)
        check_order(path, keys, declared, findings)

    def table(self) -> pl.DataFrame:
        """All samples of the shard, sorted by image_id."""
        return pl.DataFrame(self._rows, schema=self._shapes.schema(), orient="row").sort("image_id")

    def same(self, path: str, offset: int, values: bytes) -> bool:
        """Whether a tar holds these bytes at a position."""
        return self._views[path][offset : offset + len(values)] == values

    def close(self) -> None:
        """Unmap the tars."""
        self._open.close()


def read_sample(
    view: mmap.mmap, key: str, parts: list[Member], expert: int, shapes: Shapes, faults: Faults
) -> dict[str, Any] | None:
    """The row of one sample, or None when it is not whole; what is wrong goes to ``faults`` under its description."""
    if not KEY.fullmatch(key):
        faults["32 hex digits as key", "another name"].append(repr(key))
        return None
    kinds = sorted(part.name.partition(".")[2] for part in parts)
    if not set(MEMBERS) <= set(kinds) <= {*MEMBERS, *shapes.sizes} or len(set(kinds)) < len(kinds):
        faults[f"the members {', '.join(MEMBERS)} side by side", f"{', '.join(kinds)}"].append(key)
        return None
    content = {part.name.partition(".")[2]: view[part.offset : part.offset + part.size] for part in parts}
    try:
        held = json.loads(content["metadata.json"])
    except (ValueError, RecursionError):
        held = None
    tokens = held.get("tokens") if isinstance(held, dict) else None
    at = {part.name.partition(".")[2]: part.offset for part in parts}
    places, found = dict[str, int](), dict[str, tuple[int, ...]]()
    for kind in (kind for kind in kinds if kind.endswith(".npy")):
        start, found[kind], fault = _array(content[kind], kind, shapes, tokens if type(tokens) is int else None)
        if fault:
            faults[f"{kind} readable, {shapes.dtype(kind)}, finite, of one shape", f"{fault}"].append(key)
        places[kind] = at[kind] + start
    row = sample_row(key, held, content["caption.txt"].decode(errors="replace"), expert, shapes, found, faults)
    latents = {shapes.place(size): places.get(kind) for kind, size in shapes.sizes.items()}
    return row and {**row, **latents, "text_at": places["clip_emb.npy"]}


def sample_row(
    key: str,
    held: Any,
    caption: str,
    expert: int,
    shapes: Shapes,
    found: Mapping[str, tuple[int, ...]],
    faults: Faults,
) -> dict[str, Any] | None:
    """What metadata says of a sample, or None where it lacks something; what is wrong goes to ``faults``.

    Args:
        held: values of metadata.json; None: no JSON.
        found: member -> shape of the arrays that the sample has.
    """
    metadata, wrong = _metadata(held, shapes.metadata)
    if wrong:
        faults[f"metadata.json with {', '.join(shapes.metadata)}", f"{wrong}"].append(key)
        return None
    stated = {"image_id": key, "cluster": expert, "caption": caption}
    for name, value in stated.items():
        if metadata.get(name) != value:
            faults[f"{name} in metadata.json as the sample has it", f"another {name}"].append(key)
    if metadata["split"] not in (0, 1):
        faults["split 0 or 1 in metadata.json", "another split"].append(key)
    if shapes.weights and not shapes.weights[0] <= metadata["weight"] <= shapes.weights[1]:
        low, high = shapes.weights
        faults[f"a weight of {low:g} to {high:g} in metadata.json", "a weight outside"].append(key)
    for kind, size in shapes.sizes.items():
        if wrong := shapes.unlike(size, metadata, found.get(kind)):
            faults[f"{kind} as metadata.json says", wrong].append(key)
    row = {name: metadata.get(name) for name in shapes.metadata | WEIGHTS}
    return {**row, "image_id": key, "expert": expert, "caption": caption}


def _metadata(found: Any, fields: Mapping[str, tuple[Any, tuple[type, ...]]]) -> tuple[dict[str, Any], str]:
    if not isinstance(found, dict):
        return {}, "no JSON" if found is None else "no JSON object"
    wrong = [name for name, (_, kinds) in fields.items() if name not in found or not _fits(found[name], kinds)]
    return found, f"missing or of another type: {', '.join(wrong)}" if wrong else ""


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a table holds it: JSON has larger integers, and halves of surrogate pairs."""
    if isinstance(value, list):
        return list in kinds and all(_fits(item, (str,)) for item in value)
    large = isinstance(value, int) and value.bit_length() > 63
    return type(value) in kinds and not large and not (isinstance(value, str) and re.search("[\ud800-\udfff]", value))


def array_start(content: bytes, kind: str, shapes: Shapes, tokens: int | None = None) -> tuple[int, str]:
    """Position of the values in an ``.npy`` member, and what is wrong with it ('' when nothing is).

    Args:
        tokens: those of the sample; None where it does not say.
    """
    start, _, wrong = _array(content, kind, shapes, tokens)
    return start, wrong


def _array(content: bytes, kind: str, shapes: Shapes, tokens: int | None) -> tuple[int, tuple[int, ...], str]:
    """As ``array_start``, with its shape."""
    shape, dtype = shapes.of(kind, tokens), shapes.dtype(kind)
    if shape is not None:
        # Reading a header takes longer than all else: almost every member has this one.
        usual = npy_header(dtype, shape)
        if content.startswith(usual) and len(content) == len(usual) + dtype.itemsize * int(np.prod(shape)):
            return len(usual), shape, _finite(np.frombuffer(content, dtype, offset=len(usual)))
    try:
        array = load_array(io.BytesIO(content))
    except ValueError as error:
        return 0, (), f"{kind} that cannot be read ({error})"
    fault = fault_of(array, kind, shapes, tokens)
    return len(content) - array.nbytes, array.shape, f"{kind} {fault}" if fault.startswith("of ") else fault


def fault_of(array: np.ndarray, kind: str, shapes: Shapes, tokens: int | None) -> str:
    """What is wrong with an array that is stored as the member ``kind``; '' when nothing is.

    Of one whose shape is not known the first decides.
    """
    shape = shapes.of(kind, tokens)
    if array.dtype != shapes.dtype(kind):
        return f"of {array.dtype}"
    if shape is not None and array.shape != shape:
        return f"of shape {array.shape}, not {shape}"
    if kind in shapes.known:
        shapes.known[kind] = array.shape
    return _finite(array)


def _finite(array: np.ndarray) -> str:
    if array.dtype == np.uint8:
        return "" if array.all() else "codes of zero, which do not occur"
    bits = array.reshape(-1).view(np.uint16)
    return "values that are not finite" if bits.size and (bits & ~SIGN).max() >= INFINITE else ""


def check_order(path: str, keys: list[str], declared: int | None, findings: Findings) -> None:
    """Every key once, in order, and as many as the manifest says."""
    if declared is not None and len(keys) != declared:
        findings.problem(path, f"{declared} samples", f"{len(keys)}")
    repeated = sorted({key for key, after in pairwise(sorted(keys)) if key == after})
    findings.samples(path, "every sample once", "a sample repeated or split", repeated)
    unordered = [after for key, after in pairwise(keys) if after < key]
    findings.samples(path, "samples sorted by image_id", "a smaller id after a larger one", unordered)
