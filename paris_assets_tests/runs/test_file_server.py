import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest

from paris_assets.runs.file_server import HOST, handler, start_file_server
from paris_assets.storage.location import Location


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    for path in ("analysis/cluster_report.html", "analysis/.hidden", "profile.yaml", "raw_images/00000.parquet"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"<p>{path}")
    (tmp_path / "pipeline_manifest.json").write_text("{}")
    server = ThreadingHTTPServer((HOST, 0), handler(Location(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(port: int, path: str, method: str = "GET", host: str = HOST) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(HOST, port, timeout=10)
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_of_times_is_served_from_the_home_and_nothing_else_is(port: int, tmp_path: Path) -> None:
    home = tmp_path / ".dagster"
    home.mkdir()
    (home / "storage.db").write_text("secret")
    assert ask(port, "/.dagster/run_times.html")[0].status == 404
    (home / "run_times.html").write_text("<p>times")
    answer, body = ask(port, "/.dagster/run_times.html")
    assert (answer.status, body) == (200, b"<p>times")
    for path in ("/.dagster/storage.db", "/.dagster/", "/.dagster/../profile.yaml"):
        assert ask(port, path)[0].status == 404, path


def test_a_browser_shows_a_page_and_nothing_in_it_runs(port: int) -> None:
    answer, body = ask(port, "/analysis/cluster_report.html?x#y")
    assert (answer.status, body) == (200, b"<p>analysis/cluster_report.html")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Disposition"] is None, "which would download it"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    answer, body = ask(port, "/analysis/cluster_report.html", "HEAD")
    assert (answer.headers["Content-Length"], body) == ("31", b"")
    assert (
        ask(port, "/pipeline_manifest.json", host="localhost:9000")[0]
        .headers["Content-Type"]
        .startswith("application/json")
    )


@pytest.mark.parametrize(
    "path",
    [
        "/profile.yaml",
        "/raw_images/00000.parquet",
        "/analysis/",
        "/analysis/.hidden",
        "/analysis/../profile.yaml",
        "/analysis/%2e%2e/profile.yaml",
        "/analysis/..%2fprofile.yaml",
        "//etc/passwd",
        "/",
        "/analysis/not_made.html",
    ],
)
def test_nothing_else_is_served(port: int, path: str) -> None:
    assert ask(port, path)[0].status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_for_this_machine_is_not_answered(port: int, host: str) -> None:
    assert ask(port, "/pipeline_manifest.json", host=host)[0].status == 404


def test_it_ends_with_the_process_that_started_it_whatever_that_becomes(tmp_path: Path, port: int) -> None:
    code = (
        "import os, sys; from paris_assets.runs.file_server import start_file_server\n"
        f"print(start_file_server({str(tmp_path)!r}, {port}), flush=True)\n"  # which is taken
        "os.execv(sys.executable, [sys.executable, '-c', 'input()'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    other = int(process.stdout.readline().rpartition(":")[2])
    assert other != port
    assert ask(other, "/pipeline_manifest.json")[1] == b"{}", "it listens before it is asked"
    process.kill()
    assert process.stdout.read() == "", "the server, which has this pipe too, has ended"
    process.wait()
    with pytest.raises(ConnectionRefusedError):
        ask(other, "/pipeline_manifest.json")


def test_the_port_is_the_one_asked_for_where_it_is_free(tmp_path: Path, port: int) -> None:
    with mock.patch.object(subprocess, "Popen"):
        free = int(start_file_server(str(tmp_path), 0).rpartition(":")[2])
        assert start_file_server(str(tmp_path), free) == f"http://{HOST}:{free}"
    assert os.environ.get("PARIS_PAGES") is None
