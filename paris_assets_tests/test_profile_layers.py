"""A profile over its base, rules and hosts by name, and names that were perhaps meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from paris_assets.config import ProfileError
from paris_assets.profiles import PRESETS, load_profile, own_settings, parse_overrides, parse_profile


def test_one_bound_of_one_rule() -> None:
    before, after = load_profile("own"), load_profile("own", {"curation.signal_rules.short_side.min": 300})
    assert after.curation.signal_rules[0].min == 300  # type: ignore[union-attr]
    assert after.curation.signal_rules[1:] == before.curation.signal_rules[1:]
    gone = load_profile("own", {"curation.signal_rules.short_side": None})
    assert gone.curation.signal_rules == before.curation.signal_rules[1:]
    added = load_profile("own", parse_overrides(["curation.score_rules.aesthetic={column: aesthetic, min: 5}"]))
    assert added.curation.score_rules[-1].name == "aesthetic"


def test_hosts_have_dots() -> None:
    chosen = load_profile("own", {"ingest.resolve.a.b.example": "127.0.0.1:80", 'ingest.resolve."c.d"': "serve"})
    assert chosen.ingest.resolve == {"a.b.example": "127.0.0.1:80", "c.d": "serve"}
    assert load_profile("demo", {"scores.nsfw.batch_size": 3}).scores["nsfw"].batch_size == 3


def test_a_file_over_a_base(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: demo\nembedder: {implementation: dinov2}\n"
        "curation: {signal_rules: {short_side: {min: 333}, blocking: null}}\n"
    )
    mine, demo = load_profile(str(file)), load_profile("demo")
    assert mine.name == "mine"
    assert [rule.name for rule in mine.curation.signal_rules] == ["short_side", "aspect", "entropy"]
    assert mine.embedder.batch_size == 16
    assert (mine.text, mine.source) == (demo.text, demo.source)
    assert own_settings(str(file)) == set()
    (tmp_path / "next.yaml").write_text("base: mine.yaml\nseed: 4\n")
    assert load_profile(str(tmp_path / "next.yaml")).embedder == mine.embedder
    file.write_text("base: mine.yaml\n")
    with pytest.raises(ProfileError, match="leads back"):
        load_profile(str(file))


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("curation.signal_rules.short_sid.min", "short_side"),
        ("clusters.kk", "clusters.k"),
        ("k", "clusters.k"),
        ("latents.resolution", "latents.resolutions"),
        ("embedder.pth", "embedder.path"),
    ],
)
def test_the_name_that_was_meant(path: str, meant: str) -> None:
    with pytest.raises(ProfileError, match=f"did you mean '{meant}'"):
        load_profile("own", {path: 3})
    with pytest.raises(ProfileError, match="did you mean 'demo'"):
        load_profile("dmo")
    with pytest.raises(ProfileError, match=r"no base 'mage-flo' \(did you mean 'mage-flow'\?\): .* data-juicer, "):
        parse_profile("base: [own, mage-flo]", "mine.yaml")


def test_bounds_of_others_over_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: [own, mage-flow]\n"
        "curation:\n"
        "  signal_rules: {text_area: null, text_regions: null}\n"
        "  tiers: {'256': {rules: {watermark: null, aesthetic: null}}, sft: null}\n"
    )
    curation = load_profile(str(file), {"curation.tiers.512.rules.short_side.min": 300}).curation
    assert [tier.name for tier in curation.tiers] == ["256", "512", "1024"]
    assert {rule.name: rule.min for rule in curation.tiers[1].rules}["short_side"] == 300
    assert "entropy" in [rule.name for rule in curation.signal_rules]  # of `own`
    names = [rule.name for rule in curation.rejecting]
    assert "watermark" not in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("preset", [file.stem for file in PRESETS.glob("*.yaml")])
def test_every_preset_is_sound(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: [own, {preset}]")
    ours, theirs = load_profile("own").curation, load_profile(str(file)).curation
    assert theirs != ours
    names = theirs.reasons
    assert len(names) == len(set(names))
    assert {rule.name for rule in ours.signal_rules} <= set(names)
