"""The manifest's settings hold what results depend on, and nothing of this machine."""

import json

from paris_assets.dag.records import Record, Records
from paris_assets.experts.manifest import probed
from paris_assets.experts.published_settings import changed_sections, published_settings
from paris_assets.profiles import load_profile


def test_published_settings_hold_no_tuning_and_no_place() -> None:
    settings = published_settings(load_profile("demo", {"source.path": "/somewhere/private/photos.parquet"}))
    assert "private" not in str(settings)
    assert settings["source"]["path"] == "photos.parquet"
    assert "timeout_s" not in settings["ingest"]
    assert "serve" not in settings["ingest"]
    assert settings["clusters"]["k"] == 8
    local = load_profile("demo", {"embedder": {"implementation": "dinov2", "path": "/home/someone/dinov2-base"}})
    assert published_settings(local)["embedder"]["path"] == "dinov2-base"
    hub = load_profile("demo", {"embedder": {"implementation": "dinov2", "path": "facebook/dinov2-base"}})
    assert published_settings(hub)["embedder"]["path"] == "facebook/dinov2-base"


def test_a_root_whose_rules_keep_a_window_of_shares_is_as_its_manifest_says() -> None:
    ranked = [{"name": "best", "column": "entropy", "window": [0.01, 0.3]}]
    profile = load_profile("demo", {"curation.quantile_rules": ranked})
    published = json.loads(json.dumps(published_settings(profile)))
    assert changed_sections(profile, published) == []
    assert changed_sections(load_profile("demo"), published) == ["curation"]


def test_what_the_probe_found_is_published_where_there_is_one() -> None:
    fact = {"metric": "recall_at_1", "differences": [{"subset": "selection", "low": 0.01}]}
    record = Record(
        asset="selection_probe", shard="all", fingerprint="f", rows_fingerprint="f", content="c", rows=1,
        facts={"probe": fact},
    )  # fmt: skip
    assert probed(Records(lambda *_: record, {"selection_probe": ["all"]})) == fact
    assert probed(Records(lambda *_: record, {"raw_images": ["00000"]})) == {}
