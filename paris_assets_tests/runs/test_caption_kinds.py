"""Captions of five kinds from a list to shards: texts of the source, a network and an address on loopback."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import dagster as dg
import polars as pl
import pytest
from rich.console import Console
from webdataset.compat import WebDataset

from paris_assets.captions import checks
from paris_assets.cli import main
from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.definitions import build_definitions, open_catalog
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.inspect import print_history
from paris_assets.runs.run import RunReport
from paris_assets.runs.summary import print_summary
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.fixtures.chat_server import Answer, Chat, completion, serving

ROWS, SHARD, MOST = 60, 20, 8
TEMPLATES = ["lot {} is for sale", "a red barn {} in the fog", "see www.shop.example/{} for more", "IMG_{}"]
REFUSAL = "I'm sorry, but I cannot describe this image."


def said_of(chat: Chat, number: int) -> Answer:
    """A vision-language model: what it says depends on the image alone, and of some it says nothing."""
    seed = int(hashlib.sha256(json.dumps(chat.bodies[number]).encode()).hexdigest(), 16)
    if seed % 4 == 0:
        return completion(REFUSAL)
    if seed % 11 == 1:
        return 400, {}, b'{"error": "unsafe"}'
    word = "".join(chr(97 + seed // 26**place % 26) for place in range(8))
    return completion(json.dumps({"long": f"a long caption that speaks of {word}", "tags": [word, "sky"]}))


class World(NamedTuple):
    source: Path
    chat: Chat
    profile: Profile

    def under(self, **changes: Any) -> Profile:
        return self.profile.model_validate({**self.profile.model_dump(), **changes})


def listed(path: Path, count: int) -> Path:
    """A list with a text of four kinds in turn, the first of them a template, and words seen in some pictures."""
    small_world.embedded(path, count)
    table = pl.read_parquet(path)
    words = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(count)]
    values = [number if number % 4 == 0 else word for number, word in enumerate(words)]
    texts = [TEMPLATES[number % 4].format(value) for number, value in enumerate(values)]
    seen = ["EXIT 12" if number % 5 == 0 else None for number in range(count)]
    table.with_columns(text=pl.Series(texts), seen=pl.Series(seen, dtype=pl.String)).write_parquet(path)
    return path


def settings(chat: Chat, folder: Path) -> dict[str, Any]:
    asked = {"url": chat.url, "model": "vlm", "prompt": "Describe.", "cache": str(folder / "answers"), "side": 64}
    kinds = {
        "source": {"column": "text"},
        "short": {"captioner": {"implementation": f"{small_world.CHEAP}:Namer", "options": {"spelt": True}}},
        "long": {"endpoint": {**asked, "field": "long"}},
        "tags": {"endpoint": {**asked, "field": "tags"}},
        "ocr": {"column": "ocr"},
    }
    return {
        "source.rows_per_shard": SHARD, "source.columns": {"ocr": "seen"}, "captions.kinds": kinds,
        "captions.train": ["long", "source"], "captions.max_repeats": MOST, "captions.max_tokens": 60,
        "curation.report": True, "text.tokens": 64,
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("list")
    source = listed(folder / "list.parquet", ROWS)
    with serving(said_of) as chat:
        yield World(source, chat, small_world.profile(source, **settings(chat, folder)))


@pytest.fixture(scope="module")
def root(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished root."""
    root = tmp_path_factory.mktemp("runs") / "root"
    with mock.patch.object(reported, "write_report", brief_report):
        direct.bring_up_to_date(world.profile, root)
        yield root


def test_the_profile_is_sound_and_every_check_of_captions_passes(world: World, root: Path) -> None:
    assert missing_for(world.profile) == []
    catalog = open_catalog(str(root))
    dg.Definitions.validate_loadable(build_definitions(catalog))
    store = made_up.MadeUpRoot(catalog)
    of_shard = (checks.kinds_present, checks.ids_joined, checks.choice_follows, checks.captions_differ)
    for shard in catalog.shards():
        for check in of_shard:
            found = store.check(check, shard)
            assert found.passed, found.said
        assert "source captions are invalid" in store.check(checks.captions_valid, shard).said
    assert store.check(checks.captions_repeat, ALL).passed


def test_every_kind_of_every_image_is_a_row_with_a_reason(world: World, root: Path) -> None:
    rows, curated = direct.table(root, "caption_kinds"), direct.table(root, "curated_images")
    assert rows.height == 5 * curated.height
    assert rows.filter(kind="short")["reason"].null_count() == curated.height
    texts = dict(curated.select("image_id", "text").iter_rows())
    expected = {"lot": None, "a": None, "see": "url", "IMG": "file_name"}
    for row in rows.filter(kind="source").iter_rows(named=True):
        assert row["caption"] == texts[row["image_id"]]
        assert row["reason"] == expected[row["caption"].split()[0].partition("_")[0]]
        assert row["captioner"] == "source_text"
    assert set(rows.filter(kind="long")["reason"]) == {None, "refusal", "no_answer"}
    assert rows.filter(kind="long", reason="refusal")["caption"].unique().to_list() == [REFUSAL]
    assert set(rows.filter(kind="ocr").select("caption", "reason").iter_rows()) == {("EXIT 12", None), ("", "empty")}
    assert set(rows.filter(kind="tags")["captioner"]) == {"vlm"}


def test_one_answer_serves_both_kinds_of_a_prompt(world: World, root: Path) -> None:
    rows = direct.table(root, "caption_kinds").filter(kind="long")
    answered = rows.filter((pl.col("reason") != "no_answer").fill_null(True)).height
    unanswered = rows.height - answered
    bodies = {json.dumps(body) for body in world.chat.bodies}
    assert len(bodies) == rows.height
    assert len(world.chat.bodies) == answered + 2 * unanswered, "only what had no answer is asked again"


def test_templates_are_counted_over_all_shards_and_their_captions_invalid(root: Path) -> None:
    sources = direct.table(root, "caption_kinds").filter(kind="source")
    lots = sources.filter(pl.col("caption").str.starts_with("lot "))
    repeated = pl.read_parquet(root / "repeated_captions/all.parquet")
    per_shard = repeated["shard"].value_counts()["count"].max()
    assert isinstance(per_shard, int)
    assert per_shard <= MOST < lots.height, "no shard alone has too many"
    assert sorted(repeated["image_id"]) == lots["image_id"].to_list()
    assert set(repeated["repeats"]) == {lots.height}
    marked = direct.table(root, "captions").filter(pl.col("reasons").list.contains("repeated"))
    assert marked["image_id"].to_list() == lots["image_id"].to_list()


def test_the_first_valid_kind_is_what_is_embedded_and_published_and_the_others_are_told(root: Path) -> None:
    captions, kinds = direct.table(root, "captions"), direct.table(root, "caption_kinds")
    valid = kinds.filter(pl.col("reason").is_null())
    long = dict(valid.filter(kind="long").select("image_id", "caption").iter_rows())
    repeated = pl.read_parquet(root / "repeated_captions/all.parquet")["image_id"]
    source = dict(valid.filter(kind="source").select("image_id", "caption").iter_rows())
    for row in captions.iter_rows(named=True):
        name = row["image_id"]
        usable = None if name in repeated else source.get(name)
        assert row["caption"] == (long.get(name) or usable or "")
        assert row["kind"] == ("long" if name in long else "source" if usable else None)
    assert (
        direct.table(root, "text_embeddings")
        .select("image_id", "caption")
        .equals(captions.select("image_id", "caption"))
    )
    told = dict(captions.select("image_id", "kinds").iter_rows())
    published = set()
    for tar in sorted(root.glob("expert_shards/cluster_*/*.tar")):
        for sample in WebDataset(str(tar), shardshuffle=False).decode():  # pyright: ignore[reportGeneralTypeIssues]
            metadata = sample["metadata.json"]
            assert metadata["captions"][metadata["caption_kind"]] == metadata["caption"] == sample["caption.txt"]
            assert sorted(metadata["captions"]) == told[sample["__key__"]]
            published.add(sample["__key__"])
    without = captions.filter(pl.col("caption") == "")["image_id"]
    assert without.len() > 0
    assert not published & set(without)
    assert len(published) + len(without) == captions.height


def test_nothing_is_lost_silently(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    captions = direct.table(root, "captions")
    without = captions.filter(pl.col("caption") == "")
    assert manifest["counts"]["expert_shards"]["rejects"] == {"no_valid_caption": without.height}
    assert manifest["models"]["captions.kinds.long.endpoint"]["source"] == "vlm"
    steps = {step["unit"]: step for step in manifest["account"] if step["stage"] == "captions"}
    reasons = dict(captions.select(pl.col("reasons").explode()).to_series().value_counts().iter_rows())
    assert reasons["repeated"] == steps["source captions"]["parts"]["repeated"]
    assert reasons["refusal"] == sum(step["parts"].get("refusal", 0) for step in steps.values())
    for step in steps.values():
        assert step["count"] == sum(step["parts"].values()) == captions.height
    assert "source captions = " in (root / "analysis/curation_report.html").read_text()
    said = io.StringIO()
    print_summary(open_catalog(str(root)), RunReport(), Console(file=said, width=200))
    assert f"{captions.height} source captions = " in said.getvalue()
    assert print_history(Tables(open_catalog(str(root))), without["image_id"][0]) == 0
    assert "=> no valid caption, so it is not published: long: " in capsys.readouterr().out
    assert main(["verify", str(root / "pipeline_manifest.json")]) == 0


@pytest.mark.slow
def test_another_order_of_kinds_asks_nobody_again(world: World, root: Path) -> None:
    before, asked = direct.stamps(root), len(world.chat.bodies)
    captions = world.profile.captions.model_copy(update={"train": ["short"]})
    direct.bring_up_to_date(world.profile.model_copy(update={"captions": captions}), root)
    assert len(world.chat.bodies) == asked
    assert not [path for path in direct.touched(before, direct.stamps(root)) if path.startswith("caption_kinds")]
    assert set(direct.table(root, "captions")["kind"]) == {"short"}
    direct.bring_up_to_date(world.profile, root)


@pytest.mark.slow
def test_a_grown_list_gives_the_bytes_of_a_whole_one(world: World, root: Path, tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    parts = tmp_path / "parts"
    parts.mkdir()
    whole = pl.read_parquet(world.source)
    whole[: 2 * SHARD].write_parquet(parts / "a.parquet")
    source = world.profile.source.model_copy(update={"path": str(parts)})
    profile = world.profile.model_copy(update={"source": source})
    chosen = ("caption_kinds", "repeated_captions", "captions")
    direct.bring_up_to_date(profile, grown)
    few = pl.read_parquet(grown / "repeated_captions/all.parquet").height
    whole[2 * SHARD :].write_parquet(parts / "b.parquet")
    direct.bring_up_to_date(profile, grown)
    assert few < pl.read_parquet(grown / "repeated_captions/all.parquet").height
    for asset in chosen:
        assert direct.table(grown, asset).equals(direct.table(root, asset)), asset
