from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

from paris_assets.demo.server import FolderServer, serve
from paris_assets.errors import UsageError


def _get(address: str, path: str) -> tuple[int, bytes, dict[str, str]]:
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.putrequest("GET", path)  # sends the path as it is, dots and all
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, dict(response.getheaders())


def test_serves_files_and_behaviours(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    behaviours = {
        "/a.jpg": {"status": 500, "fail_first": 2},
        "/gone.jpg": {"status": 410, "headers": {"Retry-After": "7"}},
        "/moved.jpg": {"redirect": "/a.jpg"},
        "/huge.jpg": {"size_bytes": 200_000},
        "/chunks.jpg": {"size_bytes": 200_000, "chunked": True},
    }
    (tmp_path / "server.json").write_text(json.dumps(behaviours))
    with FolderServer(tmp_path) as server:
        assert [_get(server.address, "/a.jpg")[0] for _ in range(3)] == [500, 500, 200]
        assert _get(server.address, "/a.jpg")[1] == b"picture"
        status, _, headers = _get(server.address, "/gone.jpg")
        assert (status, headers["Retry-After"]) == (410, "7")
        status, _, headers = _get(server.address, "/moved.jpg")
        assert (status, headers["Location"]) == (302, "/a.jpg")
        _, body, headers = _get(server.address, "/huge.jpg")
        assert (len(body), headers["Content-Length"]) == (200_000, "200000")
        _, body, headers = _get(server.address, "/chunks.jpg")
        assert len(body) == 200_000
        assert "Content-Length" not in headers
        assert _get(server.address, "/none.jpg")[0] == 404
        assert server.requests["/a.jpg"] == 4


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//secret.txt",
        "/link.txt",
        "/sub/../../secret.txt",
        "/",
    ],
)
def test_nothing_outside_the_folder_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "served"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with serve(folder) as address:
        status, body, _ = _get(address, path)
        absolute, _, _ = _get(address, f"/{tmp_path}/secret.txt")
    assert status in (400, 404)
    assert b"secret" not in body
    assert absolute == 404


def test_listens_on_loopback_only_and_ends_without_waiting_for_late_answers(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"/slow.jpg": {"delay_s": 60}}))
    with serve(tmp_path) as address:
        assert address.startswith("127.0.0.1:")
        host, port = address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("GET", "/slow.jpg")
        time.sleep(0.05)
        start = time.monotonic()
    assert time.monotonic() - start < 5


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"), serve(tmp_path / "absent"):
        pass
