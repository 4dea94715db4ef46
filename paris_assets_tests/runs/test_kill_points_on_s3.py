"""As test_kill_points, on an object store."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from paris_assets_tests.runs.chains import Undisturbed

pytestmark = [pytest.mark.long, pytest.mark.extended]


def test_killed_on_an_object_store(
    undisturbed: Undisturbed, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"{s3_url}/killed"
    points = undisturbed.points(20)
    assert undisturbed.survive(url, points) == points
    assert dict(objects(url)) == undisturbed.files


def objects(url: str) -> Iterator[tuple[str, str]]:
    """(path, sha256) of every object below a url that is a result."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/"):
        for entry in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            name = entry["Key"].removeprefix(prefix + "/")
            if not name.startswith(".dagster/"):
                yield name, hashlib.sha256(body).hexdigest()
