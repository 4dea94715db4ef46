"""Each check of the proof fails for its own defect, warns where data are few, and says what could have been seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.checks import TableCheck, checks_of
from paris_assets.proof import checks
from paris_assets.proof.findings import figures_of
from paris_assets.proof.schema import TRAINING_PROBE
from paris_assets.proof.times import TIMES
from paris_assets_tests.fixtures import made_up

IMAGES, CLUSTERS = 60, [0, 3, 4]
KNOWN = {
    "samples": 240,
    "clusters": CLUSTERS,
    "groups": dict.fromkeys(map(str, CLUSTERS), 80),
    "trained_groups": {"0": 60, "3": 60, "4": 7},
    "finite": True,
    "clipped": {"common": 0.0, "experts": 0.25},
}
ALL_CHECKS = (
    checks.networks_learn,
    checks.experts_specialise,
    checks.router_learns,
    checks.router_leaks_nothing,
    checks.routing_not_worse,
    checks.probe_finite,
)


def table(**changed: pl.Expr) -> pl.DataFrame:
    """Rows of a proof that went well: own experts 0.05 better, the router right in two of three at t < 1."""
    drawn = np.random.default_rng(0)
    rows = []
    for number in range(IMAGES):
        own, difficulty = number % 3, drawn.normal(0, 0.05)
        for t in TIMES:
            experts = 1 + difficulty + drawn.normal(0, 0.01, 3) - 0.05 * (np.arange(3) == own)
            guess = own if t < 1 and number % 9 < 6 else int(drawn.integers(3))
            rows.append(
                {
                    "image_id": f"{number:032d}",
                    "group_id": f"{number:032d}",
                    "cluster": CLUSTERS[own],
                    "upscaled": number % 2 == 0,
                    "fold": 0,
                    "t": t,
                    "untrained": 2.0,
                    **dict.fromkeys(("common", "monolith", "top_2", "full", "uniform"), 0.98 + difficulty),
                    "experts": experts.tolist(),
                    "top_1": float(experts[own]),
                    "routed": [CLUSTERS[guess]] * 2,
                    "confidence": [0.6, 0.6],
                    "nll": 0.7,
                    "permuted": [CLUSTERS[int(drawn.integers(3))]] * 2,
                }
            )
    return TRAINING_PROBE.frame(rows).with_columns(**changed)


def figures(rows: pl.DataFrame, **known: Any) -> dict[str, Any]:
    told = {**KNOWN, **known}
    return {**told, **figures_of(rows, told, 0.95, 0)}


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What each check says of figures, by its name."""
    store = made_up.flat_root(tmp_path, probe={})

    def judge(found: dict[str, Any]) -> dict[str, Any]:
        store.put("training_probe", TRAINING_PROBE.frame(), facts={"probe": found})
        return {check.__name__: store.check(check, "all") for check in ALL_CHECKS}

    return judge


def test_a_good_proof_passes(judged: Callable[..., Any]) -> None:
    found = judged(figures(table()))
    assert [name for name, outcome in found.items() if not outcome.passed] == []
    assert not any(outcome.warns for outcome in found.values())
    assert found["experts_specialise"].figures["own_below_others"] == pytest.approx(0.05, abs=0.01)
    assert "25% of the experts" in found["probe_finite"].said


def test_bounds_are_named_as_settings_are(judged: Callable[..., Any]) -> None:
    """So that another bound has a finished proof judged again."""
    found = judged(figures(table()))
    assert found["networks_learn"].figures["checks.max_probe_loss"] == 0.7
    assert found["experts_specialise"].figures["checks.max_probe_p"] == 0.01


DEFECTS = {
    "networks_learn": {"common": pl.lit(1.45)},
    "experts_specialise": {"experts": pl.col("experts").list.reverse()},
    "router_learns": {"routed": pl.lit([0, 3], pl.List(pl.Int32))},
    "router_leaks_nothing": {"routed": pl.concat_list("cluster", "cluster")},
    "routing_not_worse": {"top_1": pl.col("top_1") + 0.1},
    "probe_finite": {"monolith": pl.lit(float("nan"))},
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_fails_its_check(name: str, judged: Callable[..., Any]) -> None:
    found = judged(figures(table(**DEFECTS[name])))
    assert [other for other, outcome in found.items() if not outcome.passed] == [name]
    assert not found[name].warns
    assert "analysis/training_probe.html" in found[name].advice


def test_experts_trained_on_few_groups_are_not_named() -> None:
    assert list(figures(table())["diagonal"]["p_experts"]) == ["0", "3"]


def test_weights_that_are_no_numbers_are_not_finite(judged: Callable[..., Any]) -> None:
    found = judged(figures(table(), finite=False))["probe_finite"]
    assert (found.passed, found.said) == (False, "weights are infinite or no numbers")


def test_losses_that_are_no_numbers_pass_nothing(judged: Callable[..., Any]) -> None:
    none = pl.lit(float("nan"))
    lost = {"untrained": none, "common": none, "top_1": none, "experts": pl.concat_list(none, none, none)}
    found = judged(figures(table(**lost)))
    failed = {name for name, outcome in found.items() if not outcome.passed}
    assert failed == {"networks_learn", "experts_specialise", "routing_not_worse", "probe_finite"}


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"samples": 199}, "199 samples are fewer than 200"),
        ({"groups": {"0": 80, "3": 15, "4": 9}}, "experts 3, 4 have fewer than 16 duplicate groups"),
    ],
)
def test_few_data_warn_and_say_what_could_be_seen(known: dict[str, Any], said: str, judged: Callable[..., Any]) -> None:
    found = judged(figures(table(common=pl.lit(1.45)), **known))["networks_learn"]
    assert (found.passed, found.warns) == (False, True)
    assert f"Few data ({said}): no effect below " in found.said


def test_nothing_trained_is_a_warning(judged: Callable[..., Any]) -> None:
    found = judged({"refused": "0 experts have 16 duplicate groups or more, and 2 are needed"})
    assert all((outcome.passed, outcome.warns) == (False, True) for outcome in found.values())
    assert found["router_learns"].said.startswith("nothing was trained: 0 experts")


def test_a_warning_reaches_dagster(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, probe={})
    severities = {}
    for name, known in (("many", {}), ("few", {"samples": 100})):
        facts = {"probe": figures(table(common=pl.lit(1.45)), **known)}
        store.put("training_probe", TRAINING_PROBE.frame(), facts=facts)
        (check,) = (one for one in checks_of(store.graph, checks) if one.name == "networks_learn")
        assert isinstance(check, TableCheck)
        severities[name] = check.evaluate(store.tables, {}, "all")["severity"].value
    assert severities == {"many": "ERROR", "few": "WARN"}


def test_profiles_without_a_probe_have_neither_table_nor_checks(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path, probe=None)
    assert "training_probe" not in store.graph
    assert checks_of(store.graph, checks) == []
