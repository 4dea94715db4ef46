"""A run whose images are kept smaller and with faces blurred: an image_id then names one picture under one setting."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Profile
from paris_assets.dag.catalog import REGISTRY
from paris_assets.dag.records import ALL
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.checks import fetched, ledger_complete, stored_as_asked
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.runs.command import run_command
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.run import Request
from paris_assets.runs.space import row_bytes
from paris_assets.signals.assets import image_signals
from paris_assets.signals.signal import SignalError
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct, made_up, small_world

pytestmark = pytest.mark.long

FROM_PIXELS = ("image_signals", "content_scores", "captions", "image_embeddings", "latents")
ASSETS = (*FROM_PIXELS, "source_rows", "raw_images", "filtered_images", "duplicate_groups", "curated_images")
SHARDS = ("00000", "00001")
COUNT = 24


def listed(path: Path, moved: int | None = None) -> Path:
    """A table of pictures of 128 pixels, each with a face; that of row ``moved`` lies elsewhere."""
    path.parent.mkdir(exist_ok=True)
    pictures = [small_world.picture(number, (128, 144)) for number in range(COUNT)]
    faces = [[[0.1, 0.1, 0.4, 0.4] if row != moved else [0.5, 0.5, 0.9, 0.9]] for row in range(COUNT)]
    rows = {"image": pictures, "text": ["a picture of it"] * COUNT, "face_bboxes": faces}
    pl.DataFrame(rows).write_parquet(path)
    return path


def profile(source: Path, **encode: Any) -> Profile:
    asked = {"short_side": small_world.SIDE, "blur_faces": True, **encode}
    return small_world.profile(source, source__rows_per_shard=COUNT // 2, ingest__encode=asked)


def contents(root: Path) -> dict[tuple[str, str], str]:
    """Hash of what each table made of pixels, or read by those, holds."""
    found = direct.records(root)
    return {(name, key): found[name, key].content for name in ASSETS for key in (*SHARDS, ALL) if (name, key) in found}


def make(settings: Profile, root: Path) -> dict[tuple[str, str], str]:
    direct.bring_up_to_date(settings, root, Request(select=ASSETS))
    return contents(root)


@pytest.mark.slow
def test_pictures_that_changed_under_their_ids_are_measured_again(tmp_path: Path) -> None:
    source, root = listed(tmp_path / "source" / "list.parquet"), tmp_path / "root"
    first = make(profile(source), root)
    store = made_up.MadeUpRoot(direct.catalog_of(profile(source), root))
    for check in (stored_as_asked, ledger_complete, fetched):
        assert all(store.check(check, shard).passed for shard in SHARDS)
    ledger = store.read("raw_images", SHARDS[0])
    original = pl.read_parquet(source)["image"].to_list()
    assert ledger["image_id"].to_list() == [hashlib.sha256(body).hexdigest()[:32] for body in original[: COUNT // 2]]
    assert ledger.select("width", "height", "stored_width", "stored_height").unique().rows() == [(128, 144, 64, 72)]

    finer = make(profile(source, quality=40), root)
    assert finer == make(profile(source, quality=40), tmp_path / "fresh-40")
    assert finer["latents", SHARDS[0]] != first["latents", SHARDS[0]]
    assert make(profile(source), root) == first

    listed(source, moved=3)
    after = make(profile(source), root)
    assert after == make(profile(source), tmp_path / "fresh-moved")
    changed = {key for key in after if after[key] != first[key] and key[0] in FROM_PIXELS}
    assert ("latents", SHARDS[0]) in changed
    assert all(shard == SHARDS[0] for _, shard in changed), "the other shard's pictures are what they were"


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_list_that_does_not_say_where_faces_are_is_refused_before_work(tmp_path: Path, dry_run: bool) -> None:
    source = listed(tmp_path / "source" / "list.parquet")
    pl.read_parquet(source).drop("face_bboxes").write_parquet(source)
    with pytest.raises(SourceError, match=r"ingest\.encode\.blur_faces: list\.parquet has no column face_bboxes"):
        run_command(profile(source), str(tmp_path / "root"), Request(), dry_run)
    assert not (tmp_path / "root" / REGISTRY).exists()


def test_smaller_pictures_need_less_of_a_disk(tmp_path: Path) -> None:
    source = listed(tmp_path / "source" / "list.parquet")
    small, whole = (
        row_bytes(small_world.profile(source, ingest__encode=asked)) for asked in ({"short_side": 64}, None)
    )
    assert whole - small == pytest.approx(150_000 - 64 * 64 * 4 / 3 * 0.6, abs=512)  # tars have blocks of 512


def test_signals_that_read_files_are_refused_where_files_are_not_kept(tmp_path: Path) -> None:
    compression = "paris_assets.signals.compression:Compression"
    source = listed(tmp_path / "source" / "list.parquet")
    measures = [*profile(source).signals.measures, compression]
    whole = small_world.profile(source, signals__measures=measures)
    assert missing_for(whole) == []
    encoded = small_world.profile(source, signals__measures=measures, ingest__encode={"short_side": 64})
    (problem,) = missing_for(encoded)
    assert compression in problem
    assert "--set ingest.encode=null" in problem
    images = ImageTars(LocalFiles(Location(tmp_path)))
    with pytest.raises(SignalError, match="Compression"):
        image_signals.body("00000", images, encoded, pl.LazyFrame())
