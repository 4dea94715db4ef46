"""Whole runs on what is missing, damaged, wrong or odd: a clear error or a correct result, never a wrong one."""

from __future__ import annotations

import json
import shutil
import socket
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.profiles import dump_profile
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.fixtures.small_world import contents, picture, profile
from paris_assets_tests.models.cheap import Colours

pytestmark = pytest.mark.long

SHARD_ASSETS = (
    "image_signals", "content_scores", "filtered_images", "curated_images", "captions", "text_embeddings",
    "image_embeddings", "cluster_assignments", "training_selection", "latents", "router_arrays", "expert_shards",
)  # fmt: skip
# Letters of both directions, combining and joined ones, control characters, markup of every kind, and a lot of it.
TEXTS = [
    "plain words for an image", "", None, "   \t ", "x" * 100_000 + " long words here", "😀 words 👩‍👩‍👧 with emoji",
    "שלום עולם טקסט", "العربية نص طويل", "nul \x00 and \x1b[31m escape codes", "lines\nand\ttabs\r\nare words",
    "<script>alert(1)</script> three words", "$x_1$ maths $$ in words", "| pipes | in | words", "[red]rich[/red] text",
    "\u202ereversed words are here", "{{ jinja }} {% words %} here", "%s %d %n percent words",
]  # fmt: skip
ODD_SIZES = [(1, 1), (1, 64), (64, 1), (3000, 2), (2, 3000), (8, 8), (9, 9), (640, 30)]


class Same(Colours):
    """An embedder that sees no difference."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.ones_like(batch)


def table(path: Path, images: Sequence[bytes | None], texts: Sequence[str | None] | None = None) -> Path:
    """A source that embeds its images."""
    words = texts or [f"picture number {number}" for number in range(len(images))]
    columns = {"image": pl.Series(images, dtype=pl.Binary), "text": pl.Series(words, dtype=pl.String)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(path)
    return path


def run(settings: Profile, root: Path) -> int:
    return run_command(settings, str(root), Request(), dry_run=False)


def said(captured: pytest.CaptureFixture[str]) -> str:
    """What the terminal shows, as one line; never a traceback."""
    out, err = captured.readouterr()
    assert "Traceback" not in out + err
    return " ".join((out + err).split())


@pytest.fixture(scope="module")
def whole(small_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an undisturbed run, without a Dagster home."""
    return Path(shutil.copytree(small_finished, tmp_path_factory.mktemp("whole") / "root"))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.slow
def test_every_kind_of_missing_or_torn_file_is_made_again(whole: Path, small_source: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    before = contents(root)
    deleted = [
        "source_rows/00000.parquet", "raw_images/00001.tar", "duplicate_groups/all.parquet",
        "cluster_model/all.parquet", "router_arrays/00002/latents.npy", "router_training/labels.npy",
        "expert_shards/empty_prompt.npy",
        "analysis/cluster_0_grid.png", "analysis/vae_reconstruction_samples.png", "pipeline_manifest.json",
        "profile.yaml", "shards.parquet", next(name for name in before if name.startswith("expert_shards/cluster_1/")),
    ]  # fmt: skip
    for name in deleted:
        (root / name).unlink()
    rewrite(root / "image_signals/00000.parquet", lambda data: b"")
    rewrite(root / "captions/00001.parquet", lambda data: data[: len(data) // 2])
    rewrite(root / "latents/00002.parquet", lambda data: data[:-8])
    rewrite(root / "router_arrays/00000/split.npy", lambda data: data[:-1])
    pl.DataFrame({"image_id": ["a"]}).write_parquet(root / "curated_images/00002.parquet")
    shutil.copy(root / "content_scores/00000.parquet", root / "training_selection/00000.parquet")
    assert run(profile(small_source), root) == 0
    assert contents(root) == before


@pytest.mark.extended
def test_odd_texts_and_sizes_and_empty_shards_go_through(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = [picture(number) for number in range(len(TEXTS))]
    odd = [picture(100 + number, size) for number, size in enumerate(ODD_SIZES)]
    broken: list[bytes | None] = [None, b"", b"<html>", picture(300)[:3], b"\xff\xd8\xff\xe0"] * 4
    count = 20
    shards = [[*good, *good[: count - len(good)]], broken, [good[number % 5] for number in range(count)], odd]
    texts = [*TEXTS, *["other words are here"] * (count - len(TEXTS)), *["words of every row"] * (2 * count + len(odd))]
    source = table(tmp_path / "odd.parquet", [image for shard in shards for image in shard], texts)
    bounds = {"checks__max_duplicates": 1.0, "checks__min_fetched": 0.0, "checks__min_latent_std": 0.1}
    settings = profile(source, curation__signal_rules=[], **bounds)
    assert run(settings, tmp_path / "root") == 0
    shown = said(capfd)
    assert "check captions" in shown
    assert "check expert_shards" not in shown
    assert "check router_arrays" not in shown

    def rows(asset: str, shard: str) -> pl.DataFrame:
        return pl.read_parquet(tmp_path / "root" / asset / f"{shard}.parquet")

    assert rows("raw_images", "00001")["reason"].value_counts().sort("reason").rows() == [
        ("no_image", 8), ("not_an_image", 12)
    ]  # fmt: skip
    assert [rows(asset, "00001").height for asset in SHARD_ASSETS] == [0] * len(SHARD_ASSETS)
    assert rows("image_signals", "00002").height == 5
    assert [rows(asset, "00002").height for asset in SHARD_ASSETS[3:]] == [0] * len(SHARD_ASSETS[3:])
    assert rows("image_signals", "00003").height == len(ODD_SIZES)
    kept = rows("captions", "00000")
    ids = dict(rows("raw_images", "00000").sort("source_row").select("source_row", "image_id").iter_rows())
    sources = dict(kept.select("image_id", "source_text").iter_rows())
    assert [sources[ids[number]] for number in range(len(TEXTS))] == TEXTS
    captions = dict(kept.select("image_id", "caption").iter_rows())
    published: dict[str, str] = {}
    for tar in (tmp_path / "root").glob("expert_shards/*/*.tar"):
        assert tar.name[:5] in ("00000", "00003")
        with tarfile.open(tar) as members:
            for member in members:
                if member.name.endswith("caption.txt") and tar.name.startswith("00000"):
                    file = members.extractfile(member)
                    assert file
                    published[member.name.partition(".")[0]] = file.read().decode()
    assert published == captions
    manifest = json.loads((tmp_path / "root" / "pipeline_manifest.json").read_text())
    for asset in ("raw_images", "curated_images", "expert_shards"):
        stage = manifest["counts"][asset]
        assert stage["in"] == stage["out"] + sum(stage["rejects"].values()), asset
    assert main(["verify", str(tmp_path / "root" / "pipeline_manifest.json")]) == 0


@pytest.mark.extended
def test_more_clusters_than_images_is_an_error_and_fewer_is_a_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported, "write_report", brief_report)
    source, root = table(tmp_path / "one.parquet", [picture(1)] * 30), tmp_path / "root"
    assert run(profile(source, clusters__k=8, checks__max_duplicates=1.0), root) == 1
    shown = said(capfd)
    assert "failed cluster_model [all]: " in shown
    assert "clusters.k is 8, but too few images are left to cluster (1): set clusters.k to at most 1, or bring" in shown
    one = profile(source, clusters__k=1, checks__max_duplicates=1.0)
    assert run(one, root) == 1
    shown = said(capfd)
    assert "check expert_summary experts_filled fails with severity ERROR [all]: None of 1 experts has a" in shown
    assert "nothing is published under" in shown
    assert run(profile(source, clusters__k=1, clusters__min_images=1, checks__max_duplicates=1.0), root) == 0
    assert "check expert" not in said(capfd)
    assert json.loads((root / "pipeline_manifest.json").read_text())["images_per_cluster"] == {"0": 1}
    assert len(np.load(root / "router_training/image_ids.npy")) == 1


def test_fewer_rows_than_clusters_are_refused_before_any_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, root = table(tmp_path / "few.parquet", [picture(1)] * 5), tmp_path / "root"
    file = tmp_path / "few.yaml"
    file.write_text(dump_profile(profile(source, clusters__k=8)))
    assert main(["run", "--profile", str(file), "--root", str(root)]) == 2
    assert "clusters.k is 8, but the source has only 5 rows: --set clusters.k=5 or less" in said(capfd)
    assert not root.exists()


def test_what_is_inspected_where_no_run_was_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "row:0", "--root", str(tmp_path / "none")]) == 2
    assert "there is no run under" in said(capfd)


def test_a_port_in_use_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dev", "--root", str(tmp_path / "root"), "--port", str(port)]) == 2
    assert f"port {port} is in use" in said(capfd)


def test_images_that_all_look_the_same_to_the_embedder_are_not_clustered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = table(tmp_path / "same.parquet", [picture(number) for number in range(12)])
    settings = profile(source, embedder={"implementation": f"{__name__}:Same"})
    assert run(settings, tmp_path / "root") == 1
    shown = said(capfd)
    assert "2 of 3 clusters hold no images (largest: 12 of 12); too many vectors are alike: lower clusters.k" in shown
    assert "check image_embeddings embeddings_sane: Shard 00000: the vectors are all but equal" in shown
    assert not (tmp_path / "root" / "pipeline_manifest.json").exists()


def test_no_image_left_says_where_they_went(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = table(tmp_path / "none.parquet", [b"<html>"] * 20 + [picture(1, (24, 24))] * 5)
    assert run(profile(source), tmp_path / "root") == 1
    shown = said(capfd)
    assert "failed" not in shown
    assert (
        "no image is kept by the rules: of 25 rows rejected: not_an_image 20; of 1 images rejected: short_side 1 ("
        in shown
    )
    assert shown.rstrip().endswith(" --set curation.signal_rules.short_side.min=...` lets more of them in)")
    assert not (tmp_path / "root" / "pipeline_manifest.json").exists()


RULE = {"name": "r", "min": 1}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"curation__signal_rules": [{**RULE, "column": "sharpness"}]},
     "curation.signal_rules: rule 'r' is on column 'sharpness', which does not exist here; there are ['aspect', "),
    ({"curation__signal_rules": [{**RULE, "column": "redness"}]}, "; move the rule to curation.score_rules"),
    ({"curation__score_rules": [{**RULE, "column": "caption"}]}, "rule 'r' is on column 'caption', which does not"),
    ({"curation__signal_rules": [{**RULE, "column": "error"}]}, "on column 'error', which holds String, not numbers"),
    ({"scores": {"blur": {"implementation": f"{__name__}:Same"}}}, "scores.blur: the file or a signal has a column"),
    (
        {"scores": {"d": {"implementation": "degradation"}, "d_cast": {"implementation": "open-nsfw"}}},
        "scores.d: d_cast has a column 'd_cast', too",
    ),
    ({"signals__measures": ["paris_assets.signals.entropy:Entropie"]}, "entropy:Entropie: module"),
    ({"signals__measures": ["paris_assets.signals.entropy:Entropy"]}, "signals.measures gives no phash, thumbnail,"),
    ({"embedder": {"implementation": "absent.module:Net"}}, "embedder: absent.module:Net: No module named 'absent'"),
    ({"embedder": {"implementation": f"{__name__}:Other"}}, "has no attribute 'Other'"),
    ({"latents__codec": {"implementation": f"{__name__}:Same"}}, "Same has no encode, no decode; paris_assets/models/"),
    ({"checks__warn_only": ["retension"]}, "checks.warn_only: no check retension (did you mean 'retention'?)"),
    ({"source__columns": {"image": "picture"}}, "source.columns: list.parquet has no ['picture']"),
    ({"source__columns": {"picture": "image"}}, "source.columns: no column 'picture' of ours; there are url, text, "),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "expected"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_what_cannot_work_is_said_before_any_work(
    setting: dict[str, Any], expected: str, small_source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, root = tmp_path / "wrong.yaml", tmp_path / "root"
    file.write_text(dump_profile(profile(small_source, **setting)))
    assert main(["run", "--profile", str(file), "--root", str(root)]) == 2
    assert expected in said(capfd)
    assert not (root / "profile.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "clusters.kk=3"], "clusters.kk: no such setting"),
        (["--set", "clusters.k=0"], "clusters.k: Input should be greater than or equal to 1"),
        (["--set", "clusters.fine=2"], "clusters: fine is 2, but it is merged into k = 3 clusters: raise it"),
        (["--set", "clusters.max_share=0.2"], "clusters: max_share 0.2 of k = 3 clusters cannot hold all images"),
        (["--set", "clusters.features=[]"], "clusters.features: List should have at least 1 item"),
        (["--set", "latents.resolutions=[64, 64]"], "latents.resolutions: [64, 64] names one of them twice"),
        (["--set", "seed=4294967296"], "seed: Input should be less than 4294967296"),
        (
            ["--set", "curation.signal_rules=[{name: r, column: blur, min: 2, max: 1}]"],
            "rule 'r' keeps nothing: its min 2",
        ),
        (
            ["--set", "curation.signal_rules=[{name: r, column: blur, min: .nan}]"],
            "min: Input should be a finite number",
        ),
        (["--select", "caption"], "--select: no asset 'caption' (did you mean 'captions'?); assets: captions, "),
        (["--shards", "00003"], "--shards: no shard 00003; registered are 00000 to 00002"),
        (["--from", "clusters"], "--from: no asset 'clusters' (did you mean 'cluster_values'?); assets: captions, "),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], expected: str, whole: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--root", str(whole), "--dry-run", *arguments]) == 2
    assert expected in said(capfd)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "wrong.yaml is empty; a profile is a mapping of settings"),
        (b"- seed", "wrong.yaml holds a list; a profile is a mapping of settings"),
        (b"seed: [", "wrong.yaml is not valid YAML: line 1, column 8: while parsing a flow node"),
        (b"\x80\x81", "wrong.yaml is not valid YAML"),
    ],
)
def test_a_profile_that_is_none_is_named(
    data: bytes, expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_bytes(data)
    assert main(["run", "--profile", str(file), "--root", str(tmp_path / "root")]) == 2
    assert expected in said(capfd)
    shutil.copy(file, tmp_path / "profile.yaml")
    assert main(["run", "--root", str(tmp_path)]) == 2
    assert expected.replace("wrong", "profile") in said(capfd)


def test_a_root_that_cannot_be_one_is_named(whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for root in (file, file / "below", Path("/proc/absent/root")):
        for command in (["run", "--profile", str(whole / "profile.yaml")], ["doctor"], ["inspect", "abc"]):
            if command[0] == "run" or root != Path("/proc/absent/root"):
                assert main([*command, "--root", str(root)]) == 2, (command, root)
                assert str(root.parent) in said(capfd)


@pytest.mark.parametrize("change", ["absent", "empty", "no rows", "cut"])
def test_a_source_that_cannot_be_read_is_named(
    change: str, small_source: Path, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.parquet"
    if change == "empty":
        wrong.write_bytes(b"")
    elif change == "no rows":
        pl.read_parquet(small_source)[:0].write_parquet(wrong)
    elif change == "cut":
        wrong.write_bytes(small_source.read_bytes()[:-9])
    command = ["run", "--profile", str(whole / "profile.yaml"), "--source", str(wrong)]
    assert main([*command, "--root", str(tmp_path / "root")]) == 2
    assert "wrong.parquet" in said(capfd)
    assert not (tmp_path / "root" / "profile.yaml").exists()
