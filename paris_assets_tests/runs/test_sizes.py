"""A whole run with two sizes, the larger in buckets: every stage, what is judged, and `paris verify`."""

import json
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.dag.records import ALL
from paris_assets.experts.checks import rows_aligned, shards_complete
from paris_assets.latents.checks import buckets_covered, latents_sane, reconstruction, sizes_complete
from paris_assets.storage.ragged import arrays_of
from paris_assets_tests.fixtures import direct, made_up, small_world

pytestmark = pytest.mark.long
SHAPES = [(64, 64), (96, 64), (80, 50), (64, 110), (70, 71), (40, 60)]


def listed(path: Path) -> Path:
    pictures = [small_world.picture(number, SHAPES[number % len(SHAPES)]) for number in range(24)]
    path.parent.mkdir()
    pl.DataFrame({"image": pictures, "text": ["a picture of it"] * 24}).write_parquet(path)
    return path


def test_a_run_with_two_sizes_and_buckets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    profile = small_world.profile(
        listed(tmp_path / "source" / "list.parquet"),
        source__rows_per_shard=12,
        latents__resolutions=[32, 64],
        latents__buckets={"resolutions": [64], "table": "generated", "area": 64, "step": 16},
        latents__upscale=False,
        latents__report_batch=2,
        checks__max_ratio_error=0.2,
        clusters__max_share=1.0,
    )
    direct.bring_up_to_date(profile, root)
    store = made_up.MadeUpRoot(direct.catalog_of(profile, root))
    for shard in ("00000", "00001"):
        for check in (latents_sane, sizes_complete, shards_complete, rows_aligned):
            found = store.check(check, shard)
            assert found.passed, found.said
    for check in (reconstruction, buckets_covered):
        found = store.check(check, ALL)
        assert found.passed, found.said
    rows = pl.concat([store.read("latents", shard) for shard in ("00000", "00001")])
    shapes = {latent.shape[1:] for latent in arrays_of(rows, "latent_64") if latent is not None}
    assert len(shapes) > 2
    assert 0 < rows["latent_64"].null_count() < rows.height

    record = store.record("latent_report", ALL)
    assert record is not None
    large = record.facts["sizes"]["64"]
    assert large["images"] == rows.height - rows["latent_64"].null_count() == sum(large["buckets"].values())
    page = (root / "analysis/vae_latents.html").read_text()
    assert "Buckets at 64 px" in page
    assert "http" not in page.replace("http-equiv", "")
    assert (root / "analysis/vae_reconstruction_samples_64.png").is_file()
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["format"]["latents"]["sizes"]["64"]["shapes"] == "buckets"
    assert manifest["latents_per_size"]["64"] == {
        "images": large["images"], "upscaled": 0, "buckets": large["buckets"],
    }  # fmt: skip
    assert main(["verify", str(root / "pipeline_manifest.json")]) == 0, capsys.readouterr().out
    # A second run makes nothing.
    assert direct.bring_up_to_date(profile, root) == set()
