"""The environment's S3: one `S3Resource` for Dagster, from which roots and compute logs get their credentials."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paris_assets.storage.location import Location
from paris_assets.storage.s3_credentials import ATTEMPTS, S3Credentials, split_url

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

VARIABLES = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "profile_name": ("AWS_PROFILE",),
    "region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}
REACHED_BY = ("AWS_ALLOW_HTTP", *(name for names in VARIABLES.values() for name in names))
"""All variables by which a root on S3 is reached; the first is read by the library of the store itself."""


def open_location(url: str | Path) -> Location:
    """The root at a folder or URL, as this process's environment reaches it.

    Raises:
        AddressError: the address holds credentials, or is no address of a folder.
    """
    return Location(url, s3_credentials() if str(url).startswith("s3://") else None)


def s3_resource(values: bool = False) -> S3Resource:
    """The one place that reads AWS_*: what is not set comes from the default profile or the machine's role.

    Args:
        values: whether the resource holds what the variables say; otherwise it refers to them by name, so that nothing
            which Dagster shows or stores has a secret in it.
    """
    import dagster as dg
    from dagster_aws.s3 import S3Resource

    names = {name: found for name in VARIABLES if (found := _variable(name))}
    if "aws_access_key_id" in names:
        names.pop("profile_name", None)  # as in boto: keys in the environment win over a profile in it
    given = {field: os.environ[name] if values else dg.EnvVar(name) for field, name in names.items()}
    return S3Resource(max_attempts=ATTEMPTS, **given)  # type: ignore[arg-type]


def s3_credentials() -> S3Credentials:
    """What the resource says, as plain values."""
    resource = s3_resource(values=True)
    return S3Credentials(**{field.name: getattr(resource, field.name) for field in fields(S3Credentials)})


def compute_logs(url: str, home: Path) -> dict[str, Any]:
    """The part of ``dagster.yaml`` that keeps what runs print beside the root's files, below ``.dagster``.

    The manager takes no credentials: it signs with boto3's default session, which is made that of the one resource
    here, and in processes that Dagster starts by itself the environment's, from which the resource is read too.
    """
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    from paris_assets.storage.s3 import CONNECT_TIMEOUT_S, READ_TIMEOUT_S

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    bounds = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries=retries)
    credentials = s3_credentials()
    session = Session(profile=credentials.profile_name)
    session.set_default_client_config(bounds)
    boto3.setup_default_session(
        aws_access_key_id=credentials.aws_access_key_id,
        aws_secret_access_key=credentials.aws_secret_access_key,
        aws_session_token=credentials.aws_session_token,
        region_name=credentials.region_name,
        botocore_session=session,
    )
    bucket, prefix = split_url(url)
    endpoint = _variable("endpoint_url")
    config = {
        "bucket": bucket,
        "prefix": f"{prefix}/.dagster".lstrip("/"),
        "local_dir": str(home / "compute_logs"),
        **({"endpoint_url": {"env": endpoint}} if endpoint else {}),
    }
    manager = {"module": "paris_assets.dag.step_output_s3", "class": "StepOutputOnS3", "config": config}
    return {"compute_logs": manager}


def _variable(field: str) -> str | None:
    """The environment variable that a field of the resource is read from, or None when none is set."""
    return next((name for name in VARIABLES[field] if os.environ.get(name)), None)
