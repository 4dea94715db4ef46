"""Objects of a bucket by obstore, which repeats what fails; polars is told to sign, wait and repeat in the same way.

obstore is polars' own client, asks only what it is told to ask, and takes less than half the CPU time of s3fs. It does
not see answers that are too short or spoiled (`ObjectStore` does), and does not say what to do (`S3Objects` does).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from fsspec.asyn import get_loop, sync
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from paris_assets.storage.object_store import Head, ObjectStore, OtherBytes, StorageError
from paris_assets.storage.s3_credentials import ATTEMPTS, S3Credentials, split_url
from paris_assets.storage.s3_uploads import abort_abandoned_uploads

PAUSE_S = 0.1
"""Before the second try; doubled with each more, with jitter."""
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20
"""Seconds without a byte; polars knows only the next bound."""
REQUEST_TIMEOUT_S = 300
"""Seconds of one request, body included, and after which none is tried again."""
PART_BYTES, PARTS_AT_ONCE = 32 << 20, 4

REPEATED = " retries, max_retries"
"""obstore says so of a request that it has tried more than once."""
WRAPPED = re.compile(
    r"Generic S3 error: Error performing (?P<method>\w+) \S+ in [^\s,]+(, after (?P<retries>\d+) retries, [^-]*)?\s+- "
)
STATUS = re.compile(r"status code: (\d{3})\b.*<Code>(\w+)</Code>", re.DOTALL)
REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")
HOW_TO_SIGN_IN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure` makes one)"


class S3Objects(ObjectStore):
    """The objects below an ``s3://`` URL. Nothing is asked or looked up before the first of them is."""

    errors = (BaseError, BotoCoreError)

    def __init__(self, url: str, credentials: S3Credentials) -> None:
        super().__init__(url)
        self._bucket, self._prefix = split_url(url)
        self._credentials = credentials

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url, self._credentials)

    def scan_options(self) -> dict[str, Any]:
        """polars' ``storage_options``, with the credentials of this moment."""
        now = self._ask("", lambda: self._signed_in.get_credentials().get_frozen_credentials())
        options = {
            "aws_access_key_id": now.access_key,
            "aws_secret_access_key": now.secret_key,
            "aws_session_token": now.token,
            "aws_endpoint_url": self._endpoint,
            "aws_region": self._region,
            "aws_allow_http": "true" if self._endpoint.startswith("http://") else None,
            "max_retries": ATTEMPTS - 1,
            "connect_timeout": f"{CONNECT_TIMEOUT_S}s",
            "timeout": f"{REQUEST_TIMEOUT_S}s",
        }
        return {name: value for name, value in options.items() if value}

    @cached_property
    def _store(self) -> S3Store:
        from obstore.auth.boto3 import Boto3CredentialProvider

        longest, pause = timedelta(seconds=REQUEST_TIMEOUT_S), timedelta(seconds=PAUSE_S)
        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            endpoint=self._endpoint,
            region=self._region,
            credential_provider=Boto3CredentialProvider(self._signed_in, ttl=timedelta(minutes=5)),
            client_options={
                "allow_http": self._endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                "read_timeout": timedelta(seconds=READ_TIMEOUT_S),
                "timeout": longest,
            },
            retry_config={
                "max_retries": ATTEMPTS - 1,
                "retry_timeout": longest,
                "backoff": {"init_backoff": pause, "max_backoff": 100 * pause, "base": 2},
            },
        )

    @cached_property
    def _signed_in(self) -> Any:
        """A boto3 session with credentials, which it renews before they expire."""
        import boto3

        given = self._credentials
        session = boto3.Session(
            aws_access_key_id=given.aws_access_key_id,
            aws_secret_access_key=given.aws_secret_access_key,
            aws_session_token=given.aws_session_token,
            region_name=given.region_name,
            profile_name=given.profile_name,
        )
        found = session.get_credentials()
        if found is None or not found.secret_key:
            raise StorageError(f"no AWS credentials for {self.url}: {HOW_TO_SIGN_IN}")
        return session

    @cached_property
    def _region(self) -> str:
        return self._signed_in.region_name or "us-east-1"

    @cached_property
    def _endpoint(self) -> str:
        """As boto3 understands environment and profile."""
        return str(self._client().meta.endpoint_url)

    def _client(self) -> Any:
        """boto3's, for the few things that obstore does not do."""
        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        bounds = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries=retries)
        endpoint = self._credentials.endpoint_url
        return self._signed_in.client("s3", region_name=self._region, endpoint_url=endpoint, config=bounds)

    def abort_abandoned_uploads(self) -> None:
        """Abort uploads in parts that a killed process began; in a bucket's top folder others may be at work."""
        if self._prefix:
            abort_abandoned_uploads(self._ask("", self._client), self._bucket, f"{self._prefix}/")

    def _head(self, path: str) -> Head:
        answer = self._wait(obstore.get_async, path, options={"head": True})
        return Head(answer.meta["e_tag"], answer.meta["size"], answer.attributes.get("sha256"))

    def _get(self, path: str, version: str, start: int, end: int) -> bytes:
        async def body(store: S3Store) -> Any:
            answer = await obstore.get_async(store, path, options={"range": (start, end), "if_match": version})
            return await answer.bytes_async()

        try:
            return bytes(self._wait(body))
        except PreconditionError as error:
            raise OtherBytes("it was replaced while it was read") from error

    def _put(self, local: Path, path: str, sha256: str) -> None:
        parts = {"chunk_size": PART_BYTES, "max_concurrency": PARTS_AT_ONCE}
        self._wait_twice(obstore.put_async, path, local, attributes={"sha256": sha256}, **parts)

    def _put_if(self, data: bytes, path: str, version: str | None) -> bool:
        condition = "create" if version is None else {"e_tag": version}
        try:
            self._wait_twice(obstore.put_async, path, data, mode=condition)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _delete(self, path: str) -> None:
        self._wait_twice(obstore.delete_async, path)

    def _list(self, folder: str) -> list[str]:
        found = self._wait(lambda store: obstore.list(store, folder or None).collect_async())
        return [each["path"] for each in found]

    def _wait(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The answer; fsspec's loop lets Ctrl-C through meanwhile, which obstore's own waiting calls do not."""
        store = self._store

        async def answer() -> Any:
            return await function(store, *arguments, **named)

        try:
            return sync(get_loop(), answer)
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket<" in str(error):
                raise StorageError(self._explain(error, "")) from None
            raise

    def _wait_twice(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """obstore does not repeat a POST or a conditional PUT that timed out, as some must not be done twice."""
        try:
            return self._wait(function, *arguments, **named)
        except GenericError as error:
            if REPEATED in str(error):
                raise
        return self._wait(function, *arguments, **named)

    def _explain(self, error: Exception, path: str) -> str:
        if isinstance(error, BotoCoreError):
            return f"no AWS credentials for {self.url} ({error}): {HOW_TO_SIGN_IN}"
        said, where = str(error).partition("\n\nDebug source")[0], f"{self.url}/{path}".rstrip("/")
        code = "".join(re.findall(r"<Code>(\w+)</Code>", said)[:1])
        if code == "NoSuchBucket":
            return f"no bucket {self._bucket} at {self._endpoint}: create it, or correct --root {self.url}"
        if code in REFUSED or isinstance(error, UnauthenticatedError):
            return f"{self._endpoint} refuses the AWS credentials for {self.url} ({code or said}): {HOW_TO_SIGN_IN}"
        if isinstance(error, PermissionDeniedError):
            return (
                f"{self._endpoint} does not allow {where} ({code or 403}): the credentials are wrong, or lack one of "
                "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket on it"
            )
        return (
            f"{where}: {self._endpoint} failed ({in_short(said)}); check AWS_ENDPOINT_URL, AWS_REGION and the network, "
            "then run again: what is finished stays"
        )


def in_short(said: str) -> str:
    """What obstore says of a failed request, without its address and settings, and without the XML of the answer."""
    wrapped = WRAPPED.match(said)
    if wrapped is None:
        return said
    status = STATUS.search(said)
    tries = f", {int(wrapped['retries']) + 1} tries" if wrapped["retries"] else ""
    return f"{wrapped['method']}: {' '.join(status.groups()) if status else said[wrapped.end() :]}{tries}"
