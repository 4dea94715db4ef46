"""What a bucket refuses is said in words."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from paris_assets.storage import s3
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError
from paris_assets.storage.s3_credentials import S3Credentials
from paris_assets_tests.storage.faulty_proxy import Fault, FaultyProxy, Request


def reached_at(endpoint: str, url: str = "s3://bucket/x") -> Location:
    return Location(url, S3Credentials("the-key", "the-secret", endpoint_url=endpoint))


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "InvalidAccessKeyId", r"refuses the AWS credentials.*InvalidAccessKeyId.*set AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", r"refuses the AWS credentials"),
        (403, "AccessDenied", r"does not allow s3://bucket/x/a.*s3:PutObject"),
        (404, "NoSuchBucket", r"no bucket bucket at http.*create it, or correct --root s3://bucket/x"),
    ],
)
def test_what_the_store_refuses_is_said(status: int, code: str, said: str) -> None:
    proxy = FaultyProxy("http://127.0.0.1:1", judge=lambda request: Fault(status, code))
    with pytest.raises(StorageError, match=said) as raised:
        reached_at(proxy.url).put_bytes(b"data", "a")
    proxy.close()
    assert len(proxy.requests) == 1, "what is refused is not asked for again"
    assert "the-" not in str(raised.value)


def test_a_bucket_that_is_not_there(s3_url: str) -> None:
    root = Location("s3://no-such-bucket/x")
    with pytest.raises(StorageError, match=r"no bucket no-such-bucket at http"):
        root.probe()


def test_an_endpoint_that_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PAUSE_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(StorageError, match=rf"127.0.0.1:{port}.*check AWS_ENDPOINT_URL"):
        reached_at(f"http://127.0.0.1:{port}").size("a")
    assert time.monotonic() - start < 10


def test_a_failure_is_said_in_a_line_without_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PAUSE_S", 0.01)
    proxy = FaultyProxy("http://127.0.0.1:1", judge=lambda request: Fault(503, "SlowDown", retry_after_s=1))
    with pytest.raises(StorageError) as raised:
        reached_at(proxy.url).put_bytes(b"data", "a")
    proxy.close()
    assert str(raised.value) == (
        f"s3://bucket/x/a: {proxy.url} failed (PUT: 503 SlowDown, {s3.ATTEMPTS} tries); check AWS_ENDPOINT_URL, "
        "AWS_REGION and the network, then run again: what is finished stays"
    )


def test_who_waits_for_the_store_can_be_interrupted() -> None:
    """obstore's own waiting calls cannot: they would return after all time-outs and tries, more than a minute later."""

    asked: list[Request] = []

    def interrupt(request: Request) -> Fault:
        asked.append(request)
        if len(asked) == 1:  # obstore asks again in the background, when another test is under way
            os.kill(os.getpid(), signal.SIGINT)
        return Fault(503, delay_s=19)

    proxy, start = FaultyProxy("http://127.0.0.1:1", judge=interrupt), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        reached_at(proxy.url).size("a")
    assert time.monotonic() - start < 15
    proxy.close()
