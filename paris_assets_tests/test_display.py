"""What Dagster shows of every asset, of a run, and of a run with something wrong."""

import io
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.captions.checks import captions_differ
from paris_assets.cli import main
from paris_assets.dag.display import MAX_PICTURES, facts_metadata, output_metadata
from paris_assets.dag.failed_checks import FailedCheck, failed_checks, summary
from paris_assets.definitions import asset_graph, build_definitions, open_catalog
from paris_assets.planning.unchecked import LOOK
from paris_assets.profiles import load_profile
from paris_assets.runs import dev
from paris_assets.runs.command import run_command
from paris_assets.runs.execution import open_instance
from paris_assets.runs.look import say_unfinished
from paris_assets.runs.progress import open_console
from paris_assets.runs.run import Request
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures import made_up, small_world
from paris_assets_tests.models import cheap
from paris_assets_tests.test_errors import free_port

SPECS = {spec.key.to_user_string(): spec for spec in build_definitions("/nonexistent").resolve_all_asset_specs()}
COLUMNS = {
    name: {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    for name, spec in SPECS.items()
}
LINEAGE = {name: spec.metadata["dagster/column_lineage"].deps_by_column for name, spec in SPECS.items()}
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
NAMES = sorted(asset_graph(load_profile("demo")))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first shard lost half of its images, and whose latents are held to an impossible bound."""
    folder = tmp_path_factory.mktemp("display")
    source = small_world.web(folder, 40)
    for number in range(0, 20, 2):
        (folder / "site" / f"{number:05d}.jpg").unlink(missing_ok=True)
    bring_up_to_date(folder / "root", source)
    return folder / "root"


def bring_up_to_date(root: Path, source: Path, **checks: Any) -> int:
    bounds = {"checks__min_psnr_db": 90.0, "checks__warn_only": ["reconstruction"], "curation__report": True}
    profile = small_world.profile(source, **bounds, **{f"checks__{name}": value for name, value in checks.items()})
    return run_command(profile, str(root), Request(), dry_run=False)


@pytest.fixture(scope="module")
def instance(root: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Location(root)) as instance:
        yield instance


def latest_evaluation(instance: dg.DagsterInstance, asset: str, check: str) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.evaluation is not None
    return record.evaluation


def metadata(instance: dg.DagsterInstance, name: str) -> dict[str, Any]:
    """Of the latest materialisation."""
    event = instance.get_latest_materialization_event(dg.AssetKey(name))
    assert event is not None
    assert event.asset_materialization is not None
    return {label: value.value for label, value in event.asset_materialization.metadata.items()}


def rows(root: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(sorted((root / name).glob("*.parquet")))


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_explains_an_asset(name: str) -> None:
    spec = SPECS[name]
    sentences = re.split(r"(?<=[.!?])\s+", (spec.description or "").strip())
    assert len(sentences) in (2, 3)
    assert all(len(sentence) > 20 for sentence in sentences)
    assert spec.group_name == spec.tags["stage"]
    assert spec.tags["compute"] in ("cpu", "gpu", "fit", "io")
    assert spec.kinds
    assert spec.owners == ["team:paris-assets"]
    assert spec.code_version
    assert all(column.type and len(column.description or "") > 3 for column in COLUMNS[name].values())


@pytest.mark.parametrize("name", NAMES)
def test_lineage_names_columns_that_inputs_have(name: str) -> None:
    inputs = {dep.asset_key.to_user_string() for dep in SPECS[name].deps}
    for column, deps in LINEAGE[name].items():
        assert column in COLUMNS[name]
        for dep in deps:
            assert dep.asset_key.to_user_string() in inputs, f"{name}.{column}"
            assert dep.column_name in COLUMNS[dep.asset_key.to_user_string()], f"{name}.{column}"


@pytest.mark.parametrize("name", NAMES)
def test_every_column_that_an_input_has_too_has_lineage(name: str) -> None:
    above = {column for dep in SPECS[name].deps for column in COLUMNS[dep.asset_key.to_user_string()]}
    # The shard is the partition's name, not a value that is read.
    assert (COLUMNS[name].keys() & above) - LINEAGE[name].keys() <= {"shard"}


def test_values_that_are_passed_on_are_those_of_the_column_named(root: Path) -> None:
    compared = 0
    for name, lineage in LINEAGE.items():
        for column, deps in lineage.items():
            kind = COLUMNS[name][column].type
            same = [dep for dep in deps if dep.column_name == column]
            if name == "pipeline_manifest" or len(deps) > 1 or not same or kind.startswith(("Array", "List")):
                continue
            if column not in rows(root, name).columns:  # of other profiles
                continue
            passed = set(rows(root, name)[column])
            known = set(rows(root, same[0].asset_key.to_user_string())[column])
            summed = name == "expert_summary" and column in ("samples", "size_bytes")
            if (name, column) == ("expert_shards", "split"):
                known.add(None)  # of a tar that holds both sides
            if not summed and (name, column) != ("latent_report", "upscaled"):
                assert passed <= known, f"{name}.{column}"
                compared += 1
    assert compared > 25


@pytest.mark.parametrize("name", [name for name in NAMES if name != "training_probe"])  # of too few pictures
def test_a_materialisation_has_the_figures(instance: dg.DagsterInstance, root: Path, name: str) -> None:
    found = metadata(instance, name)
    rates = [value for label, value in found.items() if label.endswith("_per_second")]
    assert len(rates) == 1
    assert rates[0] > 0
    assert found["dagster/row_count"] >= 0
    assert found["dagster/size_bytes"] > 0
    assert found["seconds"] > 0
    assert found["rows_in"] > 0
    assert 0 <= found["kept_share"] <= 1
    assert found["dagster/column_lineage"] == SPECS[name].metadata["dagster/column_lineage"]
    shown = found.get("dagster/column_schema") or SPECS[name].metadata["dagster/column_schema"]
    table = rows(root, name).schema
    assert {column.name: column.type for column in shown.columns} == {key: str(kind) for key, kind in table.items()}
    assert all(column.description for column in shown.columns)


def test_a_rate_counts_the_body_and_the_commit(instance: dg.DagsterInstance) -> None:
    found = metadata(instance, "duplicate_groups")
    assert found["images_per_second"] == pytest.approx(found["rows_in"] / found["seconds"], rel=0.05)
    assert "images_per_second" in metadata(instance, "expert_shards")
    assert "rows_per_second" in metadata(instance, "raw_images")


def test_rejects_are_shown_by_reason(instance: dg.DagsterInstance) -> None:
    found = metadata(instance, "raw_images")
    rejected = {label: value for label, value in found.items() if label.startswith("rejected ")}
    assert rejected == {"rejected http_404": 1, "rejected not_an_image": 2}
    assert found["kept_share"] == pytest.approx(17 / 20)


PICTURE = re.compile(r"!\[[^]]*\]\(/logs/([^?)]+)\?\w+\)")


def pictures(instance: dg.DagsterInstance, name: str) -> dict[str, bytes]:
    """Pictures of the latest materialisation by label, from where Dagster's webserver sends them."""
    found = {}
    for label, value in metadata(instance, name).items():
        if isinstance(value, str) and (address := PICTURE.fullmatch(value)):
            assert len(value) < 1000, "longer Markdown is behind a link"
            *key, ending = address[1].split("/")
            manager: Any = instance.compute_log_manager
            found[label] = Path(manager.get_captured_local_path(key, ending)).read_bytes()
    return found


def test_pictures_stay_small_and_the_page_is_named(instance: dg.DagsterInstance) -> None:
    found = pictures(instance, "cluster_report")
    grids = [f"cluster_{number}_grid.png" for number in range(3)]
    assert sorted(found) == sorted(["cluster_map.png", "cluster_sizes.png", *grids])
    found |= pictures(instance, "latent_report")
    assert "vae_reconstruction_samples.png" in found
    for picture in found.values():
        assert len(picture) <= 50_000
        assert Image.open(io.BytesIO(picture)).format == "JPEG"
    assert metadata(instance, "cluster_report")["report"].endswith("analysis/cluster_report.html")


@pytest.mark.parametrize("name", ["captions", "filtered_images", "duplicate_groups", "curated_images"])
def test_images_are_shown_with_their_rows(instance: dg.DagsterInstance, root: Path, name: str) -> None:
    (picture,) = pictures(instance, name).values()
    assert len(picture) <= 50_000
    assert Image.open(io.BytesIO(picture)).width > 200
    found = metadata(instance, name)
    assert next(label for label in found if not label.startswith("dagster/")) == "images", "at the top"
    shown = [record.data["image_id"] for record in found["rows of these images"].records]
    assert set(shown) <= set(rows(root, name)["image_id"])
    if name == "filtered_images":
        assert found["rows of these images"].records[0].data["kept"] is False, "what was rejected comes first"


def test_of_many_pictures_the_first_are_shown(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)).save(file, "PNG")
    drawn = {f"analysis/{number}.png": file.getvalue() for number in range(MAX_PICTURES + 3)}
    record: Any = SimpleNamespace(asset="made_up", shard="all")
    found = output_metadata(Location(tmp_path), Output(pictures=drawn), instance, record)
    assert list(found) == [f"{number}.png" for number in range(MAX_PICTURES)]


def test_what_settings_decide_is_text_and_so_not_plotted(instance: dg.DagsterInstance) -> None:
    found = metadata(instance, "cluster_report")
    assert (found["k"], found["stability_seeds"]) == ("3", "2")
    assert isinstance(found["silhouette"], float)
    assert found["images_per_cluster"] == ", ".join(str(size) for size in sorted(sizes_of(found), reverse=True))
    assert metadata(instance, "latents")["scaling_factor"] == "1"
    assert isinstance(metadata(instance, "filtered_images")["rows_kept"], int)


def sizes_of(found: dict[str, Any]) -> list[int]:
    return [int(size) for size in found["images_per_cluster"].split(", ")]


def test_facts_are_shown_on_one_line() -> None:
    models = {"captioner": {"implementation": "blip2", "revision": None, "sha256": "ab" * 32, "batch": 8}}
    found = facts_metadata({"models": models, "shards": [f"{n:05d}" for n in range(1100)], "made_from": {}, "seed": 7})
    assert {name: value.value for name, value in found.items()} == {
        "models": "captioner: implementation: blip2; sha256: abababababab; batch: 8",
        "shards": ", ".join(f"{n:05d}" for n in range(10))
        + ", ..., "
        + ", ".join(f"{n:05d}" for n in range(1090, 1100))
        + " (1,100 in all)",
        "seed": "7",
    }


def test_a_page_says_what_is_held_by_all_shards_and_where_the_report_is(
    instance: dg.DagsterInstance, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARIS_PAGES", "http://127.0.0.1:3001")
    shown = {
        spec.key.to_user_string(): spec.description or ""
        for spec in build_definitions(str(root), instance=instance).resolve_all_asset_specs()
    }
    doc = SPECS["raw_images"].description
    counted = r"Over 2 of 2 shards 40 rows in and 24 out; rejected: http_404 12, not_an_image 4\. Counted .{17} UTC\."
    assert re.fullmatch(re.escape(f"{doc}\n\n") + counted, shown["raw_images"])
    assert shown["cluster_report"].endswith("[Open the report](http://127.0.0.1:3001/analysis/cluster_report.html)")
    assert shown["duplicate_groups"] == SPECS["duplicate_groups"].description


def test_what_is_wrong_is_said_in_one_place(instance: dg.DagsterInstance) -> None:
    found = latest_evaluation(instance, "pipeline_manifest", "no_failed_checks")
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    said = (found.description or "").splitlines()
    assert said[0] == "2 checks fail, 1 of them with an error:"
    assert said[2].startswith("- **ERROR** [raw_images fetched](/assets/raw_images?view=checks&checkDetail=fetched) ")
    assert "Shard 00000: 7 of 20 rows fetched (35.0%), at least 50% expected; failed: http_404 11" in said[2]
    assert said[3].startswith("- **WARN** [latent_report reconstruction]")
    assert "dB, at least 90 expected" in said[3]


def test_a_failed_shard_is_shown_although_later_ones_passed(instance: dg.DagsterInstance) -> None:
    found = latest_evaluation(instance, "raw_images", "fetched")
    assert (found.partition, found.passed) == ("00000", False)
    assert found.severity == dg.AssetCheckSeverity.ERROR
    figures = {label: value.value for label, value in found.metadata.items()}
    assert figures == {"fetched": pytest.approx(0.35), "checks.min_fetched": "0.5"}, "bounds are text: no plot of them"
    (failed,) = failed_checks(instance, [found.asset_check_key])
    assert (failed.shards, failed.hidden) == (["00000"], False)


def evaluations(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> int:
    return len(instance.event_log_storage.get_asset_check_execution_history(key, limit=100))


def test_new_bounds_are_judged_by_without_making_anything_again(root: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(root, tmp_path / "root"))
    before = small_world.contents(moved)
    bring_up_to_date(moved, root.parent / "list.parquet", min_fetched=0.3)
    with open_instance(Location(moved)) as instance:
        fetched = latest_evaluation(instance, "raw_images", "fetched")
        assert fetched.passed
        assert fetched.metadata["checks.min_fetched"].value == "0.3"
        other = dg.AssetCheckKey(dg.AssetKey("raw_images"), "ledger_complete")
        assert evaluations(instance, other) == 2  # one for each shard, as its bounds are the same
        said = latest_evaluation(instance, "pipeline_manifest", "no_failed_checks")
        assert (said.description or "").startswith("1 checks fail, 0 of them with an error")
        assert said.severity == dg.AssetCheckSeverity.WARN
    del before["profile.yaml"]
    assert before.items() <= small_world.contents(moved).items()


@pytest.mark.slow
def test_a_root_that_dagster_does_not_know_is_shown_as_it_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Copied from elsewhere, or its home deleted: `paris dev` tells Dagster, and once is enough."""
    moved = Path(shutil.copytree(root, tmp_path / "root"))
    shutil.rmtree(moved / ".dagster")
    monkeypatch.setattr(os, "execve", lambda *_: None)
    monkeypatch.setattr(dev, "start_file_server", lambda *_: "http://127.0.0.1:3001")
    for _ in range(2):
        main(["dev", "--root", str(moved), "--port", str(free_port())])
    tables = sum(len(list((moved / name).glob("*.parquet"))) for name in NAMES)
    said = " ".join(capfd.readouterr().err.split())
    assert said.count(f"told Dagster of {tables} finished partitions that it did not know") == 1
    assert said.count("checks that were missing") == 1
    with open_instance(Location(moved)) as instance:
        fetched = latest_evaluation(instance, "raw_images", "fetched")
        assert (fetched.partition, fetched.passed) == ("00000", False)
        (status,) = [
            one
            for one in instance.event_log_storage.get_asset_check_partition_info([fetched.asset_check_key])
            if one.partition_key == "00001"
        ]
        assert status.is_current
        said = latest_evaluation(instance, "pipeline_manifest", "no_failed_checks").description or ""
        assert said.startswith("2 checks fail, 1 of them with an error")
        assert [run.job_name for run in instance.get_runs()] == [LOOK]
        assert len(pictures(instance, "cluster_report")) >= 5, "the pictures are there again"
        assert metadata(instance, "cluster_report")["report"].endswith("analysis/cluster_report.html")


def test_an_asset_of_shards_has_its_totals_and_first_rows(instance: dg.DagsterInstance, root: Path) -> None:
    found = latest_evaluation(instance, "raw_images", "all_shards")
    assert found.description == ("Over 2 of 2 shards 40 rows in and 24 out; rejected: http_404 12, not_an_image 4.")
    assert {name: value.value for name, value in found.metadata.items()}["rejected http_404, all shards"] == 12
    shown = metadata(instance, "text_embeddings")["first rows"]
    (first, *others) = shown.records
    assert len(others) == 4
    assert first.data["image_id"] in set(rows(root, "text_embeddings")["image_id"])
    assert shown.schema.columns[-1].name == "image_id"


def test_internals_are_not_shown(instance: dg.DagsterInstance) -> None:
    assert not [name for spec in SPECS.values() for name in spec.metadata if not name.startswith("dagster/")]
    assert "made_from" not in metadata(instance, "duplicate_groups")


def out_of_memory(*_: Any) -> None:
    raise RuntimeError("out of memory")


def press_ctrl_c(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("end", [out_of_memory, press_ctrl_c], ids=["failed", "stopped"])
@pytest.mark.slow
def test_what_ends_a_run_says_which_assets_hold_an_older_set(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], end: Any
) -> None:
    moved, source = Path(shutil.copytree(root, tmp_path / "root")), root.parent / "list.parquet"
    (moved / "image_embeddings" / "00001.parquet").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(cheap.Colours, "run", end)
        if end is press_ctrl_c:
            with pytest.raises(KeyboardInterrupt):
                bring_up_to_date(moved, source)
        else:
            assert bring_up_to_date(moved, source) == 1
    say_unfinished(open_catalog(str(moved)), open_console())
    said = capfd.readouterr().err.partition("not up to date: ")[2].partition(";")[0].split(", ")
    assert {"cluster_report", "curation_report", "pipeline_manifest"} <= set(said)
    assert "duplicate_groups" not in said
    with open_instance(Location(moved)) as instance:
        since = "Holds an older set: since then image_embeddings/00001 came or changed, and is not made."
        for asset in ("cluster_report", "expert_summary", "pipeline_manifest"):
            found = latest_evaluation(instance, asset, "up_to_date")
            assert not found.passed
            assert (found.description or "").startswith(since)
        assert latest_evaluation(instance, "duplicate_groups", "up_to_date").passed
        said = latest_evaluation(instance, "pipeline_manifest", "no_failed_checks")
        assert (
            f"[pipeline_manifest up_to_date](/assets/pipeline_manifest?view=checks&checkDetail=up_to_date) {since}"
            in (said.description or "")
        )
        bring_up_to_date(moved, source)
        assert latest_evaluation(instance, "pipeline_manifest", "up_to_date").passed
        said = latest_evaluation(instance, "pipeline_manifest", "no_failed_checks").description or ""
        assert said.startswith("2 checks fail, 1 of them with an error")


def test_runs_of_one_command_have_one_tag_a_job_and_an_origin(instance: dg.DagsterInstance) -> None:
    runs = instance.get_runs()
    assert len(runs) > 8
    (invocation,) = {run.tags["paris/invocation"] for run in runs}
    assert list(instance.get_runs(dg.RunsFilter(tags={"paris/invocation": invocation}))) == list(runs)
    assert [run.job_name for run in runs if run.job_name != "all_stages"] == [LOOK], "which ends the command"
    for run in runs:
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.location_name == "paris_assets.definitions"
        shown = {tag for tag in run.tags if not tag.startswith(".dagster/")}
        needed = {"dagster/code_location", "dagster/max_retries", "paris/invocation"}
        assert needed <= shown <= {*needed, "dagster/partition", "dagster/partition_set", "paris/assets"}


def test_a_failure_is_not_buried_by_those_of_another_shard() -> None:
    key = dg.AssetCheckKey(dg.AssetKey("raw_images"), "fetched")

    def judge(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        shard = context.run.tags["shard"]
        yield dg.AssetCheckEvaluation(key.asset_key, key.name, False, partition=shard, description=f"Shard {shard}")
        yield dg.Output(None)

    judge.__annotations__ = {"context": dg.OpExecutionContext}
    job = dg.GraphDefinition("judge", node_defs=[dg.op(judge)]).to_job()
    with dg.DagsterInstance.ephemeral() as instance:
        for shard in ["00000", *["00001"] * 4]:
            job.execute_in_process(instance=instance, run_config=SILENT, tags={"shard": shard})
        (found,) = failed_checks(instance, [key])
        assert (found.shards, found.evaluation.description) == (["00000", "00001"], "Shard 00000")


def test_many_failed_shards_fit_on_a_line() -> None:
    evaluation = dg.AssetCheckEvaluation(
        dg.AssetKey("latents"), "latents_sane", False, description="Shard 0: too wide."
    )
    found = FailedCheck(evaluation.asset_check_key, [str(number) for number in range(1100)], evaluation, hidden=True)
    said = summary([found])["description"]
    assert "Shard 0: too wide. *Shards 1, 2, 3, 4, 5, 6 and 1,093 more fail too.*" in said
    assert summary([])["passed"]


def test_captions_of_strangers_are_no_markdown(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    store.replace("captions", caption=pl.lit("![x](http://evil.example/`a`.png)\nnow"))
    assert "`![x](http://evil.example/ a .png) now`" in store.check(captions_differ, made_up.SHARD).said
