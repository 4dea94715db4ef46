"""A whole run with a T5-shaped encoder: true tokens from the captions to the tars, and what verification says."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.s3 import open_location
from paris_assets.models.registry import build
from paris_assets.vectors.true_tokens import padded, unpacked
from paris_assets.verification.command import verify
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.test_docs import PAGES, blocks

pytestmark = [pytest.mark.long, pytest.mark.extended]
ENCODER = {"implementation": "small-t5", "batch_size": 4, "precision": "fp32", "options": {"length_step": 8}}
SETTINGS = {"text__encoder": ENCODER, "text__stored": "true_tokens", "text__tokens": 10}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("true-tokens")
    source = small_world.embedded(folder / "list.parquet", 40)
    direct.bring_up_to_date(small_world.profile(source, **SETTINGS), folder / "root")
    return folder / "root"


def manifest_of(root: Path) -> dict:
    return json.loads((root / "pipeline_manifest.json").read_text())


def texts(root: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(path) for path in sorted((root / "text_embeddings").glob("*.parquet")))


def test_every_table_and_file_fits(root: Path) -> None:
    findings = verify(open_location(root), manifest_of(root))
    assert findings.problems == []
    assert findings.checked["samples"] > 20


def test_samples_hold_their_own_tokens_and_nothing_else(root: Path) -> None:
    table = texts(root)
    assert table.schema["embedding"] == pl.Binary
    assert table.columns == ["image_id", "caption", "embedding", "tokens", "truncated"]
    states = dict(zip(table["image_id"], unpacked(table["embedding"], table["tokens"]), strict=True))
    found = {}
    for path in root.glob("expert_shards/cluster_*/*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                if kind == "clip_emb.npy":
                    found[key] = np.load(io.BytesIO(tar.extractfile(member).read()))  # type: ignore[union-attr]
    assert len({len(array) for array in found.values()}) > 1
    assert all(np.array_equal(array, states[key]) for key, array in found.items())
    values, mask = padded(list(found.values()), 10)
    assert mask.sum() == sum(len(array) for array in found.values())
    assert values.shape == (len(found), 10, 128)


def test_the_manifest_says_how_texts_are_stored_and_what_was_cut(root: Path) -> None:
    form = manifest_of(root)["format"]
    assert form["samples"]["members"]["clip_emb.npy"]["shape"] == ["tokens", 128]
    assert form["empty_prompt"]["shape"] == [1, 128]
    assert "clip" not in form["router"]["arrays"]
    text = form["text"]
    assert (text["stored"], text["max_tokens"], text["positions"], text["pooled"]) == ("true_tokens", 10, None, None)
    assert text["pad"] == {"side": "right", "value": 0}
    assert text["encoder"]["weights"] == "random"
    assert len(text["tokenizer"]["sha256"]) == 64
    assert text["lengths"]["captions_counted"] == texts(root).height
    assert (text["lengths"]["captions_truncated"], text["lengths"]["share_longer_than"]["64"]) == (0, 0)
    readme = (root / "expert_shards/README.md").read_text()
    assert "random weights of seed 14" in readme
    assert "stored without padding" in readme


def test_the_example_pads_them(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = next(text for text in blocks(PAGES["docs/format.md"], "python") if text.startswith("# pad_texts.py"))
    script = root.parent / "pad_texts.py"
    script.write_text(text)
    monkeypatch.setattr(sys, "argv", ["pad_texts.py", str(root)])
    runpy.run_path(str(script))
    samples = sum(manifest_of(root)["split_per_cluster"]["0"].values())
    assert re.fullmatch(rf"\({samples}, 32, 128\) \d+ true tokens\n", capsys.readouterr().out)


def test_the_empty_prompt_is_a_row_of_its_own(root: Path) -> None:
    prompt = np.load(root / "expert_shards/empty_prompt.npy")
    encoder = build(small_world.profile("x.parquet", **SETTINGS).text.encoder)
    expected = encoder.encode([""] * 4, 8).embedding[0, :1].astype(np.float16)
    np.testing.assert_allclose(prompt, expected, atol=1e-3)


def test_experts_may_be_clustered_on_the_mean_of_true_tokens(root: Path) -> None:
    """The same root goes on under other settings, which cut the longest captions."""
    source = root.parent / "list.parquet"
    changed = {**SETTINGS, "text__pooled": "masked_mean", "clusters__features": ["image", "text"], "text__tokens": 9}
    direct.bring_up_to_date(small_world.profile(source, **changed), root)
    assert verify(open_location(root), manifest_of(root)).problems == []
    table, form = texts(root), manifest_of(root)["format"]
    cut = table.filter(pl.col("truncated") > 0).height
    assert 0 < cut == form["text"]["lengths"]["captions_truncated"] < table.height
    states = unpacked(table["embedding"], table["tokens"])
    means = np.stack([row.astype(np.float64).mean(0) for row in states]).astype(np.float16)
    np.testing.assert_allclose(table["pooled"].to_numpy(), means, atol=1e-3)
    assert form["text"]["pooled"].startswith("mean of the states of true tokens")
    assert np.load(root / "router_training/clip.npy").shape == (len(np.load(root / "router_training/labels.npy")), 128)
