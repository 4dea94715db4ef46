"""Damaged files and hostile servers: none stops a shard, hangs, takes more memory than is stated, or is lost.

A sample of 200 in `make test`, 2,500 in `make test-all`. `PARIS_FUZZ_SEED` makes others.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.images.tars import whole_image
from paris_assets.ingest.web.attempts import CROWDED
from paris_assets_tests.fuzz.answers import HOST, hostile
from paris_assets_tests.fuzz.mutations import mutated
from paris_assets_tests.fuzz.originals import originals
from paris_assets_tests.fuzz.shard import ATTEMPTS, MAX_BYTES, MAX_PIXELS
from paris_assets_tests.ingest.servers import Answer, serving

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")]
SEED = int(os.environ.get("PARIS_FUZZ_SEED", "12"))
SAMPLE, ALL = (160, 40), (2000, 500)
FILE_S = 2.0  # of a processor, for a file of at most 400 KB and 4 million pixels: header, three decodings, all signals
FILE_MB, PIXEL_BYTES = 32, 40
SHARD_MB = 400  # of each table, more than good files take, on two cores
TLS = b"\x16\x03"  # how its first message begins
REASONS = {
    "not_an_image", "too_many_pixels", "too_large", "empty_body", "no_image", "no_url", "bad_scheme", "private_address",
    "bad_answer", "bad_encoding", "connection", "timeout", "too_many_redirects", "opt_out",
}  # fmt: skip


@dataclass(frozen=True)
class Fuzzed:
    """A shard of damaged files and hostile servers, once it is made.

    Attributes:
        reached: requests that came where none may lead.
        looks: of each file by itself, in the order of the list: what `shard.alone` tells.
    """

    folder: Path
    source: pl.DataFrame
    reached: list[bytes]
    looks: list[dict[str, Any]]

    def table(self, asset: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"root/{asset}/00000.parquet")


@pytest.fixture(scope="module", params=[SAMPLE, pytest.param(ALL, marks=pytest.mark.extended)], ids=["sample", "all"])
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    files, answers = request.param
    folder = tmp_path_factory.mktemp("fuzz")
    damaged, servers = mutated(SEED, files), hostile(SEED, answers)
    source = _list(damaged, [name for name, _ in servers])
    source.write_parquet(folder / "list.parquet")
    _list([*originals().items()], []).write_parquet(folder / "good.parquet")
    reached: list[bytes] = []
    with serving(_answering([answer for _, answer in servers], reached)) as server:
        work = [_start(folder, "run", str(server.port)), _start(folder, "alone")]
        try:
            codes = [process.wait(timeout=5 * (files + answers)) for process in work]
        finally:
            for process in work:
                process.kill()
    assert codes == [0, 0], _last_words(folder)
    begun, looks = _looks(folder)
    assert begun == [name for name, _ in damaged][::-1]
    return Fuzzed(folder, source, reached, looks[::-1])


def _list(files: list[tuple[str, bytes]], servers: list[str]) -> pl.DataFrame:
    urls = [f"http://{HOST.format(number=number)}/a.jpg" for number in range(len(servers))]
    columns = {
        "image": [*(data for _, data in files), *[None] * len(servers)],
        "url": [*[None] * len(files), *urls],
        "text": [*(name for name, _ in files), *servers],
    }
    return pl.DataFrame(columns, schema={"image": pl.Binary, "url": pl.String, "text": pl.String})


def _answering(answers: list[Answer], reached: list[bytes]) -> Answer:
    """Each host answers as its number says; requests for others, or for what lies inside, are kept."""

    def answer(peer: Any, request: bytes) -> None:
        found = re.search(rb"\r\nHost: h(\d+)\.example(:\d+)?\r\n", request)
        if request.startswith(TLS):
            return
        if found is None or b"secret" in request:
            reached.append(request)
        else:
            answers[int(found[1])](peer, request)

    return answer


def _start(folder: Path, what: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore", "-m", "paris_assets_tests.fuzz.shard"]
    with (folder / f"{what}.err").open("wb") as said:
        return subprocess.Popen([*command, what, str(folder), *arguments], stderr=said, stdout=said)


def _last_words(folder: Path) -> str:
    """What both processes said at last, and the file that one of them was looking at."""
    files = [folder / name for name in ("run.err", "alone.err", "alone.jsonl")]
    return "\n".join(f"{file.name}: {file.read_text()[-2000:]}" for file in files if file.exists())


def _looks(folder: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the files that were looked at by themselves, and what was seen of those that were done."""
    lines = [json.loads(line) for line in (folder / "alone.jsonl").read_text().splitlines()]
    return [line["name"] for line in lines if "header" not in line], [line for line in lines if "header" in line]


def test_every_row_is_in_the_ledger_with_an_image_or_a_reason(fuzzed: Fuzzed) -> None:
    ledger = fuzzed.table("raw_images")
    assert ledger["source_row"].to_list() == list(range(fuzzed.source.height))
    assert ledger["text"].to_list() == fuzzed.source["text"].to_list()
    ok = pl.col("status") == "ok"
    assert ledger.filter(ok == pl.col("reason").is_not_null()).is_empty()
    assert ledger.filter(ok != pl.col("image_id").is_not_null()).is_empty()
    assert {re.sub(r"^http_\d{1,3}$", "http", reason) for reason in ledger["reason"].drop_nulls()} <= {*REASONS, "http"}
    stored = ledger.filter(ok)
    assert (stored["width"].cast(pl.Int64) * stored["height"]).max() <= MAX_PIXELS  # type: ignore[operator]
    assert stored["size_bytes"].max() <= MAX_BYTES  # type: ignore[operator]
    assert ledger["attempts"].max() <= ATTEMPTS + CROWDED  # type: ignore[operator]


def test_the_tar_holds_what_the_ledger_says(fuzzed: Fuzzed) -> None:
    stored = fuzzed.table("raw_images").filter(status="ok").unique("image_id").sort("image_id")
    with tarfile.open(fuzzed.folder / "root/raw_images/00000.tar") as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    assert [name.partition(".")[0] for name, _ in members] == stored["image_id"].to_list()
    known = stored.select("image_id", "stored_sha256").rows()
    for (image_id, sha256), (_, content) in zip(known, members, strict=True):
        assert whole_image(image_id, content, sha256, "tar") is content


def test_every_image_has_signals_or_an_error_and_every_decodable_one_a_score(fuzzed: Fuzzed) -> None:
    stored = fuzzed.table("raw_images").filter(status="ok")["image_id"].unique().sort()
    signals, scores = fuzzed.table("image_signals"), fuzzed.table("content_scores")
    assert signals["image_id"].to_list() == stored.to_list()
    assert signals.filter(pl.col("undecodable") == pl.col("error").is_null()).is_empty()
    decodable = signals.filter(~pl.col("undecodable"))
    assert scores["image_id"].to_list() == decodable["image_id"].to_list()
    assert scores["nsfw"].is_between(0, 1).all()
    floats = decodable.select(pl.col(pl.Float64))
    assert [column for column in floats.columns if not floats[column].drop_nulls().is_finite().all()] == []


def test_no_file_takes_long_or_more_memory_than_its_pixels(fuzzed: Fuzzed) -> None:
    slow = {look["name"]: look["seconds"] for look in fuzzed.looks if look["seconds"] > FILE_S}
    assert slow == {}
    assert {look["name"]: look["grown_mb"] for look in fuzzed.looks if look["grown_mb"] > _allowed_mb(look)} == {}


def _allowed_mb(look: dict[str, Any]) -> float:
    height, width, _ = look["header"] or (0, 0, 3)
    return FILE_MB + PIXEL_BYTES * min(height * width, MAX_PIXELS) / 2**20


def test_the_shard_takes_bounded_memory(fuzzed: Fuzzed) -> None:
    grown = json.loads((fuzzed.folder / "run.json").read_text())
    assert {table: most for table, most in grown.items() if most > SHARD_MB} == {}


def test_values_depend_on_the_file_alone(fuzzed: Fuzzed) -> None:
    """Not on other files, their order, threads, or what memory held before, which is something else in each process."""
    together, alone = fuzzed.table("image_signals"), pl.read_parquet(fuzzed.folder / "alone.parquet").sort("image_id")
    together = together.join(alone.select("image_id"), on="image_id", how="semi")
    assert together["image_id"].to_list() == alone["image_id"].to_list()
    for column in alone.columns:
        assert together.filter(~together[column].eq_missing(alone[column]))["image_id"].to_list() == [], column


def test_a_file_can_be_decoded_at_every_size_or_at_none(fuzzed: Fuzzed) -> None:
    for look in fuzzed.looks:
        assert len({shape is None for shape in look["decoded"]}) == 1, look
        assert look["header"] or not look["decoded"][0], look
        assert look["decoded"][0] in (None, look["header"]), look


def test_no_answer_leads_inwards(fuzzed: Fuzzed) -> None:
    assert fuzzed.reached == []


def test_the_damage_is_of_every_kind(fuzzed: Fuzzed) -> None:
    """What finds nothing because it does nothing, finds nothing."""
    ledger, signals = fuzzed.table("raw_images"), fuzzed.table("image_signals")
    files = sum(fuzzed.source["url"].is_null())
    assert set(ledger["format"].drop_nulls()) == {"jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "ppm"}
    kinds = ledger[:files].join(signals, on="image_id", how="left")
    for seen in (kinds["status"] == "failed", kinds["undecodable"], ~kinds["undecodable"]):
        assert seen.sum() > files / 8
    assert kinds["image_id"].n_unique() > files / 3
    assert ledger[files:]["reason"].n_unique() >= 8


def test_good_files_pass(fuzzed: Fuzzed) -> None:
    good = pl.read_parquet(fuzzed.folder / "good/image_signals/00000.parquet")
    assert good.height == len(originals())
    assert not good["undecodable"].any()
