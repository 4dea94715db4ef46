"""Images that are kept smaller than they were fetched: what is stored, what the ledger says, and what is refused."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Ingest
from paris_assets.images.decode import decode_rgb, read_header
from paris_assets.images.reader import ImageTars, tar_path
from paris_assets.images.resize import shrunk_size
from paris_assets.images.tars import read_images
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.ledger import fetch_shard, fetched_images
from paris_assets.ingest.schema import SOURCE_ROWS
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets.storage.output import MADE_AS
from paris_assets_tests.fixtures.icc import rgb_profile
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.ingest.pictures import picture

FACE = [[0.25, 0.25, 0.5, 0.5]]


def kept_as(**encode: Any) -> Ingest:
    return Ingest.model_validate({"encode": {"short_side": 32, "format": "png"} | encode})


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rows_of(bodies: Iterable[bytes | None], faces: list[Any] | None = None) -> tuple[pl.DataFrame, list[Fetched]]:
    fetched = [Fetched.local(row, body) for row, body in enumerate(bodies)]
    rows = [{"source_row": row, "url": f"http://a.example/{row}", "text": ""} for row in range(len(fetched))]
    if faces is not None:
        rows = [{**row, "face_bboxes": boxes} for row, boxes in zip(rows, faces, strict=True)]
    return SOURCE_ROWS.frame(rows), fetched


def stored(folder: Path, bodies: Sequence[bytes | None], settings: Ingest, faces: list[Any] | None = None) -> Any:
    """(ledger, image_id -> what is in the tar)"""
    rows, fetched = rows_of(bodies, faces)
    ledger = fetch_shard(rows, fetched, settings, folder / "t.tar")
    return ledger, dict(read_images(folder / "t.tar", ledger.filter(status="ok")))


def one(folder: Path, body: bytes, settings: Ingest) -> np.ndarray:
    """The pixels that are stored of a file."""
    ledger, images = stored(folder, [body], settings)
    assert ledger["reason"].to_list() == [None]
    (data,) = images.values()
    return decode_rgb(data)


def corners() -> Image.Image:
    """80 x 40 pixels: red and green above, blue and white below."""
    image = Image.new("RGB", (80, 40), "white")
    for place, colour in (((0, 0), "red"), ((40, 0), "lime"), ((0, 20), "blue")):
        image.paste(colour, (*place, place[0] + 40, place[1] + 20))
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture_and_is_left_out(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = saved(corners(), kind, exif=exif.tobytes())
    ledger, images = stored(tmp_path, [body], kept_as(short_side=20))
    (data,) = images.values()
    shown = decode_rgb(body)
    rgb = decode_rgb(data)
    turned = orientation >= 5
    assert rgb.shape[:2] == ((40, 20) if turned else (20, 40))
    row = ledger.row(0, named=True)
    assert (row["width"], row["height"]) == shown.shape[1::-1]
    assert (row["stored_width"], row["stored_height"]) == rgb.shape[1::-1]
    assert read_header(data).orientation == 1
    for y, x in ((4, 4), (4, -5), (-5, 4), (-5, -5)):
        assert np.abs(rgb[y, x].astype(int) - shown[2 * y, 2 * x]).max() < 40, (y, x)


def test_a_profile_becomes_srgb_and_is_left_out(tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (64, 64), (0, 200, 0)), icc_profile=rgb_profile())
    ledger, images = stored(tmp_path, [body], kept_as())
    (data,) = images.values()
    with Image.open(io.BytesIO(data)) as image:
        assert "icc_profile" not in image.info
    assert np.array_equal(decode_rgb(data)[0, 0], decode_rgb(body)[0, 0])
    assert decode_rgb(data)[0, 0].tolist() != [0, 200, 0]
    assert ledger["stored_format"].to_list() == ["png"]


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (33, 500), (64, 64), (31, 31), (10, 400), (32, 33), (65, 47)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_shape_stays_and_nothing_is_enlarged_or_padded(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    ramp = np.linspace(60, 200, size[0] * size[1]).reshape(size[1], size[0])
    body = saved(Image.fromarray(np.repeat(ramp[..., None], 3, 2).astype(np.uint8)), kind)
    rgb = one(tmp_path, body, kept_as())
    assert rgb.shape[1::-1] == shrunk_size(*size, 32)
    assert min(rgb.shape[:2]) == min(*size, 32)
    whole = np.asarray(Image.fromarray(decode_rgb(body)).resize(rgb.shape[1::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(rgb - whole).max() <= 12
    assert rgb[0].mean() == pytest.approx(whole[0].mean(), abs=4)
    assert rgb[-1].mean() == pytest.approx(whole[-1].mean(), abs=4)


def test_a_photograph_decoded_at_a_part_of_its_size_is_as_good_as_a_whole_one(tmp_path: Path) -> None:
    """By DCT scaling: within what the encoder itself loses."""
    for photo in photographs()[:6]:
        large = photo.resize((1024, 768), Image.Resampling.LANCZOS)
        rgb = one(tmp_path, saved(large, "JPEG", quality=95), kept_as(short_side=160))
        exact = np.asarray(large.resize(rgb.shape[1::-1], Image.Resampling.BICUBIC)).astype(float)
        error = np.mean((rgb - exact) ** 2)
        assert 10 * np.log10(255**2 / error) > 34


def test_files_of_every_kind_are_kept_as_the_decoder_shows_them(tmp_path: Path) -> None:
    colours = np.asarray(corners())
    clear = np.dstack([colours, np.full((40, 80), 255, np.uint8)])
    clear[:20, :40, 3] = 0
    frames = [corners().convert("P"), Image.new("P", (80, 40))]
    files = {
        "grey": saved(corners().convert("L"), "JPEG"),
        "palette": saved(corners().convert("P")),
        "alpha": saved(Image.fromarray(clear, "RGBA")),
        "deep": saved(Image.fromarray(np.arange(3200, dtype=np.uint16).reshape(40, 80) * 20)),
        "cmyk": saved(corners().convert("CMYK"), "JPEG"),
        "animation": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "tiff": saved(corners(), "TIFF"),
        "bmp": saved(corners(), "BMP"),
        "avif": saved(corners(), "AVIF"),
    }
    ledger, images = stored(tmp_path, list(files.values()), kept_as(short_side=40))
    assert ledger["reason"].to_list() == [None] * len(files)
    for name, (body, image_id) in zip(files, zip(files.values(), ledger["image_id"], strict=True), strict=True):
        assert image_id == hashlib.sha256(body).hexdigest()[:32]
        assert np.array_equal(decode_rgb(images[image_id]), decode_rgb(body)), name
    assert ledger["format"].to_list() == ["jpeg", "png", "png", "png", "jpeg", "gif", "tiff", "bmp", "avif"]


def test_the_ledger_tells_what_was_fetched_and_what_is_stored(tmp_path: Path) -> None:
    bodies = [picture(0, 64, 48), picture(1, 20, 30, "PNG"), b"<html>", None, picture(4, 64, 64)[:900]]
    settings = kept_as(short_side=24, format="jpg", quality=80)
    ledger, images = stored(tmp_path, bodies, settings)
    assert ledger["reason"].to_list() == [None, None, "not_an_image", "empty_body", "undecodable"]
    assert ledger["status"].to_list() == ["ok", "ok", "failed", "failed", "failed"]
    assert ledger["width"].to_list() == [64, 20, None, None, 64]
    assert ledger["size_bytes"].to_list() == [*map(len, bodies[:3]), None, 900]  # type: ignore[arg-type]
    assert ledger["format"].to_list() == ["jpeg", "png", None, None, "jpeg"]
    assert ledger["stored_width"].to_list() == [32, 20, None, None, None]
    assert ledger["stored_format"].to_list() == ["jpeg", "jpeg", None, None, None]
    nulls = ledger.filter(status="failed").select("image_id", "sha256", "offset", "stored_bytes", "stored_sha256")
    assert nulls.null_count().row(0) == (3,) * 5
    for row in ledger.filter(status="ok").iter_rows(named=True):
        assert row["sha256"] == hashlib.sha256(bodies[row["source_row"]] or b"").hexdigest()
        data = images[row["image_id"]]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (row["stored_bytes"], row["stored_sha256"])
        assert data[:2] == b"\xff\xd8"
    with tarfile.open(tmp_path / "t.tar") as tar:
        assert {member.name for member in tar} == {f"{image_id}.jpg" for image_id in images}


def test_bytes_as_fetched_are_described_alike(tmp_path: Path) -> None:
    ledger, images = stored(tmp_path, [picture(0), picture(1, kind="WEBP")], Ingest())
    assert list(images.values()) == [body for _, body in sorted(images.items())]
    for fetched, kept in (("sha256", "stored_sha256"), ("size_bytes", "stored_bytes"), ("format", "stored_format")):
        assert ledger[fetched].to_list() == ledger[kept].to_list()
    assert ledger["faces_blurred"].null_count() == 2


def test_what_was_stored_is_known_again_and_nothing_else_is(tmp_path: Path) -> None:
    ledger, images = stored(tmp_path, [picture(0), picture(1)], kept_as())
    tar = bytearray((tmp_path / "t.tar").read_bytes())
    tar[ledger["offset"][0] + 40] ^= 1
    (tmp_path / "t.tar").write_bytes(tar)
    with pytest.raises(DamagedFile, match=ledger["image_id"][0]):
        dict(read_images(tmp_path / "t.tar", ledger))
    assert set(images) == set(ledger["image_id"])


@pytest.mark.parametrize("format", ["jpg", "webp", "png"])
def test_neither_threads_nor_order_change_a_byte(tmp_path: Path, format: str) -> None:
    bodies = [picture(number, 40 + number, 70, kind) for number, kind in enumerate(["JPEG", "PNG", "WEBP"] * 5)]
    bodies += [bodies[0], bodies[4][:100], b"", bodies[4][:100]]
    faces = [[[0.1 * (row % 5), 0.2, 0.7, 0.9]] if row % 3 else [] for row in range(len(bodies))]
    made = []
    for threads, seed in ((1, 0), (1, 1), (3, 2), (3, 3)):
        settings = kept_as(format=format, threads=threads, blur_faces=True)
        rows, fetched = rows_of(bodies, faces)
        random.Random(seed).shuffle(fetched)
        ledger = fetch_shard(rows, fetched, settings, tmp_path / f"{threads}{seed}.tar")
        made.append((ledger.write_csv(), (tmp_path / f"{threads}{seed}.tar").read_bytes()))
    assert made[1:] == made[:1] * 3


def test_a_side_that_the_format_has_no_room_for_is_a_reason(tmp_path: Path) -> None:
    body = saved(Image.new("RGB", (20_000, 20)))
    ledger, _ = stored(tmp_path, [body, body], kept_as(format="webp"))
    assert ledger["reason"].to_list() == ["too_long_to_encode"] * 2
    assert ledger["width"].to_list() == [20_000] * 2


def blurred(image: np.ndarray, sharp: np.ndarray) -> list[bool]:
    """Whether each quarter of a picture (by rows) differs from what it would be without blurring."""
    halves = (slice(0, 15), slice(17, 32))
    return [bool((image[rows, columns] != sharp[rows, columns]).any()) for rows in halves for columns in halves]


def test_only_faces_that_the_source_marks_are_blurred(tmp_path: Path) -> None:
    bodies = [picture(number, 64, 64, "PNG") for number in range(4)]
    faces = [[[0.05, 0.05, 0.25, 0.2]], [], [[0.75, 0.8, 1.1, 1.05], [0.8, 0.05, 0.95, 0.2]], None]
    plain, sharp = stored(tmp_path, bodies, kept_as())
    ledger, images = stored(tmp_path, bodies, kept_as(blur_faces=True), faces)
    assert plain["faces_blurred"].null_count() == 4
    assert ledger["faces_blurred"].to_list() == [1, 0, 2, 0]
    found = [blurred(*(decode_rgb(each[image_id]) for each in (images, sharp))) for image_id in ledger["image_id"]]
    assert found[:3] == [[True, False, False, False], [False] * 4, [False, True, False, True]]


def test_one_picture_of_several_rows_is_blurred_wherever_one_of_them_marks_a_face(tmp_path: Path) -> None:
    body, one_face, other = picture(0, 64, 64, "PNG"), [[0.05, 0.05, 0.25, 0.2]], [[0.75, 0.75, 0.95, 0.95]]
    ledgers, files = [], []
    for order in ([one_face, other, []], [[], other, one_face], [other, one_face, other]):
        ledger, images = stored(tmp_path, [body] * 3, kept_as(blur_faces=True), order)
        assert ledger["faces_blurred"].to_list() == [2, 2, 2]
        ledgers.append(ledger["stored_sha256"].to_list())
        files.append(images)
    assert files[0] == files[1] == files[2]
    _, sharp = stored(tmp_path, [body], kept_as())
    assert blurred(*(decode_rgb(*each.values()) for each in (files[0], sharp))) == [True, False, False, True]


def made(
    root: Location, folder: Path, rows: pl.DataFrame, answers: list[Fetched], settings: Ingest, before: Any = None
) -> tuple[pl.DataFrame, Any, list[int]]:
    """(ledger, facts, rows that were asked for) of the asset's own function on a root."""
    images, asked = ImageTars(LocalFiles(root)), list[int]()

    def fetch(missing: pl.DataFrame) -> list[Fetched]:
        asked.extend(missing["source_row"])
        return [answer for answer in answers if answer.source_row in asked]

    output = fetched_images("00000", rows, images, fetch, settings)
    output.scratch = folder
    assert callable(output.rows)
    (ledger,) = output.rows(None if before is None else before.lazy())
    for path, file in output.files.items():
        root.put(file, path)
    assert isinstance(ledger, pl.DataFrame)
    return ledger, output.facts, asked


def test_rows_whose_faces_nobody_can_find_fail_without_a_request(tmp_path: Path) -> None:
    unclear = [None, [[]], [[0.1, 0.2, 0.3]], [[0.5, 0.2, 0.4, 0.9]], [[float("nan"), 0, 1, 1]], [[10, 20, 90, 99]]]
    rows, answers = rows_of([picture(row) for row in range(len(unclear) + 2)], [FACE, [], *unclear])
    settings = kept_as(blur_faces=True)
    ledger, _, asked = made(Location(tmp_path / "root"), tmp_path, rows, answers, settings)
    assert asked == [0, 1]
    assert ledger["reason"].to_list() == [None, None, "no_face_boxes", *["bad_face_boxes"] * 5]
    assert ledger["attempts"].to_list()[2:] == [0] * 6
    plain, _, asked = made(Location(tmp_path / "plain"), tmp_path, rows, answers, kept_as())
    assert plain["status"].to_list() == ["ok"] * 8


def test_a_retry_keeps_what_is_stored_and_blurs_what_new_rows_add(tmp_path: Path) -> None:
    body, other = picture(0, 64, 64, "PNG"), picture(1, 64, 64, "PNG")
    rows, answers = rows_of([body, other, body], [FACE, [], [[0.75, 0.75, 0.95, 0.95]]])
    settings, root = kept_as(blur_faces=True), Location(tmp_path / "root")
    late = [*answers[:2], Fetched(2, "failed", "timeout", None, 3, None)]
    before, first, asked = made(root, tmp_path, rows, late, settings)
    assert (asked, before["faces_blurred"].to_list()) == ([0, 1, 2], [1, 0, None])
    after, second, asked = made(root, tmp_path, rows, answers, settings, before)
    fresh, third, _ = made(Location(tmp_path / "fresh"), tmp_path, rows, answers, settings)
    assert asked == [2]
    assert after.equals(fresh)
    assert after["faces_blurred"].to_list() == [2, 0, 2]
    assert root.read(tar_path("00000")) == Location(tmp_path / "fresh").read(tar_path("00000"))
    assert first[MADE_AS] != second[MADE_AS] == third[MADE_AS], "the picture of an id that was there is another one"


def test_a_retry_that_changes_no_picture_says_so(tmp_path: Path) -> None:
    rows, answers = rows_of([picture(0), picture(1)], [FACE, FACE])
    settings, root = kept_as(blur_faces=True), Location(tmp_path / "root")
    before, first, _ = made(
        root, tmp_path, rows, [answers[0], Fetched(1, "failed", "timeout", None, 3, None)], settings
    )
    after, second, asked = made(root, tmp_path, rows, answers, settings, before)
    assert asked == [1]
    assert first[MADE_AS] == second[MADE_AS]
    assert second["stored_bytes"] == after["stored_bytes"].sum()
    _, moved, _ = made(Location(tmp_path / "moved"), tmp_path, rows_of([], [])[0], [], settings)
    assert moved[MADE_AS] != first[MADE_AS]
