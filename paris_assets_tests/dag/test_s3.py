"""Credentials and endpoint: read in one place, handed on, and missed in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import paris_assets
from paris_assets.dag import s3
from paris_assets.dag.s3 import open_location
from paris_assets.storage.object_store import StorageError

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

    return only


def test_only_one_module_reads_the_environment_of_aws() -> None:
    package = Path(paris_assets.__file__).parent
    readers = [path for path in package.rglob("*.py") if '"AWS_' in path.read_text()]
    assert readers == [package / "dag" / "s3.py"]


def test_the_resource_names_variables_and_holds_no_value(environment: Environment) -> None:
    environment(AWS_ACCESS_KEY_ID="the-key", AWS_SECRET_ACCESS_KEY="the-secret", AWS_REGION="eu-west-1")
    assert "the-secret" not in repr(s3.s3_resource())
    assert "AWS_SECRET_ACCESS_KEY" in repr(s3.s3_resource())
    assert s3.s3_resource().process_config_and_initialize().aws_secret_access_key == "the-secret"
    assert s3.s3_credentials().aws_secret_access_key == "the-secret"
    assert "the-secret" not in repr(s3.s3_credentials())


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
    scans = open_location("s3://bucket/x").storage_options
    assert scans["aws_access_key_id"] == "key"
    assert scans["aws_secret_access_key"] == "secret"
    assert scans["aws_session_token"] == "token"
    assert (scans["aws_endpoint_url"], scans["aws_allow_http"]) == ("http://s3.example:1", "true")
    assert scans["aws_region"] == "eu-west-1"


def test_a_profile_gives_keys_region_and_endpoint(environment: Environment, tmp_path: Path) -> None:
    environment(AWS_PROFILE="lab")
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = k\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-north-1\nendpoint_url = https://store.example\n")
    scans = open_location("s3://bucket/x").storage_options
    assert (scans["aws_access_key_id"], scans["aws_secret_access_key"]) == ("k", "s")
    assert (scans["aws_region"], scans["aws_endpoint_url"]) == ("eu-north-1", "https://store.example")
    assert "aws_allow_http" not in scans


def test_no_credentials(environment: Environment) -> None:
    environment()
    for ask in (lambda root: root.size("a"), lambda root: root.storage_options):
        with pytest.raises(
            StorageError, match=r"no AWS credentials for s3://bucket.*set AWS_ACCESS_KEY_ID.*AWS_PROFILE"
        ):
            ask(open_location("s3://bucket"))


def test_half_of_the_credentials(environment: Environment) -> None:
    environment(AWS_ACCESS_KEY_ID="key")
    with pytest.raises(StorageError, match=r"no AWS credentials for s3://bucket.*set AWS_ACCESS_KEY_ID and AWS_SECRET"):
        open_location("s3://bucket").size("a")


def test_an_unknown_profile(environment: Environment) -> None:
    environment(AWS_PROFILE="nobody")
    with pytest.raises(StorageError, match=r"profile.*nobody.*could not be found.*set AWS_ACCESS_KEY_ID"):
        open_location("s3://bucket").size("a")


def test_a_local_root_asks_nobody(environment: Environment, tmp_path: Path) -> None:
    environment(AWS_PROFILE="nobody")
    assert open_location(tmp_path).size("a") is None
