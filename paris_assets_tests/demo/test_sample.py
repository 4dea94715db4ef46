"""The sample list is named alike everywhere, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from paris_assets.config import Source
from paris_assets.demo.sample import from_mark, sample_folder, to_mark
from paris_assets.profiles import dump_profile, load_profile


def test_the_demo_finds_the_sample_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile = load_profile("demo")
    assert Path(profile.source.path).read_bytes()[:4] == b"PAR1"
    assert profile.ingest.serve is not None
    assert (Path(profile.ingest.serve) / "server.json").is_file()
    assert Source().path == profile.source.path


def test_what_is_written_names_no_folder_of_this_machine() -> None:
    text = dump_profile(load_profile("demo"))
    assert "path: sample:photos.parquet" in text
    assert "serve: 'sample:'" in text
    assert str(sample_folder().parent) not in text


@pytest.mark.parametrize("path", ["/data/list.parquet", "list.parquet", "s3://bucket/sample:1/list.parquet", "samples"])
def test_other_paths_stay_as_they_are(path: str) -> None:
    assert (from_mark(path), to_mark(path)) == (path, path)


@pytest.mark.parametrize("mark", ["sample:", "sample:images", "sample:derived/tiny"])
def test_a_place_in_the_sample_survives_a_round_trip(mark: str) -> None:
    assert Path(from_mark(mark)).is_dir()
    assert to_mark(from_mark(mark)) == mark


def test_a_folder_beside_the_sample_is_not_in_it() -> None:
    beside = f"{sample_folder()}_mine/list.parquet"
    assert to_mark(beside) == beside
