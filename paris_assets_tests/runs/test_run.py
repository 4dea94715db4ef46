"""Whole runs on real photos behind a real loopback server."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.graph import descendants
from paris_assets.dag.records import read_record
from paris_assets.definitions import asset_graph
from paris_assets.planning.registration import SourceChanged
from paris_assets.profiles import load_profile
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request, UnknownName, plan
from paris_assets.storage.location import Location, sha256_file
from paris_assets_tests.fixtures import direct
from paris_assets_tests.runs.conftest import settings

pytestmark = pytest.mark.long

GRAPH = asset_graph(load_profile("demo", {"probe": None}))


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every file under a root except Dagster's own."""
    files = [path for path in root.rglob("*") if path.is_file()]
    names = {str(path.relative_to(root)): path for path in files}
    return {
        name: sha256_file(path) for name, path in sorted(names.items()) if not name.startswith((".dagster", ".scratch"))
    }


def published(root: Path) -> dict[str, str]:
    """sha256 of the files that the manifest lists, and of the manifest."""
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    names = [file["path"] for file in manifest["files"]]
    return {name: sha256_file(root / name) for name in [*names, "pipeline_manifest.json"]}


def todo(root: Path, source: Path, request: Request | None = None, **overrides: object) -> set[str]:
    catalog = direct.catalog_of(settings(source, **overrides), root)
    return {asset for _, tasks in plan(catalog, request or Request()) for task in tasks for asset in task.assets}


def table(root: Path, asset: str) -> pl.DataFrame:
    return pl.read_parquet(sorted((root / asset).glob("*.parquet")))


def test_a_second_run_does_nothing_and_says_so(finished: Path, source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = hashes(finished)
    start = time.monotonic()
    assert run_command(settings(source), str(finished), Request(), dry_run=False) == 0
    assert time.monotonic() - start < 10
    assert "nothing to do" in capfd.readouterr().err
    assert hashes(finished) == before


def test_every_row_is_accounted_for(finished: Path) -> None:
    manifest = json.loads((finished / "pipeline_manifest.json").read_text())
    counts = manifest["counts"]
    for asset in ("raw_images", "filtered_images", "duplicate_groups", "curated_images", "latents", "expert_shards"):
        kept = counts["duplicate_groups"]["out"] - sum(counts["duplicate_groups"]["rejects"].values())
        out = kept if asset == "duplicate_groups" else counts[asset]["out"]
        assert counts[asset]["in"] == out + sum(counts[asset]["rejects"].values()), asset
    assert sum(manifest["images_per_cluster"].values()) == counts["expert_shards"]["out"]


def test_each_bad_row_is_recorded_for_its_own_reason(finished: Path) -> None:
    ledger = table(finished, "raw_images")
    failed = dict(ledger.drop_nulls("reason")["reason"].value_counts().iter_rows())
    assert failed == {
        "bad_scheme": 1,
        "empty_body": 1,
        "http_404": 1,
        "not_an_image": 1,
        "private_address": 3,
        "timeout": 1,
        "too_large": 2,
        "too_many_redirects": 1,
    }
    recovered = ledger.filter((pl.col("attempts") > 1) & (pl.col("status") == "ok"))
    assert recovered.height >= 1
    reasons = set(table(finished, "filtered_images").drop_nulls("reason")["reason"])
    assert {"undecodable", "short_side", "aspect"} <= reasons
    groups = table(finished, "duplicate_groups")
    assert set(groups.drop_nulls("method")["method"]) == {"exact", "phash"}
    spread = groups.group_by("group_id").agg(pl.col("shard").n_unique())
    assert spread.filter(pl.col("shard") > 1).height >= 3


def test_captions_come_from_the_source_and_from_labels(finished: Path) -> None:
    captions = table(finished, "captions")
    assert set(captions["captioner"]) == {"source_text", "imagenet-labels"}
    labelled = captions.filter(captioner="imagenet-labels")
    assert labelled["caption"].str.starts_with("a photo of ").all()


def test_contract_columns(finished: Path) -> None:
    contract = {
        "raw_images": "source_row image_id url text status reason http_status attempts size_bytes width height format "
        "sha256 offset",
        "image_signals": "image_id phash dhash entropy blocking",
        "content_scores": "image_id nsfw",
        "filtered_images": "image_id kept reason value reasons",
        "duplicate_groups": "image_id shard source_row group_id keeper distance method",
        "curated_images": "image_id source_row url text alt_texts width height",
        "captions": "image_id caption captioner source_text",
        "text_embeddings": "image_id embedding pooled tokens",
        "image_embeddings": "image_id embedding",
        "cluster_assignments": "image_id cluster distance second_distance fine_cluster",
        "training_selection": "image_id cluster selected reason",
        "latents": "image_id latent_256 upscaled crop_top crop_left",
        "expert_shards": "cluster path samples size_bytes sha256",
    }
    for asset, columns in contract.items():
        assert set(columns.split()) <= set(table(finished, asset).columns), asset
    assert table(finished, "text_embeddings").schema["embedding"] == pl.Array(pl.Float16, (77, 384))
    assert table(finished, "image_embeddings").schema["embedding"] == pl.Array(pl.Float16, 1280)
    assert table(finished, "latents").schema["latent_256"] == pl.Array(pl.Float16, (4, 32, 32))
    assert table(finished, "cluster_assignments").schema["cluster"] == pl.Int32


def test_every_table_declares_its_columns(finished: Path) -> None:
    from paris_assets.definitions import ASSETS, build_definitions

    schemas = {asset.name: asset.schema for asset in ASSETS}
    specs = build_definitions(str(finished)).resolve_all_asset_specs()
    for spec in specs:
        declared = {column.name: column.type for column in spec.metadata["dagster/column_schema"].columns}
        found = {name: str(kind) for name, kind in table(finished, spec.key.to_user_string()).schema.items()}
        assert set(schemas[spec.key.to_user_string()].always()) <= found.keys() & declared.keys(), spec.key
        scalars = {name: kind for name, kind in declared.items() if name in found and not kind.startswith("Array")}
        assert scalars == {name: found[name] for name in scalars}, spec.key


def test_contract_files(finished: Path) -> None:
    names = set(hashes(finished))
    expected = {
        "profile.yaml",
        "pipeline_manifest.json",
        "expert_shards/empty_prompt.npy",
        "analysis/cluster_0_grid.png",
        "analysis/cluster_3_grid.png",
        "analysis/vae_reconstruction_samples.png",
        "analysis/cluster_report.json",
        "analysis/cluster_report.md",
        "analysis/cluster_report.html",
        *(f"router_training/{name}.npy" for name in ("latents", "labels", "embeddings", "clip", "image_ids", "split")),
        *(
            f"router_arrays/00001/{name}.npy"
            for name in ("latents", "labels", "embeddings", "clip", "image_ids", "split")
        ),
    }
    assert expected <= names
    assert np.load(finished / "expert_shards/empty_prompt.npy").shape == (77, 384)


def test_the_curation_report_leads_to_a_page_of_how_long_it_took(finished: Path) -> None:
    page = finished / "analysis/curation_report.html"
    (link,) = re.findall(r'<a href="([^"]*run_times[^"]*)">', page.read_text())
    text = (page.parent / link).read_text()
    found = re.findall(r"<td>([^<]+)</td>" * 5, text)
    rows = {name: cells for name, *cells in reversed(found)}  # of an operator of several assets the first
    assert GRAPH.keys() <= rows.keys()
    images = table(finished, "image_signals")
    assert rows["image_signals"][0] == f"{images.height}"
    assert rows["Entropy"][0] == rows["decoding"][0] == f"{images.filter(~pl.col('undecodable')).height}"
    assert {"Degradation", "PerceptualHash", "open-nsfw"} <= rows.keys()
    assert 0 < float(rows["Entropy"][1]) <= float(rows["image_signals"][1])


def test_router_rows_are_those_of_the_tables(finished: Path) -> None:
    arrays = {
        path.stem: np.load(path, mmap_mode="r", allow_pickle=False)
        for path in (finished / "router_training").glob("*.npy")
    }
    ids = [name.decode() for name in arrays["image_ids"]]
    assignments = dict(table(finished, "cluster_assignments").select("image_id", "cluster").iter_rows())
    assert arrays["labels"].tolist() == [assignments[name] for name in ids]
    latents = table(finished, "latents")
    rows = dict(zip(latents["image_id"], latents["latent_256"].to_numpy(), strict=True))
    assert all(np.array_equal(arrays["latents"][row], rows[name]) for row, name in enumerate(ids))
    assert len(set(ids)) == len(ids)
    assert 0 < int((arrays["split"] == 1).sum()) < len(ids)


def test_published_files_hold_no_time_host_port_or_path(finished: Path, source: Path) -> None:
    private = [str(finished).encode(), str(source.parent).encode(), b"127.0.0.1", os.uname().nodename.encode()]
    for name in published(finished):
        data = (finished / name).read_bytes()
        assert not any(word in data for word in private if len(word) > 3), name
    for name in ("analysis/cluster_report.html", "analysis/cluster_report.json"):
        assert not any(word in (finished / name).read_bytes() for word in private if len(word) > 3), name


def test_what_a_request_would_redo(finished: Path, source: Path) -> None:
    assert todo(finished, source) == set()
    assert todo(finished, source, Request(start="cluster_model")) == descendants(GRAPH, "cluster_model")
    assert todo(finished, source, Request(select=("captions",), force=True)) == {"captions"}


@pytest.mark.slow
def test_a_deleted_file_and_a_deleted_home_are_repaired(root: Path, source: Path) -> None:
    before = published(root)
    (root / "raw_images" / "00001.tar").unlink()
    next((root / "expert_shards" / "cluster_0").glob("*.tar")).unlink()
    (root / "captions" / "00000.parquet").unlink()
    shutil.rmtree(root / ".dagster")
    assert run_command(settings(source), str(root), Request(), dry_run=False) == 0
    assert published(root) == before
    assert todo(root, source) == set()


def test_a_deleted_home_alone_is_told_what_is_finished(root: Path, source: Path) -> None:
    import dagster as dg

    from paris_assets.runs.execution import open_instance

    before = hashes(root)
    shutil.rmtree(root / ".dagster")
    assert run_command(settings(source), str(root), Request(), dry_run=False) == 0
    assert hashes(root) == before
    instance = open_instance(Location(root))
    assert instance.get_materialized_partitions(dg.AssetKey("latents")) == {"00000", "00001"}
    assert instance.get_latest_materialization_event(dg.AssetKey("pipeline_manifest")) is not None


@pytest.mark.extended
def test_nothing_is_published_from_shards_of_other_settings(
    root: Path, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = published(root)
    changed = settings(source, latents__posterior="sample")
    assert run_command(changed, str(root), Request(shards=("00001",)), dry_run=False) == 1
    said = " ".join(capfd.readouterr().err.split())
    assert re.search(r"not made [^:]*pipeline_manifest: [^:]*latents/00000 missing or out of date", said), said
    assert (root / "pipeline_manifest.json").read_bytes()
    assert sha256_file(root / "pipeline_manifest.json") == before["pipeline_manifest.json"]
    assert run_command(changed, str(root), Request(), dry_run=False) == 0
    assert json.loads((root / "pipeline_manifest.json").read_text())["settings"]["latents"]["posterior"] == "sample"


def test_dry_runs_and_wrong_commands_change_nothing(root: Path, source: Path, tmp_path: Path) -> None:
    before = hashes(root)
    other = settings(source, clusters__k=3)
    assert run_command(other, str(root), Request(), dry_run=True) == 0
    with pytest.raises(UnknownName):
        run_command(other, str(root), Request(select=("nonsense",)), dry_run=False)
    with pytest.raises(UnknownName, match="matches no asset"):
        run_command(other, str(root), Request(select=("group:nonsense",)), dry_run=False)
    assert hashes(root) == before
    with pytest.raises(ValueError, match="absent"):
        run_command(settings(tmp_path / "absent.parquet"), str(tmp_path / "new"), Request(), dry_run=False)
    assert not (tmp_path / "new" / "profile.yaml").exists()


@pytest.mark.slow
def test_a_worker_that_dies_is_reported_and_the_others_go_on(root: Path, source: Path) -> None:
    from paris_assets.planning.waves import Task
    from paris_assets.runs.crew import LocalCrew
    from paris_assets.runs.execution import new_invocation

    catalog = direct.catalog_of(settings(source), root)
    killed: list[int] = []

    def kill_one(asset: str, shard: str, event: str) -> None:
        if shard == "00001" and not killed:
            pool = crew._many._pool if crew._many else []
            place: Any = next(one.place for one in pool if one.job and one.job.report.task.shard == shard)
            killed.append(place.process.pid)
            os.kill(killed[0], signal.SIGKILL)

    crew = LocalCrew(catalog, 2, kill_one, new_invocation())
    shards = catalog.shards()
    try:
        tasks = [Task(shard, ("training_selection",), ("training_selection",)) for shard in shards]
        reports = {report.task.shard: report for report in crew.run(tasks)}
        assert sorted(reports) == shards
        assert "worker process died" in reports["00001"].failures["training_selection"]
        assert not reports["00000"].failures
        assert crew._many is not None
        idle: Any = crew._many._pool[0].place
        idle = idle.process
        os.kill(idle.pid, signal.SIGKILL)
        idle.join()
        again = [report.failures for report in crew.run(tasks)]
        assert again == [{}, {}]
    finally:
        crew.close()


def test_text_from_the_web_is_no_markup(finished: Path, source: Path) -> None:
    import io

    from rich.console import Console

    from paris_assets.planning.waves import Task
    from paris_assets.runs.run import RunReport
    from paris_assets.runs.summary import print_summary
    from paris_assets.runs.task_report import TaskReport

    catalog = direct.catalog_of(settings(source), finished)
    said = io.StringIO()
    failed = ["captions: '[/url] buy [red]now' is 90 %"]
    check = TaskReport(Task("00000", ("captions",)), failed_checks=failed, peak_kib=4096 << 20)
    print_summary(catalog, RunReport([check]), Console(file=said, width=200))
    assert "'[/url] buy [red]now' is 90 %" in said.getvalue()
    assert "largest process 4096.0 GiB" in said.getvalue(), "wherever it was"


def test_another_source_on_the_same_root_is_refused(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pl.DataFrame({"URL": ["http://photos.example/x.jpg"], "TEXT": ["x"]}).write_parquet(other)
    with pytest.raises(SourceChanged, match=r"photos\.parquet, not of .*other\.parquet"):
        run_command(settings(other), str(root), Request(), dry_run=False)


def test_unknown_names_are_refused(finished: Path, source: Path) -> None:
    catalog = direct.catalog_of(settings(source), finished)
    for request in (Request(select=("latent",)), Request(start="nope"), Request(shards=("99999",))):
        with pytest.raises(UnknownName):
            plan(catalog, request)


def test_asset_selection_syntax(finished: Path, source: Path) -> None:
    catalog = direct.catalog_of(settings(source), finished)
    found = plan(catalog, Request(select=("group:captions",), force=True))
    assert {asset for _, tasks in found for task in tasks for asset in task.assets} == {"captions", "text_embeddings"}


def test_no_check_fails_on_a_good_run(finished: Path, source: Path) -> None:
    from paris_assets.runs.execution import open_instance

    instance = open_instance(Location(finished))
    import dagster as dg

    records = instance.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION))
    evaluations = [record.event_log_entry.dagster_event.asset_check_evaluation_data for record in records]  # type: ignore[union-attr]
    assert len({(found.asset_key, found.check_name) for found in evaluations}) >= 24
    assert [found for found in evaluations if not found.passed] == []


def test_dagster_knows_versions_rows_and_rejects(finished: Path, source: Path) -> None:
    import dagster as dg

    from paris_assets.runs.execution import open_instance

    instance = open_instance(Location(finished))
    for asset, node in GRAPH.items():
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None, asset
        materialization = event.asset_materialization
        assert materialization is not None
        record = read_record(Location(finished), asset, materialization.partition or "all")
        assert record is not None
        assert (materialization.tags or {})["dagster/data_version"] == record.content
        assert (materialization.tags or {})["dagster/code_version"] == node.code_version
        assert materialization.metadata["dagster/row_count"].value == record.rows
        assert "seconds" in materialization.metadata
