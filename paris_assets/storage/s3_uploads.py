"""Uploads in parts that nobody will finish: a bucket shows none of them, and keeps and bills their parts for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

ABANDONED_AFTER_S = 24 * 3600.0
"""Longer than any upload of ours takes: what was begun before, a process began that was killed."""


def abort_abandoned_uploads(client: Any, bucket: str, prefix: str) -> None:
    """Abort the uploads below a prefix that were begun so long ago.

    Uploads that fail abort themselves, so there are some only where a process was killed in the middle of one. Where
    the store does not let this be done, they stay: it is no reason not to run.

    Args:
        client: boto3's, for S3.
        prefix: with a slash at its end.
    """
    before = datetime.now(UTC) - timedelta(seconds=ABANDONED_AFTER_S)
    try:
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < before:
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except (ClientError, BotoCoreError):
        return
