"""Which files of a place are read, and that all others are counted by kind."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Source
from paris_assets.images import decode
from paris_assets.ingest.beside import left_out_of
from paris_assets.ingest.files import signatures
from paris_assets.ingest.files.listing import list_files
from paris_assets.ingest.files.looked_into import MOST_PROBES
from paris_assets.ingest.files.places import locate
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.storage.location import Location
from paris_assets_tests.ingest.pictures import picture


def write(base: Path, *names: str, content: bytes = b"x" * 99) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(content)


def found(path: Path | str) -> tuple[list[str], dict[str, int]]:
    """(files, how many of each kind are left out)"""
    listing = list_files(locate(str(path)))
    return list(listing.files), {kind: those["count"] for kind, those in listing.left_out.as_dict().items()}


@pytest.mark.parametrize("kind", decode._FORMATS)
def test_every_format_that_is_decoded_is_known_by_its_first_bytes(kind: str) -> None:
    for mode in ("RGB", "L", "1", "P", "RGBA", "I;16", "I"):
        buffer = io.BytesIO()
        try:
            Image.fromarray(np.zeros((9, 9, 3), np.uint8)).convert(mode).save(buffer, kind)
        except (OSError, ValueError, KeyError):
            continue  # a mode that the format does not have
        assert signatures.is_image(buffer.getvalue()[: signatures.PROBE_BYTES]), mode


@pytest.mark.parametrize(
    "start",
    [b"", b"<html>", b"BMW is a car, and this is text that goes on and on", b"P6 is a chip", b"P1\tP2", b"RIFF1234WAVE",
     b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypmp42", b"II*", b"%PDF-1.4", b"PK\3\4", b"\x93NUMPY"],
)  # fmt: skip
def test_other_files_are_not(start: bytes) -> None:
    assert not signatures.is_image(start.ljust(signatures.PROBE_BYTES, b"\0") if len(start) > 3 else start)


def test_images_are_known_by_name_or_content(tmp_path: Path) -> None:
    images = ["a.jpg", "b.JFIF", "c.jpe", "d.jpg_large", "no_extension", "f.PJPEG", "g.img", "h.heic", "sub/i", "j.dat"]
    write(tmp_path, *images, content=picture(1))
    write(tmp_path, "broken.png", content=b"no image, which its row will say")
    write(tmp_path, "k.heic", "l.dat", "LICENSE", "m.npy", "n.npy")
    assert found(tmp_path) == (
        sorted([*images, "broken.png"]),
        {".dat files": 1, ".heic files": 1, ".npy files": 2, "files without extension": 1},
    )


def test_leftovers_of_other_programs_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "_DSC0001.jpg", content=picture(1))
    hidden = [".hidden.jpg", ".ipynb_checkpoints/a.jpg", "sub/.git/b.jpg", ".DS_Store", "._a.jpg"]
    others = ["__MACOSX/a.jpg", "_temporary/0/b.jpg", "_SUCCESS", "Thumbs.db", "desktop.ini", "@eaDir/a.jpg"]
    unfinished = ["b.jpg.part", "c.jpg.crdownload", "d.tmp", "e.jpg~"]
    write(tmp_path, *hidden, *others, *unfinished, content=picture(2))
    assert found(tmp_path) == (
        ["_DSC0001.jpg", "a.jpg"],
        {"files of other programs": 6, "hidden files": 5, "unfinished files": 4},
    )


def test_what_spark_leaves_behind_is_no_table(tmp_path: Path) -> None:
    write(tmp_path, "part-0.csv", "day=1/part-1.csv", "_day=1/part-2.csv", content=b"url\nhttp://a.example/1.jpg\n")
    write(tmp_path, "_SUCCESS", "_temporary/0/part-0.csv", "_old/part-0.csv", ".part-0.csv.crc", "_metadata")
    assert found(tmp_path) == (
        ["_day=1/part-2.csv", "day=1/part-1.csv", "part-0.csv"],
        {"files of other programs": 3, "hidden files": 1, "tables that begin with an underscore": 1},
    )


def test_a_file_that_is_named_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    write(tmp_path, ".hidden.jpg", "_old.csv", content=b"url\nu\n")
    assert found(tmp_path / ".hidden.jpg")[0] == [".hidden.jpg"]
    assert found(tmp_path / "_old.csv")[0] == ["_old.csv"]


def test_links_inside_a_folder_are_followed_and_nothing_is_there_twice(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "sub/b.jpg", ".store/c.jpg", ".store/deep/d.jpg", content=picture(1))
    (tmp_path / "second.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "sub/up").symlink_to("..")
    (tmp_path / "shown").symlink_to(".store")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert found(tmp_path) == (
        ["a.jpg", "shown/c.jpg", "shown/deep/d.jpg", "sub/b.jpg"],
        {"broken links": 1, "links to what is there anyway": 4, "pipes, sockets and devices": 1},
    )


@pytest.mark.parametrize("name", ["metadata.jsonl", "b.jpg", "a.txt"])
def test_links_out_of_a_folder_of_images_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, "outside/secret.jpg", "images/a.jpg", content=picture(1))
    (tmp_path / "images" / name).symlink_to(tmp_path / "outside/secret.jpg")
    with pytest.raises(SourceError, match=rf"{name} is a link out of the folder, to .*outside"):
        list_files(locate(str(tmp_path / "images")))


def test_linked_folders_elsewhere_are_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path, "outside/secret.jpg", "images/a.jpg", content=picture(1))
    (tmp_path / "images/more").symlink_to(tmp_path / "outside")
    (tmp_path / "images/up").symlink_to("..")
    assert found(tmp_path / "images") == (["a.jpg"], {"linked folders elsewhere": 2})


def test_linked_tables_elsewhere_are_read_and_linked_folders_named(tmp_path: Path) -> None:
    write(tmp_path, "outside/l.csv", "lists/a.csv", content=b"url\nu\n")
    (tmp_path / "lists/b.csv").symlink_to(tmp_path / "outside/l.csv")
    (tmp_path / "lists/more").symlink_to(tmp_path / "outside")
    assert found(tmp_path / "lists") == (["a.csv", "b.csv"], {"linked folders elsewhere": 1})


def tar(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(picture(1))
            archive.addfile(info, io.BytesIO(picture(1)))


def test_shards_of_img2dataset_are_their_tars(tmp_path: Path, root: Location) -> None:
    for number in range(2):
        tar(tmp_path / f"0000{number}.tar", f"0000{number}0000.jpg")
        pl.DataFrame({"url": ["u", "v"], "status": ["success", "failed"]}).write_parquet(
            tmp_path / f"0000{number}.parquet"
        )
        write(tmp_path, f"0000{number}_stats.json", content=b"{}")
    write(tmp_path, "_tmp/0.feather", "c.tar.gz", "d.tgz")
    registry = register(Source(path=str(tmp_path)), None, root)
    assert registry.select("file", "rows").rows() == [("00000.tar", 1), ("00001.tar", 1)]
    assert left_out_of(registry).in_words() == (
        "2 compressed tars (unpack them to have them read) (c.tar.gz, d.tgz), 1 files of other programs "
        "(_tmp/0.feather), 2 img2dataset statistics (00000_stats.json, 00001_stats.json), 2 tables of shards whose "
        "images are read (00000.parquet, 00001.parquet)"
    )


@pytest.mark.parametrize(
    "text", ["http://a.example/1.jpg\nhttp://a.example/2.jpg\n", "\n https://a.example/1.jpg\tx\n"]
)
def test_a_text_of_urls_is_a_list(tmp_path: Path, root: Location, text: str) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/urls.txt").write_text(text)
    for path in (tmp_path / "lists", tmp_path / "lists/urls.txt", tmp_path / "lists/*.txt"):
        source = Source(path=str(path))
        rows = read_rows(source, entry_of(register(source, None, root), "00000"), root)
        assert [url.strip() for url in rows["url"]] == [
            line.split("\t")[0].strip() for line in text.split("\n") if line
        ]
    write(tmp_path, "lists/l.csv", content=b"url\nu\n")
    assert found(tmp_path / "lists") == (["l.csv"], {".txt files": 1})


def test_an_unusable_folder_says_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt", "a.npy", "b.tar.gz", ".hidden", "c.zip")
    with pytest.raises(
        SourceError,
        match=r"no source at .*nothing else than 1 \.npy files \(a\.npy\), 1 \.txt.*1 \.zip archives \(unpack.*hidden",
    ):
        list_files(locate(str(tmp_path)))


NAMES = ["[D_DATA] photos", "what?", "a*b", "a::b", "{a,b}", "a#b", "100%20", "a b", "é", "s3:", "~x", "a[1]::**"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["", "/", "/*.jpg", "/**/*.jpg", "/sub[1]/*", "/sub[1]/b.jpg"])
def test_names_that_exist_are_themselves_before_they_are_patterns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    write(tmp_path, f"{name}/a.jpg", f"{name}/sub[1]/b.jpg", content=picture(1))
    write(tmp_path, "aXb/not.jpg", "D photos/not.jpg", "whats/not.jpg", content=picture(1))
    monkeypatch.chdir(tmp_path)
    expected = {"": 2, "/": 2, "/*.jpg": 1, "/**/*.jpg": 2, "/sub[1]/*": 1, "/sub[1]/b.jpg": 1}[form]
    for start in (f"{tmp_path}/", "./", "", f"file://{tmp_path}/"):
        listing = list_files(locate(f"{start}{name}{form}"))
        assert len(listing.files) == expected, start
        assert not any("not" in file for file in listing.files)


def test_patterns_stay_patterns(tmp_path: Path) -> None:
    write(tmp_path, "a1/x.jpg", "a2/x.jpg", "b/x.jpg", content=picture(1))
    assert found(tmp_path / "a[12]/*.jpg")[0] == ["a1/x.jpg", "a2/x.jpg"]
    assert found(tmp_path / "a?")[0] == ["a1/x.jpg", "a2/x.jpg"]  # of folders alone, what is in them
    assert found(tmp_path / "**/x.jpg")[0] == ["a1/x.jpg", "a2/x.jpg", "b/x.jpg"]


BRACES = [
    ("t-{0..2}.jpg", ["t-0.jpg", "t-1.jpg", "t-2.jpg"]),
    ("t-{2..1}.jpg", ["t-1.jpg", "t-2.jpg"]),
    ("t-{000..012}.jpg", ["t-010.jpg", "t-012.jpg"]),
    ("{s,t-1}/x.jpg", ["s/x.jpg"]),
    ("{s,t}*/{x,y}.jpg", ["s/x.jpg", "tt/y.jpg"]),
    ("t-{0,1}{0,2}.jpg", ["t-10.jpg"]),
    ("t-{a}.jpg", []),
]


@pytest.mark.parametrize(("pattern", "files"), BRACES)
@pytest.mark.parametrize("remote", [False, True])
def test_braces_stand_for_what_they_do_in_a_shell(tmp_path: Path, pattern: str, files: list[str], remote: bool) -> None:
    names = ["t-0.jpg", "t-1.jpg", "t-2.jpg", "t-10.jpg", "t-010.jpg", "t-012.jpg", "t-013.jpg", "s/x.jpg", "tt/y.jpg"]
    write(tmp_path, *names, content=picture(1))
    start = f"{tmp_path}"
    if remote:
        start = f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").put(str(tmp_path), f"/{tmp_path.name}", recursive=True)
    if not files:
        with pytest.raises(SourceError, match="no source at"):
            list_files(locate(f"{start}/{pattern}"))
        return
    assert found(f"{start}/{pattern}")[0] == files


def test_names_in_braces_that_are_not_there_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "t-08.jpg", content=picture(1))
    listing = list_files(locate(f"{tmp_path}/t-{{08..10}}.jpg"))
    assert [*listing.files] == ["t-08.jpg"]
    kind = "names in the braces of the pattern that are not there"
    assert listing.left_out.as_dict() == {kind: {"count": 2, "names": ["t-09.jpg", "t-10.jpg"]}}
    write(tmp_path, "t-{08..10}.jpg", content=picture(2))
    assert found(f"{tmp_path}/t-{{08..10}}.jpg") == (["t-{08..10}.jpg"], {})


@pytest.mark.parametrize("pattern", ["{0..9999999}", "{0..999}{0..999}{0..9}"])
def test_braces_beyond_all_measure_are_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"stands for \d+ names"):
        list_files(locate(f"{tmp_path}/{pattern}.jpg"))


def test_remote_files_of_unknown_kind_cost_few_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, base = fsspec.filesystem("memory"), f"/{tmp_path.name}"
    for number in range(300):
        memory.pipe_file(f"{base}/{number:03d}.npy", b"x" * 99)
        memory.pipe_file(f"{base}/{number:03d}.img", picture(1))
    asked: list[str] = []
    whole = type(memory).cat_file
    monkeypatch.setattr(
        type(memory), "cat_file", lambda self, path, *a, **k: asked.append(path) or whole(self, path, *a, **k)
    )
    listing = list_files(locate(f"memory:/{base}"))
    assert len(listing.files) == 300
    assert len(asked) < 20 < MOST_PROBES
    list_files(locate(f"memory:/{base}"), listing.files)
    assert len(asked) < 40
