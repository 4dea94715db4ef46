"""Checkpoints of a training: folders that are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from paris_assets.errors import FileError, UserError, explained

STATE = "state.json"
NAME = "step_{:08d}"
DRAFT = ".draft"


class CheckpointError(UserError, ValueError):
    """A checkpoint that is damaged, absent, or one of another network."""


class Checkpoint(NamedTuple):
    """A checkpoint that is there: its folder, and what its `state.json` holds."""

    folder: Path
    state: dict[str, Any]

    def tensors(self, name: str, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
        """What a file of it holds, ``weights``, ``ema`` or ``optimiser``.

        Raises:
            CheckpointError: it is damaged.
        """
        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path, str(device))
        except (SafetensorError, FileNotFoundError) as error:
            raise CheckpointError(
                f"{path} is damaged ({error}): remove {self.folder}, and the one before it is taken"
            ) from error


def latest(folder: Path) -> Checkpoint | None:
    """The checkpoint of the most steps, or None.

    Raises:
        CheckpointError: its state cannot be read.
    """
    found = sorted(folder.glob("step_*"))
    if not found:
        return None
    path = found[-1] / STATE
    try:
        return Checkpoint(found[-1], json.loads(path.read_text()))
    except (ValueError, FileNotFoundError) as error:
        raise CheckpointError(f"{path} is damaged: remove {found[-1]}, and the one before it is taken") from error


def save(
    folder: Path, step: int, files: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Write a checkpoint, and remove all but the last ``keep``.

    A draft becomes a checkpoint by its new name, once all of it is on the disk: whoever is killed leaves a draft, which
    nobody reads and the next one to save removes.

    Raises:
        FileError: it cannot be written.
    """
    final = folder / NAME.format(step)
    draft = folder / f".{final.name}{DRAFT}"
    with explained(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_drafts(folder)
        draft.mkdir()
        for name, tensors in files.items():
            path = draft / f"{name}.safetensors"
            try:
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
            except SafetensorError as error:
                said = f"{path} cannot be written: {error}; free space there, then run again: the last one stays"
                raise FileError(errno.EIO, said) from error
            _sync(path)
        (draft / STATE).write_text(json.dumps(state, indent=2))
        for path in (draft / STATE, draft):
            _sync(path)
        draft.rename(final)
        _sync(folder)
        for old in sorted(folder.glob("step_*"))[:-keep]:
            old.rename(folder / f".{old.name}{DRAFT}")  # so that what is half removed is no checkpoint
        _remove_drafts(folder)
    return final


def _remove_drafts(folder: Path) -> None:
    for path in folder.glob(f".step_*{DRAFT}"):
        shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
