"""What steps say is behind Dagster's stdout and stderr tabs."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from paris_assets.dag.private import ComputeIOType
from paris_assets.dag.step_output import STEP_OUTPUT, step_output
from paris_assets.runs.execution import execute, open_instance
from paris_assets.storage.location import Location


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Location(tmp_path)) as instance:
        yield instance


@contextmanager
def streams_of_a_process() -> Iterator[None]:
    """Standard output and error on which capfd listens, in place of pytest's own."""
    with ExitStack() as stack:
        out, err = (stack.enter_context(open(number, "w", buffering=1, closefd=False)) for number in (1, 2))
        with mock.patch.multiple(sys, stdout=out, stderr=err):
            yield


def job(fails: bool) -> dg.JobDefinition:
    def paint(context: dg.OpExecutionContext) -> None:
        context.log.debug("no detail")
        context.log.info("mixed 3 colours")
        os.write(1, b"written by a library\n")
        if fails:
            raise ValueError("the brush broke")

    paint.__annotations__ = {"context": dg.OpExecutionContext}
    loggers = {"console": dg.colored_console_logger, STEP_OUTPUT: step_output}
    return dg.GraphDefinition("paint", node_defs=[dg.op(paint)]).to_job(name="painting", logger_defs=loggers)


def tabs(instance: dg.DagsterInstance, run_id: str) -> tuple[str, str]:
    """(stdout, stderr) as Dagster's page of a run shows them."""
    (event,) = [one for one in instance.all_logs(run_id) if one.dagster_event_type == dg.DagsterEventType.LOGS_CAPTURED]
    assert event.dagster_event is not None
    key = [run_id, "compute_logs", event.dagster_event.logs_captured_data.file_key]
    manager = instance.compute_log_manager
    assert manager.is_capture_complete(key)
    found = [
        manager.get_log_data_for_type(key, kind, 0, None)[0] for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
    ]
    return (found[0] or b"").decode(), (found[1] or b"").decode()


def test_the_tabs_hold_what_a_step_says_and_the_terminal_nothing(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    with streams_of_a_process():
        run = execute(job(fails=False), instance, {})
        print("after it")
    out, err = tabs(instance, run.run_id)
    assert out == "written by a library\n"
    (line,) = err.splitlines()
    assert line.endswith(" INFO paint: mixed 3 colours")
    assert capfd.readouterr() == ("after it\n", "")


def test_the_cause_of_a_failure_is_in_the_tab(instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]) -> None:
    with streams_of_a_process():
        run = execute(job(fails=True), instance, {}, raise_on_error=False)
    _, err = tabs(instance, run.run_id)
    assert "ERROR paint: " in err
    assert "ValueError: the brush broke" in err
    assert "raise ValueError" in err, "with the place in the code"
    assert capfd.readouterr().err == ""
