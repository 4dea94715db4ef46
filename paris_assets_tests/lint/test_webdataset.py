"""Every kind of defect of a tar is named, and sound tars of any writer by none."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from webdataset.writer import TarWriter

from paris_assets.cli import main
from paris_assets.lint.tar_headers import headers
from paris_assets_tests.lint.conftest import Lint
from paris_assets_tests.lint.made import Member, npy, sample, samples, tar

KEY = "000003"


def changed(member: str, content: bytes, count: int = 12) -> list[Member]:
    """Samples, of which one has another member."""
    return [(name, content if name == f"{KEY}.{member}" else data) for name, data in samples(count)]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sound_tars_of_tarfile(tmp_path: Path, lint: Lint, format: int) -> None:
    tar(tmp_path / "a.tar", samples(12), format)
    tar(tmp_path / "sub/b.tar.gz", samples(12, 12), format, "w:gz")
    assert lint(tmp_path) == []
    assert lint(tmp_path / "a.tar", f"{tmp_path}/sub/*.tar.gz") == []


def test_sound_tars_of_webdataset(tmp_path: Path, lint: Lint) -> None:
    with TarWriter(str(tmp_path / "a.tar")) as writer:
        for number in range(3):
            latent = np.full((4, 2, 2), number + 1, np.float16)
            writer.write(
                {"__key__": f"{number:032x}", "latent.npy": latent, "caption.txt": f"{number}", "x.cls": number}
            )
    assert lint(tmp_path) == []


def test_headers_are_those_of_tarfile(tmp_path: Path) -> None:
    """Also of long names and large numbers, however the writer puts them."""
    members = [("a" * 150 + ".txt", b"x"), ("d/" * 60 + "b.txt", b"yy"), ("é.txt", b"z" * 700), ("k.npy", b"")]
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tar(tmp_path / "a.tar", members, format)
        with tarfile.open(path) as archive:
            known = [(info.name.encode(), info.offset_data, info.size) for info in archive]
        assert [(one.name, one.offset, one.size) for one in headers(path.read_bytes())] == known


@pytest.mark.parametrize(
    ("member", "content", "kind"),
    [
        ("latent.npy", npy(np.full((4, 2, 2), np.nan, np.float16)), "not_finite"),
        ("latent.npy", npy(np.zeros((4, 2, 2), np.float16)), "all_zero"),
        ("latent.npy", npy(np.ones((4, 2, 2), np.float32)), "other_dtype"),
        ("latent.npy", npy(np.ones((4, 2, 3), np.float16)), "other_shape"),
        ("latent.npy", npy(np.ones((2, 2), np.float16)), "other_shape"),
        ("latent.npy", npy(np.array([{}], object)), "object_array"),
        ("latent.npy", npy(np.ones((4, 2, 2), np.float16))[:-1], "unreadable_member"),
        ("latent.npy", npy(np.ones((4, 2, 2), np.float16)) + b"x", "unreadable_member"),
        ("latent.npy", b"\x93NUMPY\x01\x00\xff\xffx", "unreadable_member"),
        ("latent.npy", b"", "empty_member"),
        ("metadata.json", b'{"a": 1', "unreadable_member"),
        ("metadata.json", b'{"image_id": "another"}', "key_mismatch"),
        ("caption.txt", b"\xff", "unreadable_member"),
        ("caption.txt", b" \n", "empty_member"),
    ],
)
def test_members(tmp_path: Path, lint: Lint, member: str, content: bytes, kind: str) -> None:
    tar(tmp_path / "a.tar", changed(member, content))
    assert lint(tmp_path) == [("a.tar", KEY, kind)]


def test_a_variable_side_is_no_defect(tmp_path: Path, lint: Lint) -> None:
    """Captions of as many rows as they have tokens; another dimension is one all the same."""
    texts = [
        (f"{number:03d}.text.npy", npy(np.full((1 + number % 7, 5), number + 1, np.float16))) for number in range(40)
    ]
    tar(tmp_path / "a.tar", texts)
    assert lint(tmp_path) == []
    tar(tmp_path / "b.tar", [("900.text.npy", npy(np.ones((3, 6), np.float16)))])
    assert lint(tmp_path) == [("b.tar", "900", "other_shape")]


def test_pickles_are_flagged_and_never_opened(tmp_path: Path, lint: Lint) -> None:
    bomb = b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    tar(tmp_path / "a.tar", [("a.latent.pth", bomb), ("b.latent.pth", bomb + b" ")])
    assert [kind for *_, kind in lint(tmp_path)] == ["pickle", "pickle"]
    assert not (tmp_path / "ran").exists()


def test_names(tmp_path: Path, lint: Lint) -> None:
    members = [*samples(3), ("../up.txt", b"x"), ("/etc/passwd.txt", b"y"), ("nodot", b"z"), ("__notes__", b"n"),
               (f"{'k' * 120}.txt", b"w")]  # fmt: skip
    tar(tmp_path / "a.tar", members, tarfile.GNU_FORMAT)
    found = [(key[:12], kind) for _, key, kind in lint(tmp_path, "--members", "txt") if kind != "missing_member"]
    assert found == [("../up.txt", "unsafe_name"), ("/etc/passwd.", "unsafe_name"), ("nodot", "no_key"),
                     ("k" * 12, "long_name")]  # fmt: skip
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("000001.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("b\udcff.txt"))
    assert sorted(kind for *_, kind in lint(tmp_path)) == ["bad_name", "empty_member", "not_a_file"]


def test_keys_with_dots(tmp_path: Path, lint: Lint) -> None:
    """`photo.1.jpg` is read as the field `1.jpg` of the sample `photo`; nobody sees that until training lacks `jpg`."""
    dotted = [(f"{name}.{field}", b"x") for name in ("a.v1", "b.v2", "c.v3") for field in ("txt", "cls")]
    dotted = [(name, b"1" if name.endswith("cls") else data) for name, data in dotted]
    tar(tmp_path / "a.tar", dotted)
    ((_, _, kind),) = [each for each in lint(tmp_path) if each[2] == "dotted_key"]
    assert kind == "dotted_key"
    tar(tmp_path / "a.tar", [(f"photo.{number}.txt", b"x") for number in range(40)])
    assert ("a.tar", "photo", "dotted_key") in lint(tmp_path)


def test_split_and_repeated_samples(tmp_path: Path, lint: Lint) -> None:
    first, second = sample(1), sample(2)
    tar(tmp_path / "a.tar", [*first[:2], *second, *first[2:], *samples(30, 10)])
    found = lint(tmp_path)
    assert ("a.tar", "000001", "split_sample") in found
    tar(tmp_path / "a.tar", [*first, first[0], *second])
    assert lint(tmp_path) == [("a.tar", "000001", "repeated_member")]
    tar(tmp_path / "a.tar", [*first, *second])
    tar(tmp_path / "b.tar", [*sample(3), *second])
    assert lint(tmp_path) == [("b.tar", "000002", "repeated_key")]
    tar(tmp_path / "b.tar", [*sample(3), *sample(2, "other")])
    assert lint(tmp_path) == [("b.tar", "other", "same_content")]


def test_one_sample_in_two_experts(tmp_path: Path, lint: Lint) -> None:
    tar(tmp_path / "cluster_0/a.tar", samples(3))
    tar(tmp_path / "cluster_1/a.tar", [*samples(3, 3), *sample(1)])
    assert lint(tmp_path) == [("a.tar", "000001", "two_experts")]
    wrong = [("x.metadata.json", json.dumps({"cluster": 4}).encode())]
    tar(tmp_path / "cluster_1/a.tar", wrong)
    assert ("a.tar", "x", "wrong_expert") in lint(tmp_path)


def test_missing_members(tmp_path: Path, lint: Lint) -> None:
    tar(tmp_path / "a.tar", [each for each in samples(20) if each[0] != f"{KEY}.latent.npy"])
    assert lint(tmp_path) == [("a.tar", KEY, "missing_member")]
    found = lint(tmp_path, "--members", "caption.txt,jpg")
    assert {key for _, key, _ in found} >= {f"{number:06d}" for number in range(3)}


def test_where_a_tar_breaks(tmp_path: Path, lint: Lint) -> None:
    """Cut off or damaged anywhere, a tar is named; readers take such ones for shorter tars."""
    path = tar(tmp_path / "a.tar", samples(2))
    whole = path.read_bytes()
    ends = [one.offset + one.size for one in headers(whole)]
    for cut in (0, 100, 512, 600, ends[2], ends[2] + 200, ends[-1], len(whole.rstrip(b"\0")) + 100, 4 * 1024):
        path.write_bytes(whole[:cut])
        kinds = {kind for *_, kind in lint(tmp_path)}
        assert kinds & {"truncated", "empty"}, cut
    damaged = bytearray(whole)
    damaged[headers(whole).__next__().offset - 512 + 3] ^= 1
    path.write_bytes(bytes(damaged))
    assert "damaged" in {kind for *_, kind in lint(tmp_path)}
    path.write_bytes(whole + whole)
    assert [kind for *_, kind in lint(tmp_path)] == ["trailing_bytes"]
    tar(path, [])
    assert [kind for *_, kind in lint(tmp_path)] == ["empty"]
    packed = tar(tmp_path / "b.tar.gz", samples(2, 5), mode="w:gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    assert ("b.tar.gz", "", "truncated") in lint(packed)


def test_sums_beside_the_tars(tmp_path: Path, lint: Lint) -> None:
    path = tar(tmp_path / "a.tar", samples(2))
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  a.tar\n{'1' * 64}  b.tar\n")
    tar(tmp_path / "c.tar", samples(2, 2))
    assert lint(tmp_path) == [("a.tar", "", "hash_mismatch"), ("b.tar", "", "not_there"), ("c.tar", "", "not_listed")]
    assert lint(path) == [("a.tar", "", "hash_mismatch")]


def test_every_problem_is_a_line_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tar(tmp_path / "a.tar", [(f"{number}.npy", npy(np.full(3, np.nan))) for number in range(30)])
    assert main(["lint", str(tmp_path), "--most", "2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "a.tar: 0: npy: 3 of 3 values are not finite; leave the sample out, and look at what made it: one NaN spoils a "
        "training run"
    )
    assert "a.tar: and 28 more like this (not_finite); leave the sample out" in "\n".join(lines)
    assert lines[-1].startswith("59 problems (not_finite 30, same_content 29); 1 files, 30 samples")


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, said in ((tmp_path / "absent", "no such file or folder"), (tmp_path, "no training files there")):
        assert main(["lint", str(path)]) == 2
        assert said in capsys.readouterr().err
    assert main(["lint", str(tmp_path), "--most", "0"]) == 2


def test_on_an_object_store(s3_url: str, tmp_path: Path, lint: Lint) -> None:
    import boto3

    client = boto3.client("s3")
    content = tar(tmp_path / "a.tar", [*samples(5), *sample(3)]).read_bytes()
    for name in ("lint/a.tar", "lint/sub/b.tar"):
        client.put_object(Bucket="bucket", Key=name, Body=content if "a.tar" in name else content[:-10240])
    found = lint(f"{s3_url}/lint")
    assert ("a.tar", KEY, "split_sample") in found
    assert ("b.tar", "", "truncated") in found
    assert ("b.tar", KEY, "repeated_key") in found
    assert {name for name, *_ in lint(f"{s3_url}/lint/sub/*.tar")} == {"b.tar"}


def test_memory_does_not_grow_with_the_tar(tmp_path: Path) -> None:
    """Members are looked at one after the other, through a mapping of the file."""
    import tracemalloc

    from paris_assets.lint.file_report import FileReport
    from paris_assets.lint.local_copies import mapped
    from paris_assets.lint.problems import Problems
    from paris_assets.lint.webdataset import lint_tar

    big = [(f"{number:03d}.npy", npy(np.random.default_rng(number).normal(size=1 << 17))) for number in range(40)]
    path = tar(tmp_path / "a.tar", big)
    del big
    tracemalloc.start()
    report = FileReport(Problems("a.tar"))
    with mapped(path) as view:
        lint_tar(view, report)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.samples == 40
    assert not report.problems.counts
    assert path.stat().st_size > 40e6
    assert peak < 8e6


def test_members_of_a_megabyte_header_are_refused(tmp_path: Path, lint: Lint) -> None:
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"comment": "x" * (2 << 20)}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    (tmp_path / "a.tar").write_bytes(file.getvalue())
    assert "damaged" in {kind for *_, kind in lint(tmp_path)}
