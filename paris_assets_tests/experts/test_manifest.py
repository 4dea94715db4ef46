"""The manifest's settings hold what results depend on, and nothing of this machine."""

from paris_assets.experts.manifest import published_settings
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
