"""What steps say, in the files behind Dagster's stdout and stderr tabs, also where a terminal shows something else.

Dagster captures what a process prints while its steps run, and copies it to the terminal through `tail`. There `paris
run` draws its progress: in its processes, what steps say goes to the files alone (and four processes per run are not
started).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from paris_assets.dag.private import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    LocalComputeLogManager,
    redirect_to_file,
)

STEP_OUTPUT = "step_output"


class _Process:
    """Of this process: whether its terminal is another's, and whether steps' output is being captured."""

    files_only = False
    capturing = False


@contextmanager
def files_only() -> Iterator[None]:
    """What steps print meanwhile goes to the files behind the tabs, and not to the terminal."""
    before, _Process.files_only = _Process.files_only, True
    try:
        yield
    finally:
        _Process.files_only = before


class StepOutput(LocalComputeLogManager):
    """Dagster's own files of captured output, below ``storage`` of its home; see the module."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> StepOutput:
        """Dagster's entry point: ``base_dir`` of the instance configuration is its home."""
        home = os.path.join(config_value["base_dir"], "storage")
        return cls(inst_data=inst_data, **{**config_value, "base_dir": home})

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Capture what this process prints, under a key of the run."""
        if not _Process.files_only:
            with super().capture_logs(log_key) as context:
                yield context
            return
        out, err, complete = (self.get_captured_local_path(log_key, end) for end in (*_ENDINGS, "complete"))
        os.makedirs(os.path.dirname(out), exist_ok=True)
        _Process.capturing = True
        try:
            with redirect_to_file(sys.stdout, out), redirect_to_file(sys.stderr, err):
                yield CapturedLogContext(log_key)
        finally:
            _Process.capturing = False
        with open(complete, "w"):
            pass  # by which Dagster knows that no more will come


_ENDINGS = tuple(IO_TYPE_EXTENSION[kind] for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR))


class _WhileCapturing(logging.Handler):
    """Writes to stderr while it is a file."""

    def emit(self, record: logging.LogRecord) -> None:
        if _Process.capturing:
            print(self.format(record), file=sys.stderr, flush=True)


class _Lines(logging.Formatter):
    """Time, level, asset and what is said; of a failure its cause."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = getattr(record, "dagster_meta", {})
        event = said.get("dagster_event")
        data = event.event_specific_data if event is not None else None
        error = getattr(data, "error", None)
        lines = [said.get("orig_message") or record.getMessage(), *([error.to_string()] if error else [])]
        step = said.get("step_key")
        return f"{self.formatTime(record)} {record.levelname} {f'{step}: ' if step else ''}" + "\n".join(lines)


def _logger(_: Any) -> logging.Logger:
    logger = logging.Logger(STEP_OUTPUT, logging.INFO)
    handler = _WhileCapturing()
    handler.setFormatter(_Lines())
    logger.addHandler(handler)
    return logger


step_output = dg.LoggerDefinition(
    _logger, description="What steps say, in Dagster's stderr tab and not on the terminal: for `paris run`."
)
