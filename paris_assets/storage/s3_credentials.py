"""Which bucket, and who asks: what is known of a root on S3 before its client is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

ATTEMPTS = 5
"""Tries of one request, the first included: connections that fail or close, timeouts, 429, 500, 502, 503, 504."""


@dataclass(frozen=True)
class S3Credentials:
    """Who asks, and where. What is None boto3 looks up by itself: environment, profile, role of the machine."""

    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = field(default=None, repr=False)
    aws_session_token: str | None = field(default=None, repr=False)
    profile_name: str | None = None
    region_name: str | None = None
    endpoint_url: str | None = None


def split_url(url: str) -> tuple[str, str]:
    """(bucket, prefix) of an ``s3://`` URL."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")
