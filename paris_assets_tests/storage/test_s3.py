"""Credentials and endpoint: read in one place, handed on, and missed or refused in words."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

import paris_assets
from paris_assets.storage import s3
from paris_assets.storage.location import Location
from paris_assets.storage.s3 import StorageError
from paris_assets_tests.storage.faulty_proxy import Fault, FaultyProxy

Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Sets these variables and no other AWS_ one; files of credentials are those of the test."""

    def only(**variables: str) -> None:
        for names in s3.VARIABLES.values():
            for name in names:
                monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.02)
    return only


def test_only_one_module_reads_the_environment_of_aws() -> None:
    package = Path(paris_assets.__file__).parent
    readers = [path for path in package.rglob("*.py") if '"AWS_' in path.read_text()]
    assert readers == [package / "storage" / "s3.py"]


def test_the_resource_names_variables_and_holds_no_value(environment: Environment) -> None:
    environment(AWS_ACCESS_KEY_ID="the-key", AWS_SECRET_ACCESS_KEY="the-secret", AWS_REGION="eu-west-1")
    assert "the-secret" not in repr(s3.s3_resource())
    assert "AWS_SECRET_ACCESS_KEY" in repr(s3.s3_resource())
    assert s3.s3_resource().process_config_and_initialize().aws_secret_access_key == "the-secret"


def test_keys_reach_every_client(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id = k\naws_secret_access_key = s\n")
    environment(
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_SESSION_TOKEN="token",
        AWS_PROFILE="other",
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_ENDPOINT_URL="http://everything.example:1",
        AWS_ENDPOINT_URL_S3="http://s3.example:1",
    )
    reach = s3.S3("s3://bucket/x")
    files, scans = reach.s3fs_options(), reach.polars_options()
    assert (files["key"], files["secret"], files["token"]) == ("key", "secret", "token")
    assert files["endpoint_url"] == "http://s3.example:1"
    assert scans["aws_access_key_id"] == "key"
    assert scans["aws_secret_access_key"] == "secret"
    assert scans["aws_session_token"] == "token"
    assert (scans["aws_endpoint_url"], scans["aws_allow_http"]) == ("http://s3.example:1", "true")
    assert scans["aws_region"] == "eu-west-1"


def test_a_profile_gives_keys_region_and_endpoint(environment: Environment, tmp_path: Path) -> None:
    environment(AWS_PROFILE="lab")
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = k\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-north-1\nendpoint_url = https://store.example\n")
    reach = s3.S3("s3://bucket/x")
    assert reach.s3fs_options()["profile"] == "lab"
    scans = reach.polars_options()
    assert (scans["aws_access_key_id"], scans["aws_secret_access_key"]) == ("k", "s")
    assert (scans["aws_region"], scans["aws_endpoint_url"]) == ("eu-north-1", "https://store.example")
    assert "aws_allow_http" not in scans


def test_no_credentials(environment: Environment, s3_url: str) -> None:
    environment()
    for ask in (lambda root: root.size("a"), lambda root: root.storage_options):
        with pytest.raises(
            StorageError, match=r"no AWS credentials for s3://bucket.*set AWS_ACCESS_KEY_ID.*AWS_PROFILE"
        ):
            ask(Location(s3_url))


def test_an_unknown_profile(environment: Environment, s3_url: str) -> None:
    environment(AWS_PROFILE="nobody")
    with pytest.raises(StorageError, match=r"profile.*nobody.*could not be found.*set AWS_ACCESS_KEY_ID"):
        Location(s3_url).size("a")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "InvalidAccessKeyId", r"refuses the AWS credentials.*InvalidAccessKeyId.*set AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", r"refuses the AWS credentials"),
        (403, "AccessDenied", r"does not allow s3://bucket/x/a.*s3:PutObject"),
        (404, "NoSuchBucket", r"no bucket bucket at http.*create it, or correct --root s3://bucket/x"),
    ],
)
def test_what_the_store_refuses_is_said(
    environment: Environment, s3_url: str, status: int, code: str, said: str
) -> None:
    proxy = FaultyProxy("http://127.0.0.1:1", judge=lambda request: Fault(status, code))
    environment(AWS_ACCESS_KEY_ID="the-key", AWS_SECRET_ACCESS_KEY="the-secret", AWS_ENDPOINT_URL=proxy.url)
    with pytest.raises(StorageError, match=said) as raised:
        Location(f"{s3_url}/x").put_bytes(b"data", "a")
    proxy.close()
    assert len(proxy.requests) == 1, "what is refused is not asked for again"
    assert "the-" not in str(raised.value)


def test_a_bucket_that_is_not_there(s3_url: str) -> None:
    root = Location("s3://no-such-bucket/x")
    with pytest.raises(StorageError, match=r"no bucket no-such-bucket at http"):
        root.probe()


def test_an_endpoint_that_nobody_serves(environment: Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment(AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
    start = time.monotonic()
    with pytest.raises(StorageError, match=rf"127.0.0.1:{port}.*check AWS_ENDPOINT_URL"):
        Location("s3://bucket/x").size("a")
    assert time.monotonic() - start < 10
