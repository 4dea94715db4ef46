"""Whose a run is, by its tags; Dagster hands them on to every run that is made of it again."""

import dagster as dg
import pytest

from paris_assets.dag import run_tags

OURS = {run_tags.INVOCATION: "20260101T000000-abcdef", run_tags.RESUME: "true", run_tags.FORCE: "captions,latents"}


@pytest.mark.parametrize(
    ("tags", "parent", "resumed", "ours"),
    [
        (OURS, None, True, True),
        (OURS, "another", False, False),  # executed again by a person
        ({run_tags.RESUME: "true"}, None, True, False),  # a sensor's
        ({run_tags.RESUME: "true", run_tags.TRIED_AGAIN: "1"}, "another", True, False),  # and its process was killed
        ({}, None, False, False),
    ],
)
def test_whose_a_run_is(tags: dict[str, str], parent: str | None, resumed: bool, ours: bool) -> None:
    run = dg.DagsterRun(job_name="all_stages", tags=tags, parent_run_id=parent, root_run_id=parent)
    assert run_tags.resumed(run) == resumed
    assert run_tags.of_paris_run(run) == ours


def test_assets_are_named_in_full() -> None:
    run = dg.DagsterRun(job_name="all_stages", tags=OURS)
    assert "captions" in run_tags.named(run, run_tags.FORCE)
    assert "caption" not in run_tags.named(run, run_tags.FORCE)
    assert "captions" not in run_tags.named(run, run_tags.RETRY)
