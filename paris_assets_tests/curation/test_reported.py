"""The curation report against counts made in another way."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.config import Duplicates, QuantileRule, Rule, Tier
from paris_assets.curation.bounds import Bound, bounds_of, sides
from paris_assets.curation.histogram import BINS, histogram
from paris_assets.curation.reported import PAGE, reported
from paris_assets.curation.schema import CURATION_REPORT, DUPLICATE_GROUPS, SCORE_QUANTILES
from paris_assets.dag.flow import account, with_words
from paris_assets.settings.curation import Curation

IDS = [f"{number:032x}" for number in range(60)]
SIDE, EVIL = Bound("short_side", "short_side", "min", 30.0), "<script>alert(1)</script>"
SETTINGS = Curation(
    signal_rules=[
        Rule(name="short_side", column="short_side", min=30),
        Rule(name=EVIL, column="entropy", min=1, max=5),
    ],
    score_rules=[],
    quantile_rules=[QuantileRule(name="best", column="score", top=0.5)],
    tiers=[
        Tier(name="low", rules=[Rule(name="lit", column="exposure", min=0.1)]),
        Tier(name="high", rules=[Rule(name="bright", column="exposure", min=0.6)]),
    ],
    report_pictures=4,
)
QUANTILES = SCORE_QUANTILES.frame(
    [{"rule": "best", "column": "score", "ranked": 20, "kept": 10, "first": 60.0, "first_id": "a", "last": 41.0}]
)


def images() -> pl.DataFrame:
    numbers = np.arange(60.0)
    return pl.DataFrame(
        {
            "image_id": IDS,
            "source_row": range(60),
            "short_side": numbers,
            "entropy": np.where(numbers % 10 == 3, np.nan, numbers / 10),
            "exposure": numbers / 60,
            "score": numbers + 1,
            "undecodable": numbers == 29,
            "kept": numbers >= 40,
            "reason": np.where(numbers < 30, "short_side", np.where(numbers < 40, "best", "")),
            "reasons": [["short_side", EVIL]] * 10 + [["short_side"]] * 20 + [["best"]] * 10 + [[]] * 20,
            "tier": ["high" if n / 60 >= 0.7 else "low" if n >= 40 else None for n in range(60)],
            "stopped_by": ["bright" if 40 <= n < 42 else None for n in range(60)],
        }
    ).with_columns(pl.col("reason").replace("", None))  # fmt: skip


def groups() -> pl.DataFrame:
    copies = [
        {"image_id": IDS[50], "source_row": 50, "keeper": False, "method": "phash", "distance": 6},
        {"image_id": IDS[51], "source_row": 51, "keeper": True},
        {"image_id": IDS[52], "source_row": 52, "keeper": False, "method": "phash", "distance": 2},
        {"image_id": IDS[52], "source_row": 60, "keeper": False, "method": "exact", "distance": 0},
    ]
    alone = [{"image_id": IDS[at], "source_row": at, "keeper": True, "group_id": IDS[at]} for at in (53, 54)]
    return DUPLICATE_GROUPS.frame([{**copy, "group_id": IDS[50]} for copy in copies] + alone)


def picture(image_id: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (4 * int(image_id, 16), 80, 200)).save(file, "PNG")
    return file.getvalue()


def made(folder: Path) -> tuple[pl.DataFrame, str]:
    folder.mkdir(exist_ok=True)
    counts = {"filtered_images": {"in": 60, "out": 20, "rejects": {"short_side": 30, "best": 10}}}
    output = reported(
        [lambda: images().lazy()],
        groups().lazy(),
        QUANTILES,
        with_words(account(counts)),
        picture,
        SETTINGS,
        Duplicates(),
    )
    output.scratch = folder
    (rows,) = list(output.rows)  # type: ignore[arg-type]
    return rows, output.files[PAGE].read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, str]:
    return made(tmp_path_factory.mktemp("report"))


def test_a_row_per_bound_with_what_lies_outside(report: tuple[pl.DataFrame, str]) -> None:
    rows, _ = report
    CURATION_REPORT.require(rows.schema, "curation_report")
    found = rows.select("rule", "of_tier", "side", "bound", "known", "unknown", "outside").rows()
    assert sorted(found) == sorted(
        [
            ("short_side", "", "min", 30.0, 60, 0, 30),
            (EVIL, "", "min", 1.0, 54, 6, 9),
            (EVIL, "", "max", 5.0, 54, 6, 8),
            ("lit", "", "min", 0.1, 60, 0, 6),
            ("best", "", "min", 41.0, 60, 0, 40),
            ("bright", "high", "min", 0.6, 60, 0, 36),
        ]
    )


def test_the_nearest_on_either_side_that_can_be_shown() -> None:
    failing, meeting = sides(images(), SIDE, 3)
    assert [value for _, value in failing] == [28.0, 27.0, 26.0]  # 29 cannot be decoded
    assert [value for _, value in meeting] == [30.0, 31.0, 32.0]
    assert failing[0][0] == IDS[28]


def test_a_window_has_two_bounds_and_a_share_of_nothing_none() -> None:
    settings = Curation(quantile_rules=[QuantileRule(name="best", column="score", window=(0.1, 0.4))], signal_rules=[])
    assert [(b.side, b.value) for b in bounds_of(settings, QUANTILES)] == [("min", 41.0), ("max", 60.0)]
    assert bounds_of(settings, QUANTILES.with_columns(kept=pl.lit(0, pl.Int64))) == []


@pytest.mark.parametrize(("column", "outside"), [("undecodable", 1), ("declared_generated", 20)])
def test_a_rule_on_yes_or_no_is_a_bound_as_others(column: str, outside: int, tmp_path: Path) -> None:
    settings = Curation(signal_rules=[Rule(name="rule", column=column, max=0)])
    seen = images().with_columns(declared_generated=pl.col("source_row") % 3 == 0)
    output = reported([seen.lazy], groups().lazy(), None, [], picture, settings, Duplicates())
    output.scratch = tmp_path
    (rows,) = list(output.rows)  # type: ignore[arg-type]
    assert rows.select("rule", "known", "outside").rows() == [("rule", 60, outside)]


class Text(HTMLParser):
    """What a browser would show and load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href") and tag != "a"]
        self.links += [value or "" for name, value in attrs if name == "href" and tag == "a"]


def test_the_page_loads_nothing_runs_nothing_and_says_what_happened(report: tuple[pl.DataFrame, str]) -> None:
    _, page = report
    parser = Text()
    parser.feed(page)
    assert "script" not in parser.tags
    assert parser.sources
    assert all(source.startswith("data:image/webp;base64,") for source in parser.sources)
    assert parser.links == ["../.dagster/run_times.html"]
    assert "60 images = 20 kept by the rules + 30 short_side + 10 best" in page
    plain = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "short_side 30 30" in plain
    assert "low 2 bright 2" in plain
    assert "high 18 –" in plain
    assert "3 files kept phash 2 phash 6" in plain
    assert "36 outside (60.0 %)" in plain


def test_same_input_gives_same_bytes(report: tuple[pl.DataFrame, str], tmp_path: Path) -> None:
    assert made(tmp_path)[1] == report[1]


def test_far_values_do_not_hide_the_others() -> None:
    values = np.concatenate([np.linspace(0, 10, 1000), [1e9, np.nan]])
    near, far = Bound("r", "c", "min", 12.0), Bound("r", "c", "max", 1e8)
    found = histogram("c", values, [near, far])
    assert (found.known, found.unknown, found.largest, found.outside) == (1001, 1, 1e9, [1000, 1])
    assert (round(found.low), round(found.high)) == (0, 12)
    assert found.position(12.0) == 1.0
    assert found.position(1e8) is None
    assert sum(found.counts) == 1001
    assert len(found.counts) == BINS


def test_of_few_values_none_is_cut_off() -> None:
    found = histogram("jpeg_quality", np.array([8.0, *[88.0] * 50, 95.0]), [])
    assert (found.low, found.high) == (8.0, 95.0)


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_columns_without_a_range(values: list[float]) -> None:
    found = histogram("c", np.array(values), [])
    assert sum(found.counts) == found.known
    assert found.low < found.high
