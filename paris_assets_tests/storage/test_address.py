"""Which text means which root: none becomes a folder that nobody named."""

from pathlib import Path

import pytest

from paris_assets.storage.address import parse_address


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a/b//", "/a/b"),
        ("file:///", "/"),
        ("file:///a/b/", "/a/b"),
        ("file://localhost/a", "/a"),
        ("FILE:///a", "/a"),
        ("local:///a", "/a"),
        ("~", "/home/someone"),
        ("~/runs/", "/home/someone/runs"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("S3://bucket//a//b/", "s3://bucket/a/b"),
        ("memory://a/b/", "memory://a/b"),
        ("simplecache::s3://bucket/a/", "simplecache::s3://bucket/a"),
        ("dir://a::memory://b/", "dir://a::memory://b"),
    ],
)
def test_addresses(text: str, means: str) -> None:
    assert parse_address(text) == means
    assert parse_address(means) == means


@pytest.mark.parametrize("text", [".", "./", "a", "a/b/", "./s3:/a", "a~", "x:y"])
def test_relative_paths(text: str, here: Path) -> None:
    assert parse_address(text) == str(here / text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write . for the current one"),
        ("file://", "no absolute path: write file:///folder"),
        ("file://relative", "no absolute path: write file:///folder"),
        ("file://localhost", "no absolute path"),
        ("file://~/x", "no absolute path"),
        ("file:/a", "neither a path nor a URL: write file:///a, or ./file:/a"),
        ("s3:/bucket/a", "neither a path nor a URL: write s3://bucket/a, or ./s3:/bucket/a"),
        ("s3://", "names no bucket or folder"),
        ("memory:///", "names no bucket or folder"),
        ("~nobody-of-this-name/x", "write ./~nobody-of-this-name/x"),
    ],
)
def test_what_names_no_folder_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_address(text)
