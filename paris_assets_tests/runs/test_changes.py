"""One setting changed on a finished root: which partitions are made again, and that nothing else is touched."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets.settings.ingest import PerHost
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.models import cheap

pytestmark = pytest.mark.long

SHARDS = ["00000", "00001", "00002"]
HERE = "paris_assets_tests.runs.test_changes"


class Cubed(cheap.Colours):
    """Another embedder."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch**3


class Louder(cheap.Blocks):
    """Another codec."""

    def encode(self, pixels: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        return super().encode(pixels, noise) * np.float32(1.5)


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported, "write_report", brief_report)
        yield


@pytest.fixture(scope="module")
def finished(small_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished root; tests copy it."""
    root = tmp_path_factory.mktemp("finished") / "root"
    made = direct.bring_up_to_date(small_world.profile(small_source), root)
    assert made == direct.partitions(" ".join(direct.GRAPH), SHARDS)
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished root, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "root"))


class Change(NamedTuple):
    """A setting, and what has to follow: partitions whose content changes, and those that are made again as they were,
    where the change ends. ``latents[0,2]`` are those of two shards."""

    settings: dict[str, Any]
    changed: str
    same: str = ""
    fresh: bool = False


def rules(side: int) -> list[dict[str, Any]]:
    return [
        {"name": "short_side", "column": "short_side", "min": side},
        {"name": "aspect", "column": "aspect", "max": 3.0},
    ]


def redness(most: float) -> list[dict[str, Any]]:
    return [{"name": "redness", "column": "redness", "max": most}]


def captioner(**options: Any) -> dict[str, Any]:
    return {"implementation": f"{small_world.CHEAP}:Namer", "options": options}


EMBEDDED = "captions text_embeddings image_embeddings latents "
FITTED = "cluster_model cluster_assignments cluster_report training_selection training_split "
VERDICTS = "cluster_values "  # of each cluster: another fit need not change them
PUBLISHED = "expert_shards router_arrays expert_summary pipeline_manifest"
CURATED = "duplicate_groups curated_images " + EMBEDDED + FITTED + PUBLISHED

FEW = ("rule on scores, one image of one shard", "duplicate radius, same groups", "caption model", "K", "another VAE")
"""What `make test` tries; all are in `make test-all`."""
CHANGES = {
    "rule on signals": Change(
        {"curation__signal_rules": rules(16)},
        "content_scores filtered_images " + CURATED,
        VERDICTS + "latent_report",
        fresh=True,
    ),
    "rule on signals, same verdicts": Change(
        {"curation__signal_rules": rules(31)}, "pipeline_manifest", "content_scores filtered_images cluster_model"
    ),
    "rule on scores, one image of one shard": Change(
        {"curation__score_rules": redness(0.535)},
        "filtered_images[1] duplicate_groups curated_images[1] captions[1] text_embeddings[1] image_embeddings[1] "
        "latents[1] " + FITTED + PUBLISHED,
        VERDICTS + "filtered_images[0,2] latent_report",
        fresh=True,
    ),
    "rule on scores, same verdicts": Change(
        {"curation__score_rules": redness(0.95)}, "pipeline_manifest", "filtered_images cluster_model", fresh=True
    ),
    "a further scorer": Change(
        {"scores": {name: {"implementation": f"{small_world.CHEAP}:Redness"} for name in ("redness", "again")}},
        "content_scores pipeline_manifest",
        "filtered_images cluster_model",
    ),
    "duplicate radius": Change({"duplicates__radius": 0}, CURATED, VERDICTS + "latent_report", fresh=True),
    "duplicate radius, same groups": Change(
        {"duplicates__radius": 9}, "pipeline_manifest", "duplicate_groups cluster_model", fresh=True
    ),
    "growth": Change(
        {"duplicates__growth": "rerank"}, "pipeline_manifest", "duplicate_groups cluster_model training_split"
    ),
    "caption model": Change(
        {"captions__captioner": captioner(prefix="a photo of")},  # as many words, and tars of as many blocks
        "captions text_embeddings cluster_report expert_shards router_arrays pipeline_manifest",
        "cluster_values training_split expert_summary",
        fresh=True,
    ),
    "min_words": Change(
        {"captions__min_words": 2},
        "captions text_embeddings cluster_report " + PUBLISHED,
        "cluster_values training_split",
    ),
    "min_words, same captions": Change({"captions__min_words": 4}, "pipeline_manifest", "captions"),
    "text tokens": Change({"text__tokens": 20}, "text_embeddings " + PUBLISHED),
    "embedder": Change(
        {"embedder": {"implementation": f"{HERE}:Cubed"}},
        "image_embeddings " + FITTED + PUBLISHED,
        VERDICTS,
        fresh=True,
    ),
    "embedder's batch size": Change(
        {"embedder": {"implementation": f"{small_world.CHEAP}:Colours", "batch_size": 8}},
        "pipeline_manifest",
        "image_embeddings cluster_model",
    ),
    "K": Change({"clusters__k": 2}, "cluster_values " + FITTED + PUBLISHED, fresh=True),
    "cluster features": Change({"clusters__features": ["image", "text"]}, FITTED + PUBLISHED, VERDICTS),
    "assignment": Change({"clusters__assignment": "inherit", "clusters__fine": 6}, FITTED + PUBLISHED, VERDICTS),
    "stability seeds": Change({"clusters__stability_seeds": 3}, "cluster_report pipeline_manifest"),
    "smallest valued cluster, same verdicts": Change(
        {"clusters__min_images": 3}, "cluster_report pipeline_manifest", "cluster_values"
    ),
    "keep_fraction": Change(
        {"clusters__keep_fraction": 0.5}, "cluster_report cluster_values training_selection training_split " + PUBLISHED
    ),
    "another VAE": Change(
        {"latents__codec": {"implementation": f"{HERE}:Louder", "batch_size": 4}},
        "latents latent_report expert_shards router_arrays pipeline_manifest",
        "cluster_report training_split expert_summary",
        fresh=True,
    ),
    "VAE's batch size": Change(
        {"latents__codec": {"implementation": f"{small_world.CHEAP}:Blocks", "batch_size": 8}},
        "pipeline_manifest",
        "latents latent_report",
    ),
    "posterior": Change(
        {"latents__posterior": "sample"},
        "latents latent_report cluster_report expert_shards router_arrays pipeline_manifest",
        "training_split expert_summary",
    ),
    "resolution": Change(
        {"latents__resolutions": [32]},
        "latents latent_report cluster_report " + PUBLISHED,
        "training_split",
        fresh=True,
    ),
    "images of the latent report": Change({"latents__report_images": 3}, "latent_report pipeline_manifest"),
    "seed": Change({"seed": 1}, FITTED + PUBLISHED, VERDICTS, fresh=True),
    "samples per tar": Change({"experts__max_samples": 3}, "expert_shards expert_summary pipeline_manifest"),
    "validation_fraction": Change({"experts__validation_fraction": 0.5}, "training_split " + PUBLISHED),
    "allow_missing_shards": Change({"allow_missing_shards": True}, "pipeline_manifest"),
    "profile's name": Change({"name": "other"}, "pipeline_manifest"),
    "largest body": Change({"ingest__max_bytes": 10_000_000}, "pipeline_manifest", "raw_images cluster_model"),
    "columns of the source": Change(
        {"source__columns": {"text": "text"}}, "pipeline_manifest", "source_rows cluster_model", fresh=True
    ),
}


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.extended) for name in CHANGES]
)
def test_a_changed_setting(name: str, root: Path, finished: Path, small_source: Path, tmp_path: Path) -> None:
    change = CHANGES[name]
    profile = small_world.profile(small_source, **change.settings)
    before, stamps = direct.records(root), direct.stamps(root)
    assert_made(profile, root, change.changed, change.same)
    after = direct.records(root)
    written = direct.touched(stamps, direct.stamps(root))
    named = direct.owners(finished) | direct.owners(root)
    made = {key for key in after if before[key].fingerprint != after[key].fingerprint}
    assert {named[path] for path in written - direct.FIXED} == made
    assert direct.bring_up_to_date(profile, root) == set()
    if change.fresh:
        direct.bring_up_to_date(profile, tmp_path / "fresh")
        assert small_world.contents(root) == small_world.contents(tmp_path / "fresh")


def test_shares_of_the_whole_set_and_tiers_reach_the_samples(root: Path, small_source: Path) -> None:
    half = float(table(root, "image_signals")["entropy"].median())  # type: ignore[arg-type]
    tiers = [
        {"name": "low", "rules": [{"name": "exposed", "column": "exposure", "min": 0.2}]},
        {"name": "high", "rules": [{"name": "sharp", "column": "entropy", "min": half}]},
    ]
    reddest = [{"name": "reddest", "column": "redness", "top": 0.5}]
    profile = small_world.profile(small_source, curation__quantile_rules=reddest, curation__tiers=tiers)
    direct.bring_up_to_date(profile, root)
    (bounds,) = table(root, "score_quantiles").to_dicts()
    verdicts = table(root, "filtered_images")
    images = verdicts.unique("image_id").filter(pl.col("reason").is_null() | (pl.col("reason") == "reddest"))
    assert (bounds["ranked"], bounds["kept"]) == (images.height, images.height // 2)
    assert images["kept"].sum() == images.height // 2
    scores = table(root, "content_scores").unique("image_id").join(images, on="image_id")
    kept, dropped = (scores.filter(kept=kept)["redness"] for kept in (True, False))
    assert kept.min() >= dropped.max()  # type: ignore[operator]
    entropy = table(root, "image_signals").unique("image_id").join(images.filter("kept"), on="image_id")
    assert set(entropy["tier"]) == {"low", "high"}
    assert (entropy["tier"] == "high").to_list() == (entropy["entropy"] >= half).to_list()
    assert entropy.filter(tier="low")["stopped_by"].unique().to_list() == ["sharp"]
    of_image = dict(entropy.select("image_id", "tier").iter_rows())
    (sample, *_) = read_samples(next((root / "expert_shards").glob("*/*.tar")))
    assert sample["tier"] == of_image[sample["image_id"]]
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["quantiles"] == [bounds]
    assert manifest["counts"]["filtered_images"]["rejects"]["reddest"] == images.height - images.height // 2
    assert "tier" in manifest["format"]["samples"]["members"]["metadata.json"]["fields"]


def read_samples(tar: Path) -> list[dict[str, Any]]:
    """The metadata of a tar's samples."""
    with tarfile.open(tar) as archive:
        members = [member for member in archive if member.name.endswith(".metadata.json")]
        return [json.load(archive.extractfile(member)) for member in members]  # type: ignore[arg-type]


def assert_made(profile: Profile, root: Path, changed: str, same: str) -> None:
    """Bring the root up to date: some partitions get other content, some are written as they were, no other is made."""
    before = direct.records(root)
    made = direct.bring_up_to_date(profile, root)
    after = direct.records(root)
    kept = {key for key in made if key in before and before[key].content == after[key].content}
    found = {"changed": direct.words(made - kept, SHARDS), "same": direct.words(kept, SHARDS)}
    wanted = {name: direct.partitions(text, SHARDS) for name, text in (("changed", changed), ("same", same))}
    assert found == {name: direct.words(keys, SHARDS) for name, keys in wanted.items()}


def test_a_moved_duplicate_radius_asks_the_networks_for_new_images_only(
    root: Path, finished: Path, small_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the way back asks them for nothing; the table above compares the bytes with those of a fresh run."""
    before = table(root, "curated_images")["image_id"]
    asked = counted(monkeypatch)
    direct.bring_up_to_date(small_world.profile(small_source, duplicates__radius=0), root)
    new = table(root, "curated_images").filter(~pl.col("image_id").is_in(before.implode()))
    assert new["source_row"].sort().to_list() == [1, 29, 49]
    assert asked == {"Namer": 3, "Letters": 3, "Colours": 3, "Blocks": 3}
    asked.clear()
    direct.bring_up_to_date(small_world.profile(small_source), root)
    assert asked.total() == 0
    assert small_world.contents(root) == small_world.contents(finished)


def counted(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Images or texts that each network is asked for from now on, padding aside."""
    asked: Counter[str] = Counter()

    def count(network: type, method: str) -> None:
        real = getattr(network, method)

        def counting(self: Any, batch: Any, *arguments: Any, **named: Any) -> Any:
            asked[type(self).__name__] += sum(
                bool(np.any(row)) if isinstance(row, np.ndarray) else row != "" for row in batch
            )
            return real(self, batch, *arguments, **named)

        patch.setattr(network, method, counting)

    for network in (cheap.Colours, cheap.Redness, cheap.Namer):
        count(network, "run")
    count(cheap.Letters, "encode")
    count(cheap.Blocks, "encode")
    return asked


def table(root: Path, asset: str) -> pl.DataFrame:
    return pl.read_parquet(sorted((root / asset).glob("*.parquet")))


def test_a_captioner_whose_captions_are_all_dropped_is_named_nowhere(tmp_path: Path) -> None:
    """Source texts are kept from before; the record must not go on to name a network that wrote none of the rows."""
    images = [*(small_world.picture(seed) for seed in range(6)), small_world.picture(2, (96, 96))]
    texts = ["a red house", "a blue house", "", "a green house", "a white house", "a black car", "the better copy"]
    source = tmp_path / "list.parquet"
    pl.DataFrame({"image": pl.Series(images, dtype=pl.Binary), "text": texts}).write_parquet(source)
    usual = {"source__rows_per_shard": 6, "captions__min_words": 2}
    changed, fresh = tmp_path / "changed", tmp_path / "fresh"
    direct.bring_up_to_date(small_world.profile(source, duplicates__radius=0, **usual), changed)
    assert f"{small_world.CHEAP}:Namer" in table(changed, "captions")["captioner"]
    for root in (changed, fresh):
        direct.bring_up_to_date(small_world.profile(source, **usual), root)
        assert set(table(root, "captions")["captioner"]) == {"source_text"}
        assert "models" not in direct.records(root)["captions", "00000"].facts
    assert small_world.contents(changed) == small_world.contents(fresh)


def test_fewer_clusters_leave_no_stale_file(finished: Path, small_source: Path, tmp_path: Path) -> None:
    """K 8 to 4 and a K that was never 8 give the same files, and every one of them has a record."""
    roots = [Path(shutil.copytree(finished, tmp_path / name)) for name in ("eight", "four")]
    direct.bring_up_to_date(small_world.profile(small_source, clusters__k=8), roots[0])
    tars = {path.parent.name for path in (roots[0] / "expert_shards").rglob("*.tar")}
    assert tars > {f"cluster_{number}" for number in range(6)}
    assert (roots[0] / "analysis" / "cluster_7_grid.png").exists()
    for root in roots:
        direct.bring_up_to_date(small_world.profile(small_source, clusters__k=4), root)
        assert set(direct.stamps(root)) == direct.owners(root).keys() | direct.FIXED
    assert small_world.contents(roots[0]) == small_world.contents(roots[1])
    pictures = {path.name for path in (roots[0] / "analysis").glob("cluster_*_grid.png")}
    assert pictures == {f"cluster_{number}_grid.png" for number in range(4)}


@pytest.mark.slow
def test_dagster_makes_the_same_partitions_and_bytes(root: Path, small_source: Path, tmp_path: Path) -> None:
    """What holds of the runs above holds of `paris run`."""
    profile = small_world.profile(small_source, experts__max_samples=3)
    plain = Path(shutil.copytree(root, tmp_path / "plain"))
    direct.bring_up_to_date(profile, plain)
    stamps = direct.stamps(root)
    assert run_command(profile, str(root), Request(), dry_run=False) == 0
    assert small_world.contents(root) == small_world.contents(plain)
    named = direct.owners(root)
    made = {named[path] for path in direct.touched(stamps, direct.stamps(root)) - direct.FIXED if path in named}
    assert made == direct.partitions("expert_shards expert_summary pipeline_manifest", SHARDS)


def test_bounds_of_checks_and_settings_of_speed_redo_nothing(root: Path, small_source: Path) -> None:
    """All of them at once, each with another value than before."""
    usual = small_world.profile(small_source)
    tuning = {
        f"ingest__{name}": value for name, value in usual.ingest if f"ingest.{name}" not in results_of(usual, "ingest")
    }
    assert len(tuning) == 11
    changed = tuning | {f"checks__{name}": value for name, value in usual.checks} | {"signals__threads": 0}
    others = {name: other_value(value) for name, value in changed.items()}
    others |= {"checks__max_rejected_by": {"short_side": 0.9}, "ingest__contact": "team@photos.example"}
    profile = small_world.profile(small_source, **others)
    assert all(getattr(profile.checks, name) != value for name, value in usual.checks)
    assert all(profile.at(name.replace("__", ".")) != value for name, value in changed.items())
    stamps = direct.stamps(root)
    assert direct.bring_up_to_date(profile, root) == set()
    assert direct.touched(stamps, direct.stamps(root)) == {"profile.yaml"}


def results_of(profile: Profile, section: str) -> set[str]:
    """Settings of a section on which results depend."""
    return {f"{section}.{name}" for name in profile.results(section)}


def other_value(value: Any) -> Any:
    match value:
        case None:
            return "elsewhere"
        case str():
            return value.upper()
        case list():
            return value[1:]
        case dict():
            return {**value, "photos.example": "127.0.0.1:9"}
        case int():
            return value + 1
        case PerHost():
            return {"connections": value.connections + 1, "requests_per_second": 50.0}
    return value * 0.87 + 0.011  # which no bound is equal to
