"""What Dagster's own commands and a person's materialisations do, without `paris run`."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from paris_assets.cli import main
from paris_assets.definitions import build_definitions
from paris_assets.runs.execution import open_instance
from paris_assets.storage.store import open_store


def materialise(root: Path, asset: str, shard: str | None, **tags: str) -> dg.ExecuteInProcessResult:
    job = build_definitions(str(root)).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(asset)],
        partition_key=shard,
        instance=open_instance(open_store(str(root))),
        raise_on_error=False,
        tags=tags,
    )


def test_materialising_by_hand_makes_it_again(root: Path) -> None:
    table = root / "filtered_images" / "00001.parquet"
    before, made_at = table.read_bytes(), table.stat().st_mtime_ns
    assert materialise(root, "filtered_images", "00001").success
    assert table.read_bytes() == before
    assert table.stat().st_mtime_ns > made_at


def test_a_run_of_ours_leaves_finished_partitions_alone(root: Path) -> None:
    table = root / "filtered_images" / "00001.parquet"
    made_at = table.stat().st_mtime_ns
    assert materialise(root, "filtered_images", "00001", **{"paris/resume": "true"}).success
    assert table.stat().st_mtime_ns == made_at


def test_a_missing_input_is_named(root: Path) -> None:
    (root / "image_signals" / "00001.parquet").unlink()
    result = materialise(root, "filtered_images", "00001")
    assert not result.success
    failure = next(event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_FAILURE)
    assert "image_signals/00001 has not been made" in str(failure.step_failure_data.error)


def test_a_lost_caption_stops_the_expert_shard(root: Path) -> None:
    from paris_assets_tests.worlds import flat_store, put

    captions = open_store(str(root)).read("captions", "00001")
    put(flat_store(root.parent / "flat"), "captions", captions[1:], "00001")
    (root.parent / "flat" / "captions" / "00001.parquet").replace(root / "captions" / "00001.parquet")
    result = materialise(root, "expert_shards", "00001")
    failure = next(event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_FAILURE)
    assert "after joining captions and clusters" in str(failure.step_failure_data.error)


def test_definitions_validate(tmp_path: Path) -> None:
    project = Path(__file__).parents[2]
    command = [
        str(Path(sys.executable).parent / "dagster"),
        "definitions",
        "validate",
        "-w",
        str(project / "workspace.yaml"),
    ]
    environment = {**os.environ, "PARIS_ROOT": str(tmp_path / "root"), "DAGSTER_HOME": str(tmp_path)}
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=project)
    assert run.returncode == 0, run.stderr


def test_assets_carry_what_the_catalogue_shows(tmp_path: Path) -> None:
    definitions = build_definitions(str(tmp_path))
    specs = definitions.resolve_all_asset_specs()
    assert len(specs) >= 20
    for spec in specs:
        assert spec.group_name in ("ingest", "signals", "curation", "captions", "clusters", "latents", "experts")
        assert spec.kinds
        assert len(spec.description or "") > 40
        assert spec.code_version
        assert spec.metadata["dagster/column_schema"].columns


def test_inspect_tells_why_an_image_was_dropped(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(str(finished))
    ledger = store.scan("raw_images", store.shards()).collect()
    failed = ledger.drop_nulls("reason").row(0, named=True)
    assert main(["inspect", failed["url"], "--root", str(finished)]) == 0
    assert f"not fetched: {failed['reason']}" in capsys.readouterr().out
    copy = store.read("duplicate_groups").filter(method="phash").row(0, named=True)
    keeper = store.read("duplicate_groups").filter(keeper=True, group_id=copy["group_id"]).row(0, named=True)
    assert main(["inspect", copy["image_id"], "--root", str(finished)]) == 0
    said = capsys.readouterr().out
    assert keeper["image_id"] in said
    assert f"in shard {keeper['shard']}" in said
    published = store.read("router_arrays", "00000").row(0, named=True)
    assert main(["inspect", published["image_id"][:12], "--root", str(finished)]) == 0
    assert f"published in cluster {published['cluster']}: expert_shards/cluster_" in capsys.readouterr().out
    assert main(["inspect", "ffffffffffff", "--root", str(finished)]) == 1


def test_doctor_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["doctor", "--root", str(tmp_path)]) == 0
    assert "everything that this profile needs is here" in capsys.readouterr().out
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("embedder: {implementation: dinov2, path: facebook/dinov2-base}\n")
    assert main(["doctor", "--profile", str(wrong), "--root", str(tmp_path)]) == 1
    assert "facebook/dinov2-base" in capsys.readouterr().out


def test_wrong_usage_ends_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--profile", "nope", "--root", str(tmp_path)]) == 2
    assert main(["run", "--set", "clusters.k=none", "--root", str(tmp_path)]) == 2
    assert main(["run", "--source", str(tmp_path / "absent.parquet"), "--root", str(tmp_path)]) == 2
    assert main(["run", "--workers", "0", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no profile 'nope'" in said
    assert "clusters.k" in said
    assert "absent.parquet" in said
