"""What is refused before any data is read, counts that add up, time left, and what is said of causes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import polars as pl
import pytest

from paris_assets.config import Model, ProfileError
from paris_assets.dag.flow import account, with_words
from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError
from paris_assets.latents.places import TOO_SMALL
from paris_assets.models.efficientnet import EfficientNetLite0
from paris_assets.models.registry import KNOWN, requirements
from paris_assets.planning.waves import blocked_lines
from paris_assets.profiles import load_profile
from paris_assets.runs.arguments import build_parser
from paris_assets.runs.completion import completion_script
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.fitting import FITTING
from paris_assets.runs.preflight import setting_problems
from paris_assets.runs.progress import WIDTH, Estimate, duration, open_console
from paris_assets.runs.rejections import often
from paris_assets.runs.run import Request, UnknownName, require_enough_rows, resolve_selection
from paris_assets.runs.soundness import remove_empty_folders
from paris_assets.runs.space import SMALL_GPU_BYTES, batch_advice
from paris_assets.storage.location import Location

REFUSED = [
    ({"latents.resolutions": [250]}, "latents.resolutions: 250 is no multiple of 8, as small-vae needs: 248 or 256 is"),
    ({"latents.resolutions": [3]}, "3 is no multiple of 8, as small-vae needs: 8 is"),
    (
        {"latents.resolutions": [96]},
        "probe.patches: 8 do not divide the 12 cells of latents of 96 px: --set probe.patches=6, or --set probe=null",
    ),
    ({"latents.resolutions": [296]}, "the 37 cells of latents of 296 px: --set probe=null"),
    ({"source.columns": {"urll": "link"}}, "no column 'urll' of ours (did you mean 'url'?)"),
    ({"ingest.resolve": {"a.b": "nonsense"}}, "a.b: 'nonsense' is neither"),
    ({"checks.min_share": 0.2}, "checks.min_share is 0.2, of k = 8 clusters: no more than 0.125 is possible"),
    ({"checks.min_kept": 0.9, "checks.max_kept": 0.5}, "checks.min_kept is 0.9, above checks.max_kept, 0.5"),
    ({"text.tokens": 600}, "text.tokens is 600, but minilm has 512 positions: --set text.tokens=512"),
    (
        {"text.encoder": {"implementation": "small-t5"}, "clusters.features": ["text"]},
        "clusters.features: small-t5 gives no vector per caption: --set text.pooled=masked_mean",
    ),
    (
        {"text.encoder": {"implementation": "clip-text", "path": "a/b"}, "text.stored": "true_tokens"},
        "text.stored is true_tokens, but padded positions of clip-text count: --set text.stored=padded",
    ),
    (
        {
            "pool.select": ["no_filter"],
            "pool.vectors": {"origin": "encoder", "encoder": {"implementation": "small-t5"}},
        },
        "pool.vectors.encoder: small-t5 gives no vector per text: name minilm or clip-text",
    ),
    ({"captions.captioner.options": {"foo": 1}}, "captions.captioner.options: got an unexpected keyword argument"),
    ({"ingest.encode.short_side": 128}, "latents of 256 would be made of enlarged pictures: --set ingest.encode.short"),
    (
        {"captions.kinds": {"source": {"column": "text"}, "ocr": {"column": "ocr"}}, "captions.train": ["source"]},
        "captions.kinds.ocr: no column of the source is known to be ocr: --set 'source.columns={ocr: NAME}'",
    ),
    (
        {
            "captions.kinds": {"long": {"endpoint": {"model": "m", "prompt": "p", "key_env": "NO_SUCH_KEY"}}},
            "captions.train": ["long"],
        },
        "captions.kinds.long.endpoint: the environment variable NO_SUCH_KEY, which key_env names, is not set",
    ),
    (
        {
            "captions.kinds": {
                "long": {
                    "endpoint": {"model": "m", "prompt": "p"},
                    "fallback": [{"endpoint": {"url": "vlm:80", "model": "m", "prompt": "p"}}],
                }
            },
            "captions.train": ["long"],
        },
        "captions.kinds.long.fallback.0.endpoint: url 'vlm:80' is no http or https address",
    ),
    (
        {"pool.judge": {"endpoint": {"model": "m", "key_env": "NO_SUCH_KEY"}}},
        "pool.judge.endpoint: the environment variable NO_SUCH_KEY, which key_env names, is not set",
    ),
    (
        {"checks.min_concepts_kept": 0.9, "checks.max_concepts_kept": 0.5},
        "checks.min_concepts_kept is 0.9, above checks.max_concepts_kept, 0.5",
    ),
    (
        {"captions.kinds": {"ocr": {"column": "ocr_text"}}, "captions.train": ["ocr"]},
        "captions.kinds.ocr: no signal gives ocr_text: name paris_assets.signals.text_area:TextArea",
    ),
    ({"captions.refusals": ["(unclosed"]}, "captions.refusals: '(unclosed' is no regular expression"),
    (
        {
            "captions.kinds": {"source": {"column": "text"}},
            "captions.train": ["source"],
            "captions.max_tokens": 9,
            "text.encoder": {"implementation": "paris_assets_tests.models.fakes:Letters"},
        },
        "captions.max_tokens: paris_assets_tests.models.fakes:Letters has no method `count`",
    ),
    *(
        ({f"scores.{name}": {"implementation": "open-nsfw"}}, f"scores.{name}: there is a column {name!r}")
        for name in ("blocking", "width", "value")
    ),
    ({"curation.signal_rules.aspect.name": "entropy"}, "two rules are called 'entropy'"),
]


@pytest.mark.parametrize(("settings", "said"), REFUSED, ids=["+".join(each[0]) for each in REFUSED])
def test_what_no_data_would_make_possible_is_refused(settings: dict[str, Any], said: str) -> None:
    (problem,) = setting_problems(load_profile("demo", settings))
    assert said in problem


MISPLACED = {
    "embedder": "open-nsfw",
    "copy_embedder": "open-nsfw",
    "picture_embeddings.a": "minilm",
    "scores.a": "efficientnet-lite0",
    "captions.captioner": "imagenet-tags",
    "concepts.labeller": "imagenet-labels",
    "text.encoder": "imagenet-labels",
    "latents.codec": "efficientnet-lite0",
}


@pytest.mark.parametrize("setting", MISPLACED)
def test_a_network_that_does_other_work_is_refused_with_those_that_fit(setting: str) -> None:
    wrong = {"implementation": MISPLACED[setting]}
    said = [each for each in missing_for(load_profile("demo", {setting: wrong})) if "does other work" in each]
    assert said == [
        f"{setting}: {MISPLACED[setting]} does other work: give {', '.join(FITTING[setting.partition('.')[0]])} "
        "or an import path"
    ]


def test_every_network_that_ships_fits_somewhere() -> None:
    assert {name for names in FITTING.values() for name in names} == set(KNOWN)


@pytest.mark.parametrize("name", ["demo", "own"])
def test_shipped_profiles_are_possible(name: str) -> None:
    assert setting_problems(load_profile(name)) == []


def test_rows_and_images_are_joined_by_reasons() -> None:
    counts = {
        "raw_images": {"in": 264, "out": 253, "rejects": {"timeout": 11}},
        "image_signals": {"in": 251, "out": 251, "rejects": {}},
        "content_scores": {"in": 251, "out": 239, "rejects": {"not_scored": 12}},
        "filtered_images": {"in": 251, "out": 239, "rejects": {"entropy": 12}},
        "duplicate_groups": {"in": 241, "out": 241, "rejects": {"exact": 7, "phash": 28}},
        "curated_images": {"in": 241, "out": 206, "rejects": {"duplicate": 35}},
        "latents": {"in": 206, "out": 200, "rejects": {"too_small": 6}},
        "training_split": {"in": 190, "out": 190, "rejects": {}},
        "expert_shards": {"in": 206, "out": 190, "rejects": {"no_latent": 6, "not_selected": 10}},
    }
    steps = account(counts)
    assert all(step.whole for step in steps)
    assert str(steps[1]) == "253 rows = 251 distinct images + 2 further rows with the bytes of another of their shard"
    assert str(steps[2]) == "251 images = 239 scored + 12 not_scored"
    assert str(steps[4]).startswith("241 rows = 239 images kept by the rules + 2 further rows")
    assert str(steps[7]) == "206 images = 190 to train on or held out + 6 no_latent + 10 not_selected"
    assert with_words(steps)[7]["said"] == str(steps[7])
    assert {step.stage for step in steps} == counts.keys()
    lost = account({"latents": {"in": 5, "out": 3, "rejects": {}}})[0]
    assert not lost.whole
    assert "+2 that nothing explains" in str(lost)


def test_what_rejects_many_names_its_setting() -> None:
    profile = load_profile("own")
    said = often(profile, "filtered_images", 61, {"short_side": 35, "aspect": 3, "undecodable": 22})
    assert said == [
        "filtered_images: 35 of 61 are rejected for short_side (min 256); "
        "--set curation.signal_rules.short_side.min=... --set latents.upscale=true lets more of them in"
    ]
    assert "--set latents.upscale=true" in often(profile, "latents", 3, {TOO_SMALL: 2})[0]
    assert often(profile, "raw_images", 3, {"short_side": 3}) == []


def test_one_line_for_one_cause() -> None:
    blocked = {
        "latent_report": {"all": ["latents/00000"]},
        "expert_shards": {"00000": ["latents/00000"]},
        "expert_summary": {"all": ["latents/00000", "expert_shards/00000"]},
        "captions": {"00001": ["curated_images/00001"]},
    }
    assert blocked_lines(blocked) == [
        "latent_report, expert_shards [00000], expert_summary: latents/00000 missing or out of date",
        "captions [00001]: curated_images/00001 missing or out of date",
    ]


def test_time_left_comes_from_rows_and_measured_rates() -> None:
    now = [0.0]
    estimate = Estimate({"a": 10, "b": 30}, lambda: now[0])
    estimate.expect([("captions", "a"), ("captions", "b")])
    estimate.begin("captions", "a")
    now[0] = 5.0
    estimate.end("captions", "a", made=True)
    assert estimate.left() == (15.0, True)
    estimate.expect([("latents", "b")], of=("latents",))
    assert estimate.total == 3
    assert str(estimate) == "at least 15 s left"
    estimate.expect([("captions", "a"), ("captions", "b"), ("captions", "b")], of=("captions",))
    assert (estimate.total, estimate.left()) == (4, (20.0, False))
    estimate.drop([("latents", "b"), ("captions", "a"), ("captions", "a")])
    assert (estimate.total, estimate.left()) == (2, (15.0, True))
    assert [duration(seconds) for seconds in (45, 200, 7500)] == ["45 s", "3 min 20 s", "2 h 5 min"]


def test_what_is_left_is_counted_as_partitions_come_and_go() -> None:
    rows = {f"{number:05d}": 1 + number % 7 for number in range(30)}
    random, now, known = Random(0), [0.0], set[str]()
    estimate = Estimate(rows, lambda: now[0])
    estimate.expect([(asset, shard) for asset in ("captions", "latents") for shard in rows])
    large = [("captions", shard) for shard in rows if rows[shard] > 2]
    estimate.expect(large, of=("captions",))
    left = {*large, *(("latents", shard) for shard in rows)}
    for asset, shard in random.sample(sorted(left), 25):
        left.remove((asset, shard))
        if random.random() < 0.3:
            estimate.drop([(asset, shard), (asset, shard)])
            continue
        estimate.begin(asset, shard)
        now[0] += 2.0 * rows[shard]  # the only work there is, so that the pace is that of one process
        estimate.end(asset, shard, made=True)
        known.add(asset)
        seconds, certain = estimate.left()
        assert seconds == pytest.approx(sum(2.0 * rows[one[1]] for one in left if one[0] in known))
        assert certain == ({one[0] for one in left} <= known)


def test_batch_advice_goes_by_memory() -> None:
    profile = load_profile("paris")
    assert batch_advice(profile, SMALL_GPU_BYTES) == []
    assert "latents.codec.batch_size=4" in batch_advice(profile, SMALL_GPU_BYTES // 2)[0]
    assert "latents.codec.batch_size=32" in batch_advice(profile, 4 * SMALL_GPU_BYTES)[0]


def test_empty_folders_of_experts_go_and_others_stay(tmp_path: Path) -> None:
    for number in (0, 4):
        (tmp_path / "expert_shards" / f"cluster_{number}").mkdir(parents=True)
    (tmp_path / "expert_shards" / "cluster_0" / "x.tar").touch()
    remove_empty_folders(Location(tmp_path))
    assert [path.name for path in (tmp_path / "expert_shards").iterdir()] == ["cluster_0"]


def test_completion_knows_commands_and_names() -> None:
    script = completion_script("bash", ["demo", "own"], ["captions"], ["clusters.k", "seed"], ["rule.min"])
    for word in ("--log-file", "demo own", "captions", "clusters.k seed rule.min", "verify)", "clusters seed"):
        assert word in script


@pytest.mark.parametrize(
    ("arguments", "meant"), [(["runn"], "'run'"), (["run", "--profle", "demo"], "'--profile'"), (["run", "--zz"], "")]
)
def test_a_misspelt_command_or_option_is_answered(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(arguments)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.endswith(f"(did you mean {meant}?)\n") == bool(meant)


def test_what_is_like_a_name_is_said(tmp_path: Path) -> None:
    catalog = open_catalog(str(tmp_path), load_profile("demo"))
    with pytest.raises(UnknownName, match=r"'group:curatin' .* \(did you mean 'curation'\?\); groups: capt"):
        resolve_selection(("group:curatin",), catalog)
    with warnings.catch_warnings():
        warnings.simplefilter("error", dg.BetaWarning)
        assert resolve_selection(("group:captions",), catalog) == {"captions", "text_embeddings"}
    with pytest.raises(ProfileError, match=r"rule 'short_side' has no setting 'mn' \(did you mean 'min'\?\)"):
        load_profile("demo", {"curation.signal_rules.short_side.mn": 3})
    assert "(did you mean 'imagenet-labels'?)" in requirements(Model(implementation="imagenet-label"))[0]


def test_too_few_rows_for_the_clusters(tmp_path: Path) -> None:
    catalog, registry = open_catalog(str(tmp_path), load_profile("demo")), pl.DataFrame({"rows": [3, 4]})
    with pytest.raises(UsageError, match=r"k is 8, but the source has only 7 rows: --set clusters\.k=7 or less"):
        require_enough_rows(catalog, Request(), registry)
    require_enough_rows(catalog, Request(select=("captions",)), registry)
    require_enough_rows(catalog, Request(), pl.DataFrame({"rows": [8]}))


def test_without_a_terminal_sentences_and_reasons_stay_whole(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console, path = open_console(), f"registered, from {'/folder' * 30}"
    console.print(path, markup=False)
    assert capfd.readouterr().err == f"{path}\n"
    assert console.width == WIDTH


class Shipped(EfficientNetLite0):
    """One of ours with another name."""


class Annotated:
    """Its objects get their preprocessing when they are made."""

    preprocess: Callable[[Any], Any]

    def identity(self) -> None: ...


class AProperty(Annotated):
    @property
    def run(self) -> Callable[[Any], Any]:
        return lambda batch: batch


def test_a_network_may_annotate_what_its_objects_get() -> None:
    own = {"implementation": f"{__name__}:Annotated"}
    (said,) = [each for each in missing_for(load_profile("demo", {"embedder": own})) if "Annotated" in each]
    assert said.startswith(f"embedder: {__name__}:Annotated has no run;")


@pytest.mark.parametrize("name", ["Shipped", "AProperty"])
def test_a_network_may_be_made_of_a_shipped_one_or_have_properties(name: str) -> None:
    own = {"implementation": f"{__name__}:{name}"}
    assert not [each for each in missing_for(load_profile("demo", {"embedder": own})) if name in each]
