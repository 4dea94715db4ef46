"""The profile: one tree, validated, overridden in one order."""

from pathlib import Path

import pytest

from paris_assets.config import Profile, ProfileError
from paris_assets.profiles import (
    PROFILES,
    dump_profile,
    full_path,
    load_profile,
    parse_overrides,
    parse_profile,
    with_full_paths,
)


@pytest.mark.parametrize("file", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_profiles_load_and_survive_a_round_trip(file: Path) -> None:
    profile = load_profile(file.stem)
    assert parse_profile(dump_profile(profile), "again") == profile


def test_command_line_beats_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARIS_SET", "clusters.k=5; seed=7")
    assert load_profile("demo").clusters.k == 5
    chosen = load_profile("demo", {"clusters.k": 4})
    assert (chosen.clusters.k, chosen.seed) == (4, 7)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"clusters.k": 0}, "clusters.k"),
        ({"clusters.kk": 3}, "clusters.kk"),
        ({"latents.posterior": "median"}, "latents.posterior"),
        ({"curation.signal_rules": [{"name": "x", "column": "y"}]}, "neither min nor max"),
    ],
)
def test_a_wrong_setting_is_named(override: dict[str, object], named: str) -> None:
    with pytest.raises(ProfileError, match=named.replace(".", r"\.")):
        load_profile("demo", override)


def test_an_unquoted_null_is_explained() -> None:
    with pytest.raises(ProfileError, match=r'names of settings are text: .* stand in quotes \("null": keep\)'):
        parse_profile("curation: {signal_rules: [{name: a, column: b, min: 1, null: keep}]}", "mine.yaml")


def test_unknown_profile_lists_the_known() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'nope'.*demo"):
        load_profile("nope")


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text("name: !!python/object/apply:os.system ['true']")
    with pytest.raises(ProfileError, match="not valid YAML"):
        load_profile(str(file))


def test_overrides_are_yaml_values() -> None:
    assert parse_overrides(["a.b=3", "c=[x, y]", "d=null"]) == {"a.b": 3, "c": ["x", "y"], "d": None}
    with pytest.raises(ProfileError, match="key=value"):
        parse_overrides(["clusters.k"])


def test_every_setting_has_a_description() -> None:
    def missing(model: type, at: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            kind = field.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                found += missing(kind, f"{at}{name}.")
            elif not field.description:
                found.append(f"{at}{name}")
        return found

    assert missing(Profile, "") == []


def test_a_file_without_a_name_is_called_after_itself(tmp_path: Path) -> None:
    file = tmp_path / "birds.yaml"
    file.write_text("seed: 1\n")
    assert load_profile(str(file)).name == "birds"
    assert load_profile(str(file), {"name": "mine"}).name == "mine"


def test_an_error_says_when_the_file_is_innocent(tmp_path: Path) -> None:
    file = tmp_path / "birds.yaml"
    file.write_text("clusters: {k: 0}\n")
    with pytest.raises(
        ProfileError, match=r"clusters\.kk: no such setting .*\(from --set or PARIS_SET: clusters\.kk\)"
    ):
        load_profile(str(file), {"clusters.kk": 3})
    with pytest.raises(ProfileError) as raised:
        load_profile(str(file))
    assert "from --set" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("lists/l.csv", "{here}/lists/l.csv"),
        ("./lists/../l.csv", "{here}/l.csv"),
        ("lists/*/[a-c]?.jsonl.gz", "{here}/lists/*/[a-c]?.jsonl.gz"),
        ("lists/**/*.parquet", "{here}/lists/**/*.parquet"),
        ("images/", "{here}/images"),
        ("~/l.csv", "{home}/l.csv"),
        ("/data/l.csv", "/data/l.csv"),
        ("file:///data/l.csv", "/data/l.csv"),
        ("s3://bucket/lists/*.csv", "s3://bucket/lists/*.csv"),
        ("https://host.example/a/../l.csv", "https://host.example/a/../l.csv"),
        ("simplecache::s3://bucket/l.csv", "simplecache::s3://bucket/l.csv"),
        ("zip://l.csv::lists.zip", "zip://l.csv::lists.zip"),
    ],
)
def test_local_paths_are_named_in_full(path: str, full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    expected = full.format(here=tmp_path, home="/home/somebody")
    assert full_path(path) == expected
    profile = with_full_paths(load_profile("demo", {"source.path": path, "ingest.serve": "photos"}))
    assert (profile.source.path, profile.ingest.serve) == (expected, f"{tmp_path}/photos")
    monkeypatch.chdir("/")
    assert with_full_paths(profile) == profile
    assert with_full_paths(load_profile("demo", {"ingest.serve": None})).ingest.serve is None


ENCODER = {"implementation": "dinov2", "path": "o/d", "batch_size": 7}


def test_an_encoders_name_stands_for_its_settings_as_embedder() -> None:
    profile = load_profile("demo", {"picture_embeddings": {"d": ENCODER}, "embedder": "d"})
    assert profile.embedder == profile.picture_embeddings["d"]
    assert profile.stored_embedder == "d"
    assert load_profile("demo", {"picture_embeddings": {"d": ENCODER}}).stored_embedder is None
    assert load_profile("demo", {"picture_embeddings": {"d": ENCODER}, "embedder": ENCODER}).stored_embedder == "d"
    assert parse_profile(dump_profile(profile), "again") == profile


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embedder": "clip"}, "embedder: no encoder 'clip' in picture_embeddings; there are none"),
        ({"scores.a": {"implementation": "linear-head", "on": "e"}}, "scores.a.on: no encoder 'e' in picture_embedd"),
        ({"scores.a": {"text": "source"}}, "say in `on` of which encoder"),
        ({"scores.a": {"on": "d"}}, "`cosine` compares with a `text`"),
        ({"scores.a": {"implementation": "open-nsfw", "on": "d", "text": "source"}}, "`cosine` compares with a `text`"),
        ({"scores.scored_text": {"implementation": "open-nsfw"}}, "'scored_text' is a column of content_scores"),
        ({"copy_embedder": ENCODER, "duplicates.vectors": {"encoder": "d"}}, "vectors and copy_embedder both compare"),
        ({"picture_embeddings.reason": ENCODER}, "'reason' cannot be a column"),
        ({"picture_embeddings": {"a/b": ENCODER}}, "'a/b' cannot be a column"),
    ],
    ids=str,
)
def test_scores_and_encoders_that_do_not_go_together_are_named(settings: dict[str, object], said: str) -> None:
    known = {} if "embedder" in settings else {"picture_embeddings": {"d": ENCODER}}
    with pytest.raises(ProfileError) as error:
        load_profile("demo", {**known, **settings})
    assert said in str(error.value)


def test_a_setting_of_a_score_or_encoder_is_reached_by_name() -> None:
    base = {"picture_embeddings": {"vit.b": ENCODER}, "scores.s": {"implementation": "linear-head", "on": "vit.b"}}
    profile = load_profile("demo", {**base, "picture_embeddings.vit.b.batch_size": 3, "scores.s.path": "x.pth"})
    assert (profile.picture_embeddings["vit.b"].batch_size, profile.scores["s"].path) == (3, "x.pth")


def test_on_is_a_name_and_stays_a_truth_where_one_is_asked_for(tmp_path: Path) -> None:
    text = """
    picture_embeddings: {d: {implementation: dinov2, path: o/d}}
    scores: {s: {implementation: linear-head, on: d, path: x.pth}}
    latents: {upscale: on}
    clusters: {normalize: off}
    """
    profile = parse_profile(text, "mine")
    assert (profile.scores["s"].on, profile.latents.upscale, profile.clusters.normalize) == ("d", True, False)
    assert load_profile("demo", parse_overrides(["latents.upscale=off"])).latents.upscale is False
    assert parse_profile(dump_profile(profile), "again") == profile
