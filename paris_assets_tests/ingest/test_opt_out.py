"""Lists of hosts, urls and images that are not fetched, or not kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Ingest, Profile
from paris_assets.dag.fingerprint import settings_fingerprint
from paris_assets.definitions import asset_graph
from paris_assets.errors import FileError
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.ledger import fetched_images
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.ingest.web.opt_out import OptOutError, opt_out_problems, opt_outs
from paris_assets.ingest.web.urls import parse_url
from paris_assets.runs.doctor import missing_for
from paris_assets.settings.ingest import OptOutList
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture
from paris_assets_tests.ingest.servers import UNASKED, response, serving

LIST = """\ufeff# what we were asked to leave
Photos.example      # and all below it
*.wild.example
bücher.example
http://site.example/a%20b.jpg?x=1#top
{sha256}

192.0.2.7
"""


def _list(folder: Path, text: str, name: str = "list.txt") -> OptOutList:
    (folder / name).write_text(text, encoding="utf-8")
    return OptOutList(path=str(folder / name))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://photos.example/a.jpg", True),
        ("https://PHOTOS.example.:8080/", True),
        ("http://cdn.photos.example/", True),
        ("http://a.b.photos.example/", True),
        ("http://otherphotos.example/", False),
        ("http://photos.example.org/", False),
        ("http://example/", False),
        ("http://wild.example/", True),
        ("http://x.wild.example/", True),
        ("http://xn--bcher-kva.example/", True),
        ("http://192.0.2.7/a.jpg", True),
        ("http://192.0.2.77/a.jpg", False),
        ("http://site.example/a%20b.jpg?x=1", True),
        ("https://site.example/a%20b.jpg?x=1#else", True),
        ("http://site.example/a b.jpg?x=1", True),
        ("http://site.example/a%20b.jpg", False),
        ("http://www.site.example/a%20b.jpg?x=1", False),
    ],
)
def test_a_host_counts_with_all_below_it_and_a_url_in_each_spelling(tmp_path: Path, url: str, refused: bool) -> None:
    found = opt_outs([_list(tmp_path, LIST.replace("{sha256}", "A1" * 32))])
    assert found.refuses(parse_url(url)) is refused
    assert found.sha256 == {"a1" * 32}


@pytest.mark.parametrize("line", ["two words", "photos.example:80", "ftp://a.example/x", "http://", "[::zz]"])
def test_a_line_that_names_nothing_is_an_error(tmp_path: Path, line: str) -> None:
    listed = _list(tmp_path, f"# ours\n\n{line}\n")
    with pytest.raises(
        OptOutError, match=r"list\.txt, line 3: .* is no host \(photos\.example\), no url and no sha256"
    ):
        opt_outs([listed])
    with pytest.raises(FileError, match="cannot be read"):
        opt_outs([OptOutList(path=str(tmp_path / "absent.txt"))])
    with pytest.raises(OptOutError, match="no file of this machine"):
        opt_outs([OptOutList(path="s3://bucket/list.txt")])
    assert len(opt_out_problems([listed, _list(tmp_path, "a.example", "fine.txt")])) == 1


def _ledger(folder: Path, rows: pl.DataFrame, settings: Ingest, fetch: Any) -> pl.DataFrame:
    files = LocalFiles(Location(folder / "root"))
    output = fetched_images("00000", rows, ImageTars(files), fetch, settings)
    output.scratch = folder
    assert callable(output.rows)
    [ledger] = output.rows(None)
    return ledger


def test_what_a_list_names_is_not_asked_for_and_bytes_that_it_names_are_not_kept(tmp_path: Path) -> None:
    bodies = {f"/{row}.jpg": picture(row) for row in range(6)}
    listed = [
        _list(tmp_path, "listed.example\nhttp://photos.example/1.jpg", "a.txt"),
        _list(tmp_path, "\n".join(hashlib.sha256(bodies[f"/{row}.jpg"]).hexdigest() for row in (2, 3)), "b.txt"),
    ]

    def answer(peer: Any, request: bytes) -> None:
        path = request.split()[1].decode()
        moved = response(b"", "302 Found", "Location: http://sub.listed.example/5.jpg")
        peer.sendall(moved if path == "/4.jpg" else response(bodies[path]))

    urls = [f"http://photos.example/{row}.jpg" for row in range(5)] + ["http://sub.listed.example/5.jpg"]
    sha256 = [None, None, hashlib.sha256(bodies["/2.jpg"]).hexdigest().upper(), None, None, None]
    rows = pl.DataFrame(
        {"source_row": range(6), "uid": None, "url": urls, "text": "", "source_sha256": sha256},
        schema_overrides={"uid": pl.String},
    )
    with serving(answer) as server:
        names: dict[str, str] = dict.fromkeys(("photos.example", "sub.listed.example"), f"127.0.0.1:{server.port}")
        settings = Ingest(timeout_s=5, retries=0, resolve=names, robots=UNASKED, opt_out=listed)

        def fetch(asked: pl.DataFrame) -> Any:
            return fetch_images(asked.select("source_row", "url").iter_rows(), settings, None, opt_outs(listed))

        ledger = _ledger(tmp_path, rows, settings, fetch)
        paths = sorted(request.split()[1].decode() for request in server.requests)
    assert ledger["reason"].to_list() == [None, *["opted_out"] * 5]
    assert ledger["attempts"].to_list() == [1, 0, 0, 1, 1, 0]
    assert paths == ["/0.jpg", "/3.jpg", "/4.jpg"]
    assert ledger["image_id"].null_count() == ledger["sha256"].null_count() == 5


def test_images_that_the_source_holds_are_left_out_too(tmp_path: Path) -> None:
    listed = _list(tmp_path, f"listed.example\n{hashlib.sha256(picture(1)).hexdigest()}")
    urls = ["http://listed.example/0.jpg", None, "http://other.example/2.jpg", "no url"]
    rows = pl.DataFrame(
        {"source_row": range(4), "uid": None, "url": urls, "text": ""}, schema_overrides={"uid": pl.String}
    )

    def fetch(asked: pl.DataFrame) -> list[Fetched]:
        return [Fetched.local(row, picture(row)) for row in asked["source_row"]]

    ledger = _ledger(tmp_path, rows, Ingest(opt_out=[listed]), fetch)
    assert ledger["reason"].to_list() == ["opted_out", "opted_out", None, None]


def test_an_edited_list_is_another_one_and_a_wrong_one_stops_before_any_work(tmp_path: Path) -> None:
    def wanted(text: str) -> str:
        listed = _list(tmp_path, text, f"{len(text)}.txt")
        moved = listed.model_copy(update={"path": str(tmp_path / "list.txt")})
        (tmp_path / "list.txt").write_text(text)
        profile = Profile(ingest=Ingest.model_validate({"opt_out": str(moved.path)}))
        return settings_fingerprint(asset_graph(profile)["raw_images"], profile)

    assert wanted("a.example\n") != wanted("a.example\nb.example\n")
    (tmp_path / "list.txt").write_text("two words\n")
    profile = Profile(ingest=Ingest(opt_out=[OptOutList(path=str(tmp_path / "list.txt"))]))
    assert [line for line in missing_for(profile) if line.startswith("ingest.opt_out: ")]
