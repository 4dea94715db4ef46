"""Expert tars read back for verification: every member, every array and every metadata value of every sample."""

from __future__ import annotations

import io
import json
import mmap
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.storage.tar_members import Member, TornTar, members
from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import load_array

MEMBERS = ("caption.txt", "clip_emb.npy", "latent.npy", "metadata.json")
KEY = re.compile(r"[0-9a-f]{32}")
INFINITE, SIGN = np.uint16(0x7C00), np.uint16(0x8000)  # float16: exponent bits, all set for infinities and NaN
Faults = dict[tuple[str, str], list[str]]  # (expected, found) -> samples
METADATA: dict[str, tuple[pl.DataType | type[pl.DataType], tuple[type, ...]]] = {
    "url": (pl.String, (str, type(None))),
    "caption": (pl.String, (str,)),
    "captioner": (pl.String, (str,)),
    "caption_kind": (pl.String, (str,)),
    "source_text": (pl.String, (str, type(None))),
    "tokens": (pl.Int64, (int,)),
    "original_width": (pl.Int64, (int,)),
    "original_height": (pl.Int64, (int,)),
    "crop_top": (pl.Int64, (int,)),
    "crop_left": (pl.Int64, (int,)),
    "upscaled": (pl.Boolean, (bool,)),
    "aesthetic": (pl.Float64, (float, int, type(None))),
    "cluster": (pl.Int64, (int,)),
    "fine_cluster": (pl.Int64, (int, type(None))),
    "distance": (pl.Float64, (float, int)),
    "second_distance": (pl.Float64, (float, int, type(None))),
    "split": (pl.Int64, (int,)),
}
WEIGHTS: dict[str, tuple[pl.DataType | type[pl.DataType], tuple[type, ...]]] = {
    "weight": (pl.Float64, (float, int)),
    "concepts": (pl.List(pl.String), (list,)),
}
"""What metadata.json holds beside, where samples have sampling weights."""
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "image_id": pl.String,
    "path": pl.String,
    "expert": pl.Int64,
    "latent_at": pl.Int64,
    "text_at": pl.Int64,
    **{name: kind for name, (kind, _) in (METADATA | WEIGHTS).items()},
}


class Shapes:
    """What all samples must have: shapes, of which the first sample decides one that is not known, and fields of
    metadata.json.

    Args:
        weights: least and largest sampling weight; None where samples have none.
    """

    def __init__(
        self,
        latent: tuple[int, ...] | None = None,
        text: tuple[int, ...] | None = None,
        weights: tuple[float, float] | None = None,
    ) -> None:
        self.known = {"latent.npy": latent, "clip_emb.npy": text}
        self.weights = weights
        self.metadata = METADATA | (WEIGHTS if weights else {})


class ShardTars:
    """The tars of one image shard: a row per sample (columns of ``SCHEMA``), and the arrays inside by position."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._views: dict[str, mmap.mmap] = {}
        self._rows: list[dict[str, Any]] = []

    def add(self, path: str, local: Path, declared: int | None, shapes: Shapes, findings: Findings) -> None:
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
                row = read_sample(view, key, list(group), expert, shapes, faults)
                if row:
                    self._rows.append({"path": path, **row})
        except TornTar as error:
            findings.problem(path, "a whole tar of plain members", str(error))
        findings.checked["samples"] += len(keys)
        for (expected, found), names in faults.items():
            findings.samples(path, expected, found, names)
        _check_order(path, keys, declared, findings)

    def table(self) -> pl.DataFrame:
        """All samples of the shard, sorted by image_id."""
        return pl.DataFrame(self._rows, schema=SCHEMA, orient="row").sort("image_id")

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
    if tuple(kinds) != MEMBERS:
        faults[f"the members {', '.join(MEMBERS)} side by side", f"{', '.join(kinds)}"].append(key)
        return None
    content = {part.name.partition(".")[2]: view[part.offset : part.offset + part.size] for part in parts}
    at, places = {part.name.partition(".")[2]: part.offset for part in parts}, {}
    for kind in ("latent.npy", "clip_emb.npy"):
        start, fault = array_start(content[kind], kind, shapes)
        if fault:
            faults[f"{kind} readable, float16, finite, of one shape", f"{fault}"].append(key)
        places[kind] = at[kind] + start
    metadata, wrong = _metadata(content["metadata.json"], shapes.metadata)
    if wrong:
        faults[f"metadata.json with {', '.join(shapes.metadata)}", f"{wrong}"].append(key)
        return None
    caption = content["caption.txt"].decode(errors="replace")
    stated = {"image_id": key, "cluster": expert, "caption": caption}
    for name, value in stated.items():
        if metadata.get(name) != value:
            faults[f"{name} in metadata.json as the sample has it", f"another {name}"].append(key)
    if metadata["split"] not in (0, 1):
        faults["split 0 or 1 in metadata.json", "another split"].append(key)
    if shapes.weights and not shapes.weights[0] <= metadata["weight"] <= shapes.weights[1]:
        low, high = shapes.weights
        faults[f"a weight of {low:g} to {high:g} in metadata.json", "a weight outside"].append(key)
    row = {name: metadata.get(name) for name in METADATA | WEIGHTS} | {
        "image_id": key,
        "expert": expert,
        "caption": caption,
    }
    return {**row, "latent_at": places["latent.npy"], "text_at": places["clip_emb.npy"]}


def _metadata(content: bytes, fields: Mapping[str, tuple[Any, tuple[type, ...]]]) -> tuple[dict[str, Any], str]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}, "no JSON"
    if not isinstance(found, dict):
        return {}, "no JSON object"
    wrong = [name for name, (_, kinds) in fields.items() if name not in found or not _fits(found[name], kinds)]
    return found, f"missing or of another type: {', '.join(wrong)}" if wrong else ""


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a table holds it: JSON has larger integers, and halves of surrogate pairs."""
    if isinstance(value, list):
        return list in kinds and all(_fits(item, (str,)) for item in value)
    large = isinstance(value, int) and value.bit_length() > 63
    return type(value) in kinds and not large and not (isinstance(value, str) and re.search("[\ud800-\udfff]", value))


def array_start(content: bytes, kind: str, shapes: Shapes) -> tuple[int, str]:
    """Position of the values in an ``.npy`` member, and what is wrong with it ('' when nothing is)."""
    shape = shapes.known[kind]
    if shape is not None:
        # Reading a header takes longer than all else: almost every member has this one.
        usual = _npy_header(shape)
        if content.startswith(usual) and len(content) == len(usual) + 2 * int(np.prod(shape)):
            return len(usual), _finite(content, len(usual))
    try:
        array = load_array(io.BytesIO(content))
    except ValueError as error:
        return 0, f"{kind} that cannot be read ({error})"
    start = len(content) - array.nbytes
    if array.dtype != np.float16:
        return start, f"{kind} of {array.dtype}"
    if shape is not None and array.shape != shape:
        return start, f"{kind} of shape {array.shape}, not {shape}"
    shapes.known[kind] = array.shape
    return start, _finite(content, start)


def _finite(content: bytes, start: int) -> str:
    bits = np.frombuffer(content, np.uint16, offset=start)
    return "values that are not finite" if bits.size and (bits & ~SIGN).max() >= INFINITE else ""


@cache
def _npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _check_order(path: str, keys: list[str], declared: int | None, findings: Findings) -> None:
    if declared is not None and len(keys) != declared:
        findings.problem(path, f"{declared} samples", f"{len(keys)}")
    repeated = sorted({key for key, after in pairwise(sorted(keys)) if key == after})
    findings.samples(path, "every sample once", "a sample repeated or split", repeated)
    unordered = [after for key, after in pairwise(keys) if after < key]
    findings.samples(path, "samples sorted by image_id", "a smaller id after a larger one", unordered)
