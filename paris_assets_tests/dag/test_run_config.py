"""What the launchpad offers, and what one run may not change."""

from typing import Any

import dagster as dg
import pytest

from paris_assets.config import Profile, ProfileError
from paris_assets.dag.run_config import offered, overrides, with_overrides
from paris_assets.definitions import build_definitions
from paris_assets.errors import UsageError
from paris_assets.profiles import load_profile
from paris_assets.settings.section import Section

DEMO = load_profile("demo")


def field(*path: str) -> Any:
    found: Any = offered(DEMO)
    for name in path:
        shape: Any = found.config_type if isinstance(found, dg.Field) else found
        found = shape.fields[name]
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clusters.k", 8),
        ("clusters.max_share", DEMO.clusters.max_share),
        ("latents.resolutions", DEMO.latents.resolutions),
        ("checks.min_fetched", DEMO.checks.min_fetched),
        ("ingest.timeout_s", 2.0),
        ("source.rows_per_shard", 66),
        ("curation.signal_rules.short_side.min", 160.0),
        ("scores.nsfw.batch_size", 8),
    ],
)
def test_plain_settings_are_offered_with_description_and_default(path: str, value: Any) -> None:
    found = field(*path.split("."))
    assert found.default_value == value
    assert not found.is_required
    assert len(found.description) > 10


@pytest.mark.parametrize(
    "given",
    [
        {"clusters": {"k": 4}},
        {"seed": 7},
        {"latents": {"resolutions": [128]}},
        {"checks": {"min_fetched": 0.9}},
        {"embedder": {"batch_size": 3}},
        {"ingest": {"timeout_s": 3.0, "max_bytes": 7}},
    ],
)
def test_what_decides_results_is_refused_with_the_way_to_change_it(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refusal:
        overrides(DEMO, given, "/some/root")
    (section, value), *_ = given.items()
    path = f"{section}.{list(value)[-1]}" if isinstance(value, dict) else section
    assert f"{path} is {DEMO.at(path)!r}, not " in str(refusal.value)
    assert f"`paris run --root /some/root --set {path}=" in str(refusal.value)
    assert "timeout_s" not in str(refusal.value), "which changes no result"


def test_bounds_of_rules_are_refused_by_the_name_that_set_takes() -> None:
    given = {"curation": {"signal_rules": {"short_side": {"min": 300.0, "null": "reject"}}}}
    with pytest.raises(UsageError) as refusal:
        overrides(DEMO, given, "/some/root")
    assert "curation.signal_rules.short_side.min is 160.0, not 300.0" in str(refusal.value)
    assert "`paris run --root /some/root --set curation.signal_rules.short_side.min=300.0`" in str(refusal.value)
    given["curation"]["signal_rules"]["short_side"]["min"] = 160.0
    assert overrides(DEMO, given, "/some/root") == {}
    changed = load_profile("demo", {"curation.signal_rules.short_side.min": 300.0})
    assert changed.results("curation")["signal_rules"][0]["min"] == 300.0


def test_speed_may_be_changed_for_one_run_and_the_same_values_are_no_change() -> None:
    found = overrides(DEMO, {"clusters": {"k": 8}, "ingest": {"concurrency": 3, "retries": DEMO.ingest.retries}}, "")
    assert found == {"ingest.concurrency": 3}
    run = with_overrides(DEMO, found)
    assert run.ingest.concurrency == 3
    assert run.results("ingest") == DEMO.results("ingest")
    assert with_overrides(DEMO, {}) is DEMO
    with pytest.raises(ProfileError, match=r"ingest\.concurrency"):
        with_overrides(DEMO, {"ingest.concurrency": 0})


def test_jobs_have_words_and_no_pickle(tmp_path: Any) -> None:
    definitions = build_definitions(str(tmp_path))
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    stages = ["ingest", "signals", "curation", "captions", "clusters", "latents", "experts", "proof"]
    numbered = [f"stage_{number}_{stage}" for number, stage in enumerate(stages, 1)]
    assert sorted(jobs) == sorted(["all_stages", "look_at_the_root", *numbered])
    for job in jobs.values():
        assert len(job.description or "") > 40
        assert "base_dir" not in str(job.resource_defs["io_manager"].config_schema.as_field().config_type.__dict__)
        assert type(job.resource_defs["profile"]).__name__ == "ResourceDefinition"
    made = {name: {key.to_user_string() for key in jobs[name].asset_layer.selected_asset_keys} for name in jobs}
    assert set().union(*(made[name] for name in numbered)) == made["all_stages"]
    (schedule,) = definitions.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_a_run_is_given_its_settings() -> None:
    resource = build_definitions("/nonexistent").resources["profile"]  # type: ignore[index]
    with dg.build_resources(
        {"profile": resource}, resource_config={"profile": {"config": {"ingest": {"retries": 9}}}}
    ) as r:
        found: Profile = r.profile
        assert found.ingest.retries == 9
    with dg.build_resources({"profile": resource}) as r:
        assert r.profile == load_profile("demo")
    with (
        pytest.raises(dg.DagsterConfigMappingFunctionError) as refusal,
        dg.build_resources({"profile": resource}, resource_config={"profile": {"config": {"clusters": {"k": 2}}}}),
    ):
        pass
    assert "clusters.k is 8, not 2" in str(refusal.value.__cause__)


class Step(Section):
    name: str | None = None


class Steps(Section):
    steps: list[Step] = []


def test_items_of_a_list_are_offered_by_name_where_all_have_one() -> None:
    below = offered(Steps(steps=[Step(name="a"), Step(name="b")])).fields["steps"].config_type
    assert isinstance(below, dg.Shape)
    assert set(below.fields) == {"a", "b"}
    assert offered(Steps(steps=[Step(name="a"), Step()])).fields == {}
