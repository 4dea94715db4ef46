"""S3 credentials, endpoint and bounds on retries: one `S3Resource`, handed to s3fs, polars and the compute logs."""

from __future__ import annotations

import errno
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

ATTEMPTS = 5
"""Tries of one request, the first included: connections that fail or close, timeouts, 429, 500, 502, 503, 504."""
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20
"""Seconds without a byte."""
REQUEST_TIMEOUT_S = 300
"""Seconds that polars gives one request, body included."""

VARIABLES = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "profile_name": ("AWS_PROFILE",),
    "region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}
REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")
HOW_TO_SIGN_IN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure` makes one)"


class StorageError(OSError):
    """The root's object store did not do what was asked; the message says where, why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)

    def __str__(self) -> str:
        return str(self.strerror)


def variable(field: str) -> str | None:
    """The environment variable that a field of the resource is read from, or None when none is set."""
    return next((name for name in VARIABLES[field] if os.environ.get(name)), None)


def s3_resource(values: bool = False) -> S3Resource:
    """The one place that reads AWS_*: what is not set comes from the default profile or the machine's role.

    Args:
        values: whether the resource holds what the variables say; otherwise it refers to them by name, so that nothing
            which Dagster shows or stores has a secret in it.
    """
    from dagster_aws.s3 import S3Resource

    names = {field: name for field in VARIABLES if (name := variable(field))}
    if "aws_access_key_id" in names:
        names.pop("profile_name", None)  # as in boto: keys in the environment win over a profile in it
    fields = {field: os.environ[name] if values else dg.EnvVar(name) for field, name in names.items()}
    return S3Resource(max_attempts=ATTEMPTS, **fields)  # type: ignore[arg-type]


def split_url(url: str) -> tuple[str, str]:
    """(bucket, prefix) of an ``s3://`` URL."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")


class S3:
    """How this process reaches the bucket of a root."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bucket, _ = split_url(url)
        self._resource = s3_resource(values=True)

    def s3fs_options(self) -> dict[str, Any]:
        """Arguments of `s3fs.S3FileSystem`; s3fs itself renews credentials that expire."""
        resource = self._resource
        options = {
            "key": resource.aws_access_key_id,
            "secret": resource.aws_secret_access_key,
            "token": resource.aws_session_token,
            "profile": resource.profile_name,
            "endpoint_url": resource.endpoint_url,
        }
        return {
            **{name: value for name, value in options.items() if value},
            "client_kwargs": {"region_name": resource.region_name} if resource.region_name else {},
            "config_kwargs": client_settings(),
        }

    def polars_options(self) -> dict[str, Any]:
        """``storage_options`` of a scan, with the credentials of this moment.

        Raises:
            StorageError: there are no credentials.
        """
        credentials = self._session.get_credentials()
        if credentials is None:
            raise StorageError(f"no AWS credentials for {self.url}: {HOW_TO_SIGN_IN}")
        now = credentials.get_frozen_credentials()
        endpoint, region = self._place
        options = {
            "aws_access_key_id": now.access_key,
            "aws_secret_access_key": now.secret_key,
            "aws_session_token": now.token,
            "aws_endpoint_url": endpoint,
            "aws_region": region,
            "aws_allow_http": "true" if endpoint.startswith("http://") else None,
            "max_retries": ATTEMPTS - 1,
            "connect_timeout": f"{CONNECT_TIMEOUT_S}s",
            "timeout": f"{REQUEST_TIMEOUT_S}s",
        }
        return {name: value for name, value in options.items() if value}

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session(**_session_settings(self._resource), profile_name=self._resource.profile_name)

    @cached_property
    def _place(self) -> tuple[str, str]:
        """(endpoint, region) as boto understands the environment and the profile."""
        meta = self._resource.get_client().meta
        return meta.endpoint_url, self._resource.region_name or meta.region_name or "us-east-1"

    def explain(self, error: Exception, path: str) -> str | None:
        """What went wrong in words, or None for an object that is not there."""
        code = _code(error)
        where = f"{self.url}/{path}" if path else self.url
        endpoint = self._resource.endpoint_url or "AWS"
        name = type(error).__name__
        if code == "NoSuchBucket":
            return f"no bucket {self.bucket} at {endpoint}: create it, or correct --root {self.url}"
        if isinstance(error, FileNotFoundError):
            return None
        if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"):
            return f"no AWS credentials for {self.url} ({error}): {HOW_TO_SIGN_IN}"
        if code in REFUSED:
            return f"{endpoint} refuses the AWS credentials for {self.url} ({code}): {HOW_TO_SIGN_IN}"
        if isinstance(error, PermissionError):
            return (
                f"{endpoint} does not allow {where} ({code or error}): the credentials are wrong, or lack one of "
                "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket on it"
            )
        if code == "PreconditionFailed":
            return f"{where} was replaced while it was read: run again when nothing else writes to this root"
        return (
            f"{where}: {endpoint} failed {ATTEMPTS} times ({name}: {error}); check AWS_ENDPOINT_URL and the network, "
            "then run again: what is finished stays"
        )


def _code(error: BaseException | None) -> str:
    """The S3 error code behind an exception of s3fs, or an empty string."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return ""


def compute_logs(url: str, home: Path) -> dict[str, Any]:
    """The part of ``dagster.yaml`` that keeps what runs print beside the root's files, below ``.dagster``.

    The manager takes no credentials: it signs with boto3's default session, which is made that of the one resource
    here, and in processes that Dagster starts by itself the environment's, from which the resource is read too.
    """
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    resource = s3_resource(values=True)
    session = Session(profile=resource.profile_name)
    session.set_default_client_config(Config(**client_settings()))
    boto3.setup_default_session(**_session_settings(resource), botocore_session=session)
    bucket, prefix = split_url(url)
    endpoint = variable("endpoint_url")
    config = {
        "bucket": bucket,
        "prefix": f"{prefix}/.dagster".lstrip("/"),
        "local_dir": str(home / "compute_logs"),
        **({"endpoint_url": {"env": endpoint}} if endpoint else {}),
    }
    return {
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": config,
        }
    }


def client_settings() -> dict[str, Any]:
    """Timeouts and tries of a botocore client."""
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
    }


def _session_settings(resource: S3Resource) -> dict[str, str | None]:
    return {
        "aws_access_key_id": resource.aws_access_key_id,
        "aws_secret_access_key": resource.aws_secret_access_key,
        "aws_session_token": resource.aws_session_token,
        "region_name": resource.region_name,
    }
