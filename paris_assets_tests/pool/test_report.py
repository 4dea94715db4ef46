"""The report of a pool: its table against counts made by hand, and what a browser would show and load."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.pool import concept_map, drawing
from paris_assets.pool.comparisons import compared_with_others, curve_of
from paris_assets.pool.probe_chart import chart
from paris_assets.pool.report import funnel
from paris_assets.pool.schema import POOL_REPORT
from paris_assets.storage.shards import Shards
from paris_assets_tests.fixtures.browser import needs_browser, seen
from paris_assets_tests.pool.told import EVIL, concepts, found, page_of, probed, scores


class Shown(HTMLParser):
    """Tags, what is loaded, and the text between tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.classes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.classes += [value or "" for name, value in attrs if name == "class" and tag == "circle"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, str]:
    return page_of(found(), tmp_path_factory.mktemp("report"))


def test_a_row_per_subset_with_what_is_known_of_it(report: tuple[pl.DataFrame, str]) -> None:
    rows, _ = report
    POOL_REPORT.require(rows.schema, "pool_report")
    assert rows["subset"].to_list() == ["all rows", "selection", "random-0", "random-1", "random-2", "basic"]
    by_name = {row["subset"]: row for row in rows.to_dicts()}
    assert by_name["all rows"]["rows"] == 1000
    assert by_name["all rows"]["similarity"] == pytest.approx(0.2)
    selection = by_name["selection"]
    assert (selection["rows"], selection["share"], selection["found"], selection["similarity"]) == (200, 0.2, 0.75, 1.0)
    assert selection["low"] < selection["difference"] < selection["high"]
    assert selection["difference"] == pytest.approx(0.1, abs=0.01)
    assert by_name["basic"]["found"] is None
    assert by_name["basic"]["low"] < 0 < by_name["basic"]["high"]
    assert by_name["random-1"]["difference"] is None
    assert by_name["random-1"]["value"] == pytest.approx(0.2, abs=0.01)


def test_the_funnel_adds_up() -> None:
    told = funnel(scores().lazy())
    assert (told["total"], told["selected"]) == (1000, 200)
    assert [(one["reason"], one["rows"]) for one in told["reasons"]] == [
        ("clip_score", 400),
        ("caption_rules", 200),
        ("concepts", 200),
    ]


def test_the_page_loads_nothing_and_says_what_was_found(report: tuple[pl.DataFrame, str]) -> None:
    shown = Shown(report[1])
    assert shown.loaded == []
    assert shown.tags.count("script") == 1
    assert not re.search(r"https?://|url\(|@import|fetch\(", report[1])
    plain = " ".join(shown.text.split())
    assert "200 of 1,000 rows of the pool are selected" in plain
    assert re.search(r"clip_score\s*−400 \(40\.0\s%\)", plain)
    assert "selection is better than random rows of its size by 0.1" in plain
    assert "no gain of basic over random rows of its size is shown" in plain
    assert plain.count("better than random") == 3  # tile, table and sentence
    assert shown.tags.count("path") == 2  # best first, and random
    assert sorted(set(shown.classes) - {""}) == ["drop", "keep", "none"]


def test_captions_are_data(report: tuple[pl.DataFrame, str]) -> None:
    page = report[1]
    assert "<script>alert" not in page
    assert "{{ 7*7 }}" in page
    assert EVIL in Shown(page).text


def test_a_caption_is_cut_and_few_are_shown(report: tuple[pl.DataFrame, str]) -> None:
    assert "concept 1: 4,440 rows, drop\nbecause 1\n· caption 0 of concept 1" in report[1]
    assert "caption 4 of concept 1" in report[1]
    assert "caption 5 of concept 1" not in report[1]
    told = concept_map.points(*concepts(8), 0)
    assert {len(caption) for point in told if point["concept"] for caption in point["captions"]} == {100}


def test_a_pool_without_concepts_or_probe_has_a_page(tmp_path: Path) -> None:
    bare = replace(found(), concept_model=None, concept_evidence=None, concept_verdicts=None, selection_probe=None)
    rows, page = page_of(bare, tmp_path, None)
    shown = Shown(page)
    assert "circle" not in shown.tags
    assert "script" not in shown.tags
    assert "no probe (pool.probe)" in " ".join(shown.text.split())
    assert rows["value"].null_count() == rows.height


def test_concepts_without_verdicts_have_none(tmp_path: Path) -> None:
    _, page = page_of(replace(found(), concept_verdicts=None), tmp_path)
    assert set(Shown(page).classes) - {""} == {"none"}


def test_same_input_gives_same_bytes_and_shards_change_nothing(
    report: tuple[pl.DataFrame, str], tmp_path: Path
) -> None:
    known = found()
    backwards = known.source_rows.frame().collect().reverse()
    again = page_of(replace(known, source_rows=Shards.of({"00000": backwards})), tmp_path)
    assert again[1] == report[1]
    assert again[0].equals(report[0])


@pytest.mark.parametrize("count", [200, pytest.param(1300, marks=pytest.mark.slow)])
def test_many_concepts_fit(tmp_path: Path, count: int) -> None:
    _, page = page_of(found(count), tmp_path)
    assert len(page) < 100_000 + 700 * count
    assert Shown(page).classes.count("drop") == count // 4
    places = np.array(re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r=', page)[-count:], float)
    size = np.array([concept_map.WIDTH, concept_map.HEIGHT])
    assert ((places >= concept_map.MARGIN) & (places <= size - concept_map.MARGIN)).all()
    assert len(np.unique(places, axis=0)) > 0.9 * count


def test_areas_are_rows() -> None:
    radii = concept_map.radii(np.array([40_000, 10_000, 10]))
    assert radii[0] == pytest.approx(2 * radii[1])
    assert radii[2] == concept_map.SMALLEST
    assert radii[0] == concept_map.LARGEST
    many = concept_map.radii(np.full(1300, 500))
    covered = float((np.pi * many**2).sum()) / (concept_map.WIDTH * concept_map.HEIGHT)
    assert covered == pytest.approx(concept_map.FILLED)
    assert concept_map.radii(np.array([0])).tolist() == [concept_map.SMALLEST]


def test_the_curve_is_drawn_to_scale() -> None:
    told = drawing.drawn(curve_of(probed(), 0.95))
    (best, random) = told["series"]
    assert [one["name"] for one in told["series"]] == ["best first", "random"]
    assert [dot["percent"] for dot in best["dots"]] == [0.2, 0.6, 1.0]
    for dot in (*best["dots"], *random["dots"]):
        assert dot["high"] <= dot["y"] <= dot["low"]  # downwards on a page
    (low, first), *_, (high, last) = told["up"]
    dot = best["dots"][1]
    assert dot["value"] == pytest.approx(first + (low - dot["y"]) / (low - high) * (last - first), abs=1e-3)


def test_a_chart_without_a_curve() -> None:
    table = probed()
    whole = chart(compared_with_others(table, 0.95), curve_of(table, 0.95))
    without = chart(compared_with_others(table.filter(pl.col("fraction").is_null()), 0.95), [])
    assert whole.startswith(b"\x89PNG")
    assert len(without) < len(whole)


@pytest.mark.slow
@needs_browser
def test_the_map_works_in_a_browser(tmp_path: Path) -> None:
    """The script moves what is said from titles, which browsers show late, to a box; then a zoom by the button."""
    _, page = page_of(found(), tmp_path)
    shown = seen(
        page,
        """const map = document.getElementById("map"), drops = map.querySelectorAll(".drop");
        document.querySelector("[data-zoom]").click();
        drops[0].dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerType: "mouse" }));
        const told = document.querySelector(".tip").textContent, tick = document.querySelector("[data-kind=drop]");
        tick.click();
        return [map.getAttribute("viewBox").split(" ")[2], map.querySelectorAll("title").length, told.split("\\n")[0],
          [...drops].map((mark) => getComputedStyle(mark).display)];""",
        tmp_path,
    )
    assert shown == ["625", 0, "concept 1: 4,440 rows, drop", ["none", "none"]]
