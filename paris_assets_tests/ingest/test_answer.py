from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow as pa
import pytest

from paris_assets.ingest.web.answer import Answer, BadEncoding, decoded, opted_out, retry_after_s

BODY = bytes(range(256)) * 30


def _answer(*fields: str, body: bytes = b"", status: str = "HTTP/1.1 200 OK", max_bytes: int = 10**6) -> Answer:
    answer = Answer(max_bytes, lambda answer: answer.status == 200)
    for line in (status, *fields, ""):
        answer.header_line(f"{line}\r\n".encode("latin-1"))
    answer.chunk(body)
    return answer


def test_the_last_answer_counts_and_trailers_do_not() -> None:
    answer = Answer(100, lambda _: True)
    lines = [
        "HTTP/1.1 103 Early Hints", "Location: /early", "", "http/1.1 200", "Content-Type : image/jpeg", "X-Folded: a",
        "\tb", "x-twice:1", "X-TWICE: 2", "",
    ]  # fmt: skip
    for line in lines:
        answer.header_line(line.encode() + b"\n")
    answer.chunk(b"body")
    answer.header_line(b"X-Twice: trailer\r\n")
    assert (answer.status, answer.first("location"), answer.first("content-type")) == (200, None, b"image/jpeg")
    assert answer.first("x-folded") == b"a b"
    assert answer.all("x-twice") == [b"1", b"2"]
    assert bytes(answer.body) == b"body"


def test_a_body_is_cut_off_at_the_limit() -> None:
    assert not _answer(body=b"x" * 10, max_bytes=10).too_large
    assert _answer(body=b"x" * 11, max_bytes=10).too_large
    announced = Answer(10, lambda _: True)
    assert announced.header_line(b"HTTP/1.1 200 OK\r\n") is None
    assert announced.header_line(b"Content-Length: 11\r\n") is None
    assert announced.header_line(b"\r\n") == 0


def test_a_body_that_is_not_wanted_is_not_read() -> None:
    whole = Answer(10, lambda _: False)
    for line in (b"HTTP/1.1 404 Gone", b"Content-Length: 4", b""):
        assert whole.header_line(line) is None
    assert whole.chunk(b"gone") is None
    assert whole.chunk(b"more") is None
    endless = Answer(10, lambda _: False)
    for line in (b"HTTP/1.1 404 Gone", b""):
        assert endless.header_line(line) is None
    assert endless.chunk(b"gone") == 0
    assert endless.is_settled
    assert whole.is_settled
    assert not whole.body + endless.body


def _raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    " GZip ": gzip.compress(BODY),
    "gzip, identity": gzip.compress(BODY),
    "deflate, gzip": gzip.compress(zlib.compress(BODY)),
    "deflate": zlib.compress(BODY),
    "Deflate": _raw_deflate(BODY),
    "deflate ": gzip.compress(BODY),
    "br": pa.compress(BODY, "brotli", asbytes=True),
    "zstd": pa.compress(BODY, "zstd", asbytes=True),
    "identity": BODY,
    "": BODY,
    "utf-8": BODY,
    "image/jpeg": BODY,
}


@pytest.mark.parametrize("coding", ENCODED)
def test_codings_are_taken_off(coding: str) -> None:
    answer = _answer(f"Content-Encoding: {coding}", body=ENCODED[coding])
    assert decoded(answer, 10**6) == BODY
    assert len(decoded(answer, 100)) > 100  # and no more is made than shows that it is too much
    assert len(decoded(answer, 100)) <= max(101, len(ENCODED[coding]))


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(BODY)[:-8],
        gzip.compress(BODY) + bytes(20),
        gzip.compress(BODY) + b"<!-- made in 0.1 s -->",
        gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]),
        BODY,  # a header that is not true
    ],
)
def test_gzip_is_read_as_browsers_read_it(body: bytes) -> None:
    assert decoded(_answer("Content-Encoding: gzip", body=body), 10**6) == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, x-gzip"])
def test_a_picture_is_in_no_coding_whatever_its_header_says(coding: str) -> None:
    picture = b"\xff\xd8\xff\xe0" + BODY
    assert decoded(_answer(f"Content-Encoding: {coding}", body=picture), 10**6) == picture
    if coding.endswith("gzip"):
        assert decoded(_answer(f"Content-Encoding: {coding}", body=gzip.compress(picture)), 10**6) == picture


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_broken_coding_has_an_error_of_its_own(coding: str) -> None:
    with pytest.raises(BadEncoding, match=coding):
        decoded(_answer(f"Content-Encoding: {coding}", body=b"\x1f\x8b\x08\xff" + b"no" * 99), 10**6)


def test_retry_after_reads_seconds_and_dates() -> None:
    def read(value: str) -> float:
        return retry_after_s(_answer(f"Retry-After: {value}"))

    moment = datetime.now(UTC) + timedelta(seconds=60)
    assert read("12") == 12
    assert 50 < read(format_datetime(moment, usegmt=True)) <= 60
    assert read("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    odd = ("", "soon", "-3", "²", "\xff", "Wed, 21 Oct 2015 07:28:00 +9999999999999999")
    assert [read(value) for value in odd] == [0] * len(odd)
    assert read("9" * 5000) == float("inf")
    assert retry_after_s(_answer()) == 0


@pytest.mark.parametrize(
    ("fields", "out"),
    [
        (["noai"], True),
        (["NoImageAI"], True),
        (["all, noindex"], True),
        (["nofollow", "noimageindex"], True),
        (["noai, max-image-preview: large"], True),
        (["max-snippet: 0, noai"], True),
        (["unavailable_after: Wednesday, 25-Jun-30 15:00:00 PST, noai"], True),
        (["noai, googlebot: nofollow"], True),
        (["googlebot: nofollow, paris_assets: noai"], True),
        (["paris_assets: nofollow, googlebot: noai, noimageai"], False),
        (["*: noai"], True),
        (["img2dataset: noai"], False),
        (["googlebot: nofollow", "noai"], True),
        (["paris_assets: noai"], True),
        (["Paris_Assets: nofollow, noai"], True),
        (["googlebot: noai"], False),
        (["googlebot: noindex", "nofollow"], False),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], False),
        (["nofollow, noarchive"], False),
        (["noaix"], False),
        ([""], False),
        ([], False),
    ],
)
def test_robots_tags_are_read_as_img2dataset_reads_them(fields: list[str], out: bool) -> None:
    answer = _answer(*(f"X-Robots-Tag: {value}" for value in fields))
    assert opted_out(answer, {"noai", "noimageai", "noindex", "noimageindex"}, {"paris_assets", "1.0"}) is out
    assert not opted_out(answer, set(), {"paris_assets"})


def test_codings_round_each_other_are_few() -> None:
    for count in (5, 6):
        body = BODY
        for _ in range(count):
            body = gzip.compress(body)
        answer = _answer("Content-Encoding: " + ", ".join(["gzip"] * count), body=body)
        if count == 5:
            assert decoded(answer, 10**6) == BODY
        else:
            with pytest.raises(BadEncoding, match="6 codings"):
                decoded(answer, 10**6)
