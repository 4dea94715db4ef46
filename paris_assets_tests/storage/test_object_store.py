"""An S3 root behind a network that fails: the same bytes within bounded requests, or a clear error and nothing torn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import numpy as np
import polars as pl
import pytest

from paris_assets.storage import object_store, s3, s3_uploads
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError
from paris_assets.storage.torn_reads import TornRead, torn_reads_told
from paris_assets_tests.storage.faulty_proxy import Fault, FaultyProxy, Request

BLOCK = 1 << 20
DATA = np.random.default_rng(0).bytes(2 * BLOCK + BLOCK // 2)
LARGE = np.random.default_rng(0).bytes(10 << 20)
"""As large as makes parts: S3 wants 5 MiB of each but the last."""


@pytest.fixture(scope="module")
def fast_proxy(s3_url: str) -> Iterator[FaultyProxy]:
    """Between this process and the server, with short timeouts and pauses."""
    proxy = FaultyProxy(os.environ["AWS_ENDPOINT_URL"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setattr(s3, "READ_TIMEOUT_S", 0.5)
        patch.setattr(s3, "ATTEMPTS", 3)
        patch.setattr(s3, "PAUSE_S", 0.02)
        patch.setattr(object_store, "BLOCK_BYTES", BLOCK)
        patch.setattr(s3, "PART_BYTES", 5 << 20)
        yield proxy
    proxy.close()


@pytest.fixture
def proxy(fast_proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    """The proxy, which passes everything until a test says otherwise."""
    fast_proxy.requests.clear()
    yield fast_proxy
    fast_proxy.judge = lambda request: None


@pytest.fixture
def root(proxy: FaultyProxy, s3_url: str) -> Location:
    """An empty root that is reached through the proxy."""
    return Location(f"{s3_url}/{uuid4().hex}")


def once(fault: Fault, method: str, nth: int = 1) -> Callable[[Request], Fault | None]:
    """The fault happens to the nth request of this method only."""
    seen = []

    def judge(request: Request) -> Fault | None:
        if request.method == method:
            seen.append(request)
        return fault if request.method == method and len(seen) == nth else None

    return judge


def always(fault: Fault, *methods: str) -> Callable[[Request], Fault | None]:
    return lambda request: fault if request.method in methods else None


@cache
def client() -> Any:
    return boto3.client("s3")


def keys(root: Location) -> list[str]:
    """What is really in the bucket."""
    listed = client().list_objects_v2(Bucket="bucket", Prefix=s3.split_url(root.url)[1])
    return [found["Key"].rpartition("/")[2] for found in listed.get("Contents", [])]


def uploads(root: Location) -> list[str]:
    """Keys of uploads in parts that are neither finished nor aborted."""
    found = client().list_multipart_uploads(Bucket="bucket", Prefix=f"{s3.split_url(root.url)[1]}/")
    return [upload["Key"] for upload in found.get("Uploads", [])]


def put(root: Location, data: bytes, path: str, folder: Path) -> None:
    local = folder / "made"
    local.write_bytes(data)
    root.put(local, path)


TRANSIENT = {
    "500": Fault(500, "InternalError"),
    "503": Fault(503, "SlowDown"),
    "slow": Fault(delay_s=0.8),
    "cut": Fault(cut_answer=True),
    "lost": Fault(lose_answer=True),
    "short": Fault(shorten=True),
    "spoiled": Fault(spoil=True),
}


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_read_that_fails_once_is_repeated(
    root: Location, proxy: FaultyProxy, tmp_path: Path, fault: Fault, nth: int
) -> None:
    put(root, DATA, "large.tar", tmp_path)
    before = len(proxy.requests)
    proxy.judge = once(fault, "GET", nth)
    assert root.fetch("large.tar", tmp_path).read_bytes() == DATA
    # A head and three blocks; what is spoiled shows only when the whole is there, and is then read again.
    assert len(proxy.requests) - before <= (8 if fault.spoil else 5)
    assert list(tmp_path.iterdir()) == [tmp_path / "large.tar"]


@pytest.mark.parametrize("name", ["500", "503", "slow", "cut", "lost", "short", "spoiled"])
def test_small_files_are_read_whole(root: Location, proxy: FaultyProxy, name: str) -> None:
    root.put_bytes(b"0123456789", "small.json")
    proxy.judge = once(TRANSIENT[name], "GET")
    assert root.read("small.json") == b"0123456789"


WRITE_FAULTS = {
    **{name: TRANSIENT[name] for name in ("500", "503", "slow", "lost")},
    "cut": Fault(cut_request=True),
}


@pytest.mark.parametrize("fault", WRITE_FAULTS.values(), ids=WRITE_FAULTS)
def test_a_small_write_that_fails_once_is_repeated(root: Location, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.judge = once(fault, "PUT")
    root.put_bytes(DATA, "small.json")
    assert root.read("small.json") == DATA
    assert [request.method for request in proxy.requests] == ["PUT", "PUT", "HEAD", "GET"]


@pytest.mark.parametrize(
    ("method", "nth", "fault"),
    [("POST", 1, "500"), ("POST", 2, "503"), ("POST", 2, "lost"), ("PUT", 1, "cut"), ("PUT", 2, "lost")],
)
def test_a_large_write_that_fails_once_is_repeated(
    root: Location, proxy: FaultyProxy, tmp_path: Path, method: str, nth: int, fault: str
) -> None:
    """The first POST begins an upload in parts, the second makes them one object; its answer may be lost."""
    proxy.judge = once(WRITE_FAULTS[fault], method, nth)
    put(root, LARGE, "large.tar", tmp_path)
    assert root.fetch("large.tar", tmp_path).read_bytes() == LARGE
    assert keys(root) == ["large.tar"]


@pytest.mark.parametrize("nth", [1, 2])
def test_what_obstore_does_not_repeat_when_it_is_slow_is_repeated(
    root: Location, proxy: FaultyProxy, tmp_path: Path, nth: int
) -> None:
    """Of an upload in parts, its beginning and end; a deletion; a write on a condition."""
    proxy.judge = once(TRANSIENT["slow"], "POST", nth)
    put(root, LARGE, "large.tar", tmp_path)
    assert root.fetch("large.tar", tmp_path).read_bytes() == LARGE
    proxy.judge = once(TRANSIENT["slow"], "POST")
    root.delete("large.tar")
    assert root.size("large.tar") is None
    proxy.judge = once(TRANSIENT["slow"], "PUT")
    assert root.put_if(b"new", "run.lock", None)
    assert root.read("run.lock") == b"new"


@pytest.mark.parametrize("fault", WRITE_FAULTS.values(), ids=WRITE_FAULTS)
def test_a_conditional_write_tells_whether_it_was_ours(root: Location, proxy: FaultyProxy, fault: Fault) -> None:
    """Also when the answer to it was lost, and the second try found what the first had written."""
    proxy.judge = once(fault, "PUT")
    assert root.put_if(b"first", "run.lock", None)
    assert not root.put_if(b"other", "run.lock", None)
    stamp = root.stamp("run.lock")
    proxy.judge = once(fault, "PUT")
    assert root.put_if(b"second", "run.lock", stamp)
    assert not root.put_if(b"other", "run.lock", stamp)
    assert root.read("run.lock") == b"second"
    root.delete("run.lock")
    assert not root.put_if(b"other", "run.lock", stamp)
    assert root.size("run.lock") is None


def test_every_third_request_fails(root: Location, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxy.judge = lambda request: Fault(503) if request.number % 3 == 0 else None
    for number in range(4):
        root.put_bytes(str(number).encode(), f"{number}.txt")
    put(root, DATA, "large.tar", tmp_path)
    assert [root.read(f"{number}.txt") for number in range(4)] == [b"0", b"1", b"2", b"3"]
    assert root.fetch("large.tar", tmp_path).read_bytes() == DATA
    assert root.size("nothing") is None


@pytest.mark.parametrize(
    "fault", [Fault(500, "InternalError"), Fault(503), Fault(lose_answer=True), Fault(delay_s=0.8)]
)
def test_a_store_that_stays_broken_is_an_error_within_bounds(root: Location, proxy: FaultyProxy, fault: Fault) -> None:
    root.put_bytes(b"old", "file.json")
    before, start = len(proxy.requests), time.monotonic()
    proxy.judge = always(fault, "GET", "HEAD", "PUT")
    for request in (lambda: root.size("file.json"), lambda: root.put_bytes(b"new", "file.json")):
        with pytest.raises(StorageError, match=r"file.json.*check AWS_ENDPOINT_URL"):
            request()
    assert len(proxy.requests) - before <= 2 * 2 * s3.ATTEMPTS, (
        "aiohttp itself asks again once when a kept connection is closed"
    )
    assert time.monotonic() - start < 30
    proxy.judge = lambda request: None
    assert root.read("file.json") in (b"old", b"new")


def test_a_file_that_stays_torn_is_an_error_and_leaves_no_copy(
    root: Location, proxy: FaultyProxy, tmp_path: Path
) -> None:
    root.put_bytes(DATA[:1000], "file.tar")
    for fault in (Fault(cut_answer=True), Fault(shorten=True), Fault(spoil=True)):
        proxy.judge = always(fault, "GET")
        with pytest.raises(StorageError, match=r"file\.tar"):
            root.fetch("file.tar", tmp_path)
        assert not (tmp_path / "file.tar").exists()


@pytest.mark.parametrize("fault", [Fault(500), Fault(cut_request=True)])
def test_a_large_upload_that_fails_leaves_nothing(
    root: Location, proxy: FaultyProxy, tmp_path: Path, fault: Fault
) -> None:
    proxy.judge = lambda request: fault if "partNumber=2" in request.path else None
    with pytest.raises(StorageError, match=r"large\.tar"):
        put(root, LARGE, "large.tar", tmp_path)
    assert keys(root) == []
    assert root.size("large.tar") is None
    assert uploads(root) == []


def test_uploads_of_killed_processes_are_aborted_and_others_are_not(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says of each that it was begun in 2010."""
    beside = Location(f"{root.url}-beside")
    for place in (root, beside):
        begun = {"Bucket": "bucket", "Key": f"{s3.split_url(place.url)[1]}/large.tar"}
        upload = client().create_multipart_upload(**begun)["UploadId"]
        client().upload_part(**begun, UploadId=upload, PartNumber=1, Body=b"half")
    monkeypatch.setattr(s3_uploads, "ABANDONED_AFTER_S", 1e9)
    root.remove_abandoned_scratch()
    assert len(uploads(root)) == 1, "it may go on still"
    monkeypatch.undo()
    root.remove_abandoned_scratch()
    assert (len(uploads(root)), len(uploads(beside))) == (0, 1)


@pytest.mark.parametrize("status", [403, 503])
def test_a_store_that_does_not_show_uploads_is_no_reason_to_stop(
    root: Location, proxy: FaultyProxy, status: int
) -> None:
    proxy.judge = lambda request: Fault(status, "AccessDenied" if status == 403 else "SlowDown")
    root.remove_abandoned_scratch()
    assert 0 < len(proxy.requests) <= s3.ATTEMPTS


def test_a_file_replaced_while_it_is_read_is_never_mixed(root: Location, tmp_path: Path) -> None:
    put(root, DATA, "large.tar", tmp_path)
    with root.open("large.tar") as file:
        file.read(10)
        put(root, DATA[::-1], "large.tar", tmp_path)
        file.seek(1 << 20)
        with pytest.raises(StorageError, match="was replaced while it was read"):
            file.read(10)


def test_a_small_file_replaced_between_two_requests_is_read_anew(root: Location, proxy: FaultyProxy) -> None:
    root.put_bytes(b"the first", "run.lock")
    waiting = [b"another"]

    def replace(request: Request) -> None:
        if request.method == "GET" and waiting:
            root.put_bytes(waiting.pop(), "run.lock")

    proxy.judge = replace
    assert root.read("run.lock") == b"another"
    assert not waiting


def test_a_stamp_changes_with_the_file_and_costs_one_request(root: Location, proxy: FaultyProxy) -> None:
    assert root.stamp("a.json") is None
    root.put_bytes(b"one", "a.json")
    before = len(proxy.requests)
    first = root.stamp("a.json")
    assert [request.method for request in proxy.requests[before:]] == ["HEAD"]
    assert first == root.stamp("a.json")
    root.put_bytes(b"two", "a.json")
    assert root.stamp("a.json") not in (None, first)


def test_a_listing_that_lies_decides_nothing(root: Location, proxy: FaultyProxy) -> None:
    proxy.judge = lambda request: Fault(hide=True) if request.listing else None
    root.put_bytes(b"x", "folder/a.tar")
    assert root.glob("folder/*.tar") == []
    assert root.size("folder/a.tar") == 1
    assert root.read("folder/a.tar") == b"x"
    assert root.size("folder") is None, "a folder is no file, whatever a listing says"


def test_a_file_is_read_at_random_in_few_requests(root: Location, proxy: FaultyProxy, tmp_path: Path) -> None:
    put(root, DATA, "large.tar", tmp_path)
    before = len(proxy.requests)
    with root.open("large.tar") as file:
        file.seek(1 << 20)
        assert file.read(1000) == DATA[1 << 20 :][:1000]
        assert file.read(1000) == DATA[(1 << 20) + 1000 :][:1000]
        file.seek(-10, os.SEEK_END)
        assert file.read() == DATA[-10:]
    assert len(proxy.requests) - before <= 4


def table(root: Location, folder: Path) -> tuple[pl.DataFrame, str]:
    frame = pl.DataFrame({"number": np.arange(200_000), "noise": np.random.default_rng(0).random(200_000)})
    frame.write_parquet(folder / "table")
    root.put(folder / "table", "table.parquet")
    return frame, root.uri("table.parquet")


@pytest.mark.parametrize("name", ["500", "503", "cut", "lost"])
@pytest.mark.parametrize("nth", [1, 2])
def test_polars_repeats_what_fails(root: Location, proxy: FaultyProxy, tmp_path: Path, name: str, nth: int) -> None:
    frame, uri = table(root, tmp_path)
    before = len(proxy.requests)
    proxy.judge = once(TRANSIENT[name], "GET", nth)
    scanned = pl.scan_parquet(uri, storage_options=root.storage_options, glob=False).collect()
    assert scanned.equals(frame)
    assert len(proxy.requests) - before < 12


@pytest.mark.parametrize("nth", [1, 2])
def test_what_polars_panics_of_is_told(root: Location, proxy: FaultyProxy, tmp_path: Path, nth: int) -> None:
    """Of a footer it says that it is none, and of pages that are too short nothing that `except Exception` stops."""
    frame, uri = table(root, tmp_path)
    proxy.judge = once(TRANSIENT["short"], "GET", nth)
    rows = pl.scan_parquet(uri, storage_options=root.storage_options, glob=False)
    with (
        pytest.raises(TornRead, match=f"a table below {root.url} came other than"),
        torn_reads_told(root),
    ):
        rows.collect()
    assert rows.collect().equals(frame)


def test_on_a_disk_a_panic_is_a_panic(tmp_path: Path) -> None:
    with pytest.raises(pl.exceptions.PanicException), torn_reads_told(Location(tmp_path)):
        raise pl.exceptions.PanicException("a bug")
    with pytest.raises(pl.exceptions.ColumnNotFoundError), torn_reads_told(Location("s3://bucket/root")):
        pl.DataFrame().select("absent")


@pytest.mark.slow
def test_polars_gives_up(root: Location, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "REQUEST_TIMEOUT_S", 1)
    _, uri = table(root, tmp_path)
    for fault in (Fault(503), Fault(delay_s=1.5), Fault(cut_answer=True), Fault(shorten=True)):
        before, start = len(proxy.requests), time.monotonic()
        proxy.judge = always(fault, "GET", "HEAD")
        with pytest.raises((pl.exceptions.PolarsError, OSError)):
            pl.scan_parquet(uri, storage_options=root.storage_options, glob=False).collect()
        assert len(proxy.requests) - before <= 20, fault
        assert time.monotonic() - start < 20, fault
