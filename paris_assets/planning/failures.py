"""What is told of a failed run: which assets, why in words, and which images the errors name."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from paris_assets.dag.records import ALL

FAILURES = "failures.jsonl"
WEBHOOK_TIMEOUT_S = 10.0
MAX_IMAGES = 100
# An image_id is 32 hex digits; a sha256 has 64, and a run's id has dashes.
IMAGE_ID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{32}(?![0-9a-f-])")


def failure_report(run: dg.DagsterRun, event: dg.DagsterEvent, steps: Sequence[dg.DagsterEvent]) -> dict[str, Any]:
    """One failed run as a JSON object.

    Args:
        event: the run's failure.
        steps: failures of its assets; none when its process was lost.

    Returns:
        ``run_id``, ``job``, ``shard`` (``all`` for an unpartitioned run), ``assets`` that were asked for, ``cause`` of
        the first failure, ``image_ids`` that any error names (at most MAX_IMAGES), ``failed``: one object of ``asset``,
        ``cause`` and ``image_ids`` per failed asset, and ``reported_at`` in UTC.
    """
    failed = [{"asset": step.step_key, "cause": cause(step), "image_ids": image_ids(step)} for step in steps]
    named = sorted({image_id for entry in failed for image_id in entry["image_ids"]})
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "shard": run.tags.get("dagster/partition", ALL),
        "assets": sorted(key.to_user_string() for key in run.asset_selection or ()),
        "cause": " ".join((failed[0]["cause"] if failed else event.message or "the run's process is gone").split()),
        "image_ids": named[:MAX_IMAGES],
        "failed": failed,
        "reported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def in_words(report: dict[str, Any]) -> str:
    """A failed run in one line for the log."""
    names = ", ".join(str(entry["asset"]) for entry in report["failed"]) or ", ".join(report["assets"])
    images = f"; images {', '.join(report['image_ids'])}" if report["image_ids"] else ""
    return f"run {report['run_id']} failed: {names} [{report['shard']}]: {report['cause']}{images}"


def cause(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of the innermost error."""
    messages = list(_messages(event))
    if not messages:
        return "unknown"
    # Dagster puts the class before the message; what a user can act on says enough without its module.
    name, _, message = messages[-1].partition(": ")
    return message if message and name.startswith("paris_assets.") else messages[-1]


def image_ids(event: dg.DagsterEvent) -> list[str]:
    """Images that the errors of a failed step name, sorted."""
    return sorted({image_id for message in _messages(event) for image_id in IMAGE_ID.findall(message)})[:MAX_IMAGES]


def _messages(event: dg.DagsterEvent) -> Iterator[str]:
    """Messages of a step's error and of what caused it, the innermost last."""
    error: Any = event.step_failure_data.error
    while error is not None:
        yield error.message.strip()
        error = error.cause


def keep(report: dict[str, Any], home: Path) -> None:
    """Add a report to ``failures.jsonl`` in Dagster's home."""
    with open(home / FAILURES, "a") as file:
        file.write(json.dumps(report) + "\n")


def post(report: dict[str, Any], address: str) -> str | None:
    """Send a report as JSON to a web address; what went wrong, or None. Of the address only the host is said: whoever
    knows the rest of a chat's webhook can write there."""
    if not address.startswith(("http://", "https://")):
        return "it is no http or https address"
    host = address.split("/")[2].rpartition("@")[2]
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address, json.dumps(report).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_S):
            return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{host}: {error if isinstance(error, OSError) else type(error).__name__}"
