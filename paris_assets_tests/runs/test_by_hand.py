"""What Dagster's own commands and a person's materialisations do, without `paris run`."""

import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from paris_assets.cli import main
from paris_assets.dag import run_tags
from paris_assets.dag.graph import order
from paris_assets.dag.records import ALL, table_path
from paris_assets.dag.tables import Tables
from paris_assets.definitions import build_definitions, open_catalog
from paris_assets.planning.unchecked import report_finished
from paris_assets.runs.execution import QUIET, open_instance
from paris_assets.storage.files import LocalFiles
from paris_assets_tests.fixtures.direct import GRAPH
from paris_assets_tests.fixtures.made_up import flat_root
from paris_assets_tests.fixtures.small_world import contents
from paris_assets_tests.runs.user_interface import PROJECT, environment

pytestmark = [pytest.mark.long, pytest.mark.slow]

SHARD = "00001"


class Hand:
    """Materialises assets of one root, each in a run of its own."""

    def __init__(self, root: Path) -> None:
        catalog = open_catalog(str(root))
        self._job = build_definitions(catalog).resolve_implicit_global_asset_job_def()
        self._instance = open_instance(catalog.location)
        report_finished(catalog, self._instance)

    def __call__(self, asset: str, **tags: str) -> dg.ExecuteInProcessResult:
        return self._job.execute_in_process(
            asset_selection=[dg.AssetKey(asset)],
            partition_key=SHARD if GRAPH[asset].partitioned else None,
            instance=self._instance,
            raise_on_error=False,
            tags=tags,
            run_config=QUIET,
        )


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the run page says of the first step that failed."""
    event = next(event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_FAILURE)
    return str(event.step_failure_data.error)


@pytest.fixture(scope="module")
def by_hand(small_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Hand]:
    """A finished root of the small world and a hand on it; tests leave the files as they were."""
    root = Path(shutil.copytree(small_finished, tmp_path_factory.mktemp("by_hand") / "root"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # open_instance sets it
        hand = Hand(root)
    return root, hand


@pytest.mark.parametrize("asset", order(GRAPH))
def test_any_asset_can_be_made_by_hand(by_hand: tuple[Path, Hand], asset: str) -> None:
    root, hand = by_hand
    before = contents(root)
    table = root / table_path(asset, SHARD if GRAPH[asset].partitioned else ALL)
    made_at = table.stat().st_mtime_ns
    result = hand(asset)
    assert result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [dg.AssetKey(asset)]
    assert table.stat().st_mtime_ns > made_at
    assert contents(root) == before


def readers() -> list[tuple[str, str]]:
    """(asset, input): every asset as a reader and every input once at least."""
    uses: dict[str, int] = {}
    found = []
    for asset in order(GRAPH):
        for name in sorted(GRAPH[asset].inputs, key=lambda name: (uses.get(name, 0), name))[:1]:
            uses[name] = uses.get(name, 0) + 1
            found.append((asset, name))
    return found


@pytest.mark.parametrize(("asset", "name"), readers())
def test_an_input_that_is_not_there_is_named(by_hand: tuple[Path, Hand], asset: str, name: str) -> None:
    root, hand = by_hand
    before, shard = contents(root), SHARD if GRAPH[name].partitioned else ALL
    table, aside = root / table_path(name, shard), root.parent / "aside"
    table.rename(aside)
    result = hand(asset)
    aside.rename(table)
    said = f"{name}/{shard} has not been made under {root}: materialise it first, or let `paris run` do it"
    assert said in failure(result)
    assert contents(root) == before


def test_copies_of_remote_files_go_when_a_run_ends(by_hand: tuple[Path, Hand]) -> None:
    _, hand = by_hand
    with mock.patch.object(LocalFiles, "close") as close:
        hand("image_signals")
    close.assert_called_once()


@pytest.mark.extended
def test_dagster_asset_materialize(by_hand: tuple[Path, Hand]) -> None:
    root, _ = by_hand
    (root / "latents" / "00002.parquet").rename(root.parent / "aside")
    dagster = [str(Path(sys.executable).parent / "dagster"), "asset", "materialize", "-m", "paris_assets.definitions"]
    runs = [
        subprocess.Popen([*dagster, *what], env=environment(root), cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        for what in (["--select", "captions", "--partition", "00002"], ["--select", "latent_report"])
    ]
    said = [run.communicate()[1] for run in runs]
    (root.parent / "aside").rename(root / "latents" / "00002.parquet")
    assert [run.returncode for run in runs] == [0, 1]
    assert "RUN_SUCCESS" in said[0]
    assert "MissingInput: latents/00002 has not been made" in said[1]


@pytest.mark.extended
def test_an_asset_of_all_shards_is_made_by_hand_after_the_home_was_deleted(root: Path) -> None:
    """Dagster then knows of no partition at all; the registry does."""
    shutil.rmtree(root / ".dagster")
    (root / ".dagster").mkdir()
    before = contents(root)
    command = [str(Path(sys.executable).parent / "dagster"), "asset", "materialize", "-m", "paris_assets.definitions"]
    made = subprocess.run(
        [*command, "--select", "cluster_values"], env=environment(root), cwd=PROJECT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr[-2000:]
    assert contents(root) == before


@pytest.mark.extended
def test_a_run_of_ours_leaves_finished_partitions_alone(root: Path) -> None:
    table = root / "filtered_images" / "00001.parquet"
    made_at = table.stat().st_mtime_ns
    assert Hand(root)("filtered_images", **{run_tags.RESUME: "true"}).success
    assert table.stat().st_mtime_ns == made_at


def test_a_lost_caption_stops_the_expert_shard(root: Path) -> None:
    captions = Tables(open_catalog(str(root))).read("captions", "00001")
    flat_root(root.parent / "flat").put("captions", captions[1:], "00001")
    (root.parent / "flat" / "captions" / "00001.parquet").replace(root / "captions" / "00001.parquet")
    assert "after joining captions and clusters" in failure(Hand(root)("expert_shards"))


def test_assets_carry_what_the_catalogue_shows(tmp_path: Path) -> None:
    definitions = build_definitions(str(tmp_path))
    specs = definitions.resolve_all_asset_specs()
    assert len(specs) >= 20
    for spec in specs:
        assert spec.group_name in (
            "ingest",
            "signals",
            "curation",
            "captions",
            "clusters",
            "latents",
            "experts",
            "proof",
        )
        assert spec.kinds
        assert len(spec.description or "") > 40
        assert spec.code_version
        assert spec.metadata["dagster/column_schema"].columns


def test_inspect_tells_why_an_image_was_dropped(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = Tables(open_catalog(str(finished)))
    ledger = tables.scan("raw_images", tables.catalog.shards()).collect()
    failed = ledger.drop_nulls("reason").row(0, named=True)
    assert main(["inspect", failed["url"], "--root", str(finished)]) == 0
    assert f"not fetched: {failed['reason']}" in capsys.readouterr().out
    copy = tables.read("duplicate_groups").filter(method="phash").row(0, named=True)
    keeper = tables.read("duplicate_groups").filter(keeper=True, group_id=copy["group_id"]).row(0, named=True)
    assert main(["inspect", copy["image_id"], "--root", str(finished)]) == 0
    said = capsys.readouterr().out
    assert keeper["image_id"] in said
    assert f"in shard {keeper['shard']}" in said
    published = tables.read("router_arrays", "00000").row(0, named=True)
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
