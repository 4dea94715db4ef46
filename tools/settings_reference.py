"""docs/settings.md, written from the settings themselves: `python -m tools.settings_reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from paris_assets.config import Encode, Endpoint, Kind, Model, OwnRule, Profile, QuantileRule, Rule, Score, Tier
from paris_assets.models.resolve import profile_models
from paris_assets.settings.captions import Fallback
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.settings.curation import CopyDuplicates, VectorDuplicates
from paris_assets.settings.experts import ArrayRange, Codec, LatentRange, Mds
from paris_assets.settings.ingest import PerHost, Robots
from paris_assets.settings.judge import CaptionRules, Evidence, Judge, JudgeEndpoint, ScoreBounds
from paris_assets.settings.latents import Buckets
from paris_assets.settings.pool_rows import CaptionFigures, LanguageDetector, PoolVectors, WordNet
from paris_assets.settings.probe import Probe
from paris_assets.settings.ray import ActorNeeds
from paris_assets.settings.selectors import Steps
from paris_assets.settings.training_probe import TrainingProbe

FILE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

<!-- Written by `python -m tools.settings_reference`; a test compares. -->

Every setting of a profile. They are read from a profile's YAML file, then from `PARIS_SET`, then from `--set`; unknown
names and values out of bounds are refused before any work. Changing a setting makes again what depends on it; changing
one that is marked *tuning* makes nothing again. What the shipped profiles set is in
[demo.yaml](../paris_assets/profiles/demo.yaml) and [paris.yaml](../paris_assets/profiles/paris.yaml).
"""
COLUMNS = "| setting | type | bounds | default | tuning | what it is |\n|---|---|---|---|---|---|\n"
TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
REFERENCES = {
    "Model": "network",
    "Score": "score",
    "Rule": "rule of bounds",
    "OwnRule": "rule of your own",
    "QuantileRule": "rule by rank",
    "Tier": "tier",
    "ImageList": "file",
    "VectorDuplicates": "comparison of vectors",
    "CopyDuplicates": "comparison of copy vectors",
    "ConceptModel": "concepts of a pool",
    "Encode": "encoding (below)",
    "Robots": "robots.txt (below)",
    "PerHost": "limits of a host (below)",
    "OptOutList": "file",
    "PoolVectors": "vectors of a pool",
    "LanguageDetector": "language detector",
    "WordNet": "nouns of WordNet",
    "CaptionFigures": "figures of captions",
    "Kind": "kind of captions",
    "Endpoint": "endpoint",
    "Fallback": "fallback",
    "Evidence": "evidence of concepts",
    "Judge": "judge",
    "JudgeEndpoint": "endpoint of a judge",
    "CaptionRules": "rules on captions",
    "ScoreBounds": "bounds on scores",
    **{kind.__name__: f"`{kind.model_fields['rule'].default}`" for kind in get_args(Steps)},
    "Probe": "probe",
    "TrainingProbe": "training probe",
    "Buckets": "aspect-ratio buckets",
    "Mds": "MDS files",
    "Codec": "codec",
    "LatentRange": "range of latents",
    "ArrayRange": "range",
    "ActorNeeds": "needs of an actor",
}
PARTS = {
    "A rule of bounds": (Rule, "An item of `curation.signal_rules`, `curation.score_rules` or a tier's `rules`."),
    "A rule of your own": (OwnRule, "An item of `curation.signal_rules` or `curation.score_rules`."),
    "A rule by rank": (QuantileRule, "An item of `curation.quantile_rules`."),
    "A tier": (Tier, "An item of `curation.tiers`."),
    "A comparison of vectors": (VectorDuplicates, "The value of `duplicates.vectors`."),
    "A comparison of copy vectors": (CopyDuplicates, "The value of `duplicates.copies`."),
    "Vectors of a pool": (PoolVectors, "The value of `pool.vectors`."),
    "Figures of captions": (CaptionFigures, "The value of `pool.captions`."),
    "A language detector": (LanguageDetector, "`pool.captions.language` and `pool.captions.second_language`."),
    "Nouns of WordNet": (WordNet, "The value of `pool.captions.wordnet`."),
    "Concepts of a pool": (ConceptModel, "The value of `pool.concepts`."),
    "A kind of captions": (Kind, "`captions.kinds.KIND`, for each of source, short, long, tags and ocr."),
    "A probe": (Probe, "The value of `pool.probe`."),
    "A training probe": (TrainingProbe, "The value of `probe`; see [training.md](training.md#proof)."),
    "MDS files": (Mds, "The value of `experts.mds`."),
    "A codec": (Codec, "The value of `experts.codec`."),
    "A range": (ArrayRange, "The value of `experts.codec.text`."),
    "A range of latents": (LatentRange, "The value of `experts.codec.latents`."),
    "An endpoint": (Endpoint, "`captions.kinds.KIND.endpoint`."),
    "A fallback": (Fallback, "An item of `captions.kinds.KIND.fallback`."),
    "Evidence of concepts": (Evidence, "The value of `pool.evidence`."),
    "A judge": (Judge, "The value of `pool.judge`."),
    "An endpoint of a judge": (JudgeEndpoint, "The value of `pool.judge.endpoint`."),
    "Rules on captions": (CaptionRules, "The value of `pool.judge.rules`."),
    "Bounds on scores": (ScoreBounds, "The value of `pool.judge.scores`."),
    "Needs of an actor": (ActorNeeds, "`ray.assets.ASSET`; see [cluster.md](cluster.md)."),
    "Aspect-ratio buckets": (Buckets, "The value of `latents.buckets`; see [latents.md](latents.md)."),
    **{
        f"The selector `{kind.model_fields['rule'].default}`": (kind, "An item of `pool.select`, `pool.subsets.X`.")
        for kind in get_args(Steps)
    },
}


def page() -> str:
    """The text of docs/settings.md."""
    return "\n".join([HEAD, *_chapters()])


def _chapters() -> Iterator[str]:
    fields = Profile.model_fields
    whole = [name for name, field in fields.items() if not _is_section(field.annotation)]
    yield _chapter("The whole run", Profile, "", whole, "")
    for name, field in fields.items():
        kind: Any = field.annotation
        if name not in whole:
            yield _chapter(f"`{name}`", kind, f"{name}.", list(kind.model_fields), kind.__doc__)
        if name == "ingest":
            said = (
                f"{Encode.__doc__} Where `ingest.encode` is null, these say nothing; one that is set sets the others."
            )
            yield _chapter("An encoding", Encode, "ingest.encode.", list(Encode.model_fields), said)
            yield _chapter("robots.txt", Robots, "ingest.robots.", list(Robots.model_fields), Robots.__doc__)
            yield _chapter("Limits of a host", PerHost, "ingest.per_host.", list(PerHost.model_fields), PerHost.__doc__)
    places = ", ".join(f"`{setting}`" for setting in profile_models(Profile()))
    said = (
        f"What NETWORK stands for: {places}, `copy_embedder`, and `picture_embeddings.NAME` for each encoder, whose "
        "column is NAME."
    )
    yield _chapter("A network", Model, "NETWORK.", list(Model.model_fields), said)
    said = "`scores.NAME`, for each column NAME of `content_scores`: the settings of a network, and these."
    own = ["implementation", *(name for name in Score.model_fields if name not in Model.model_fields)]
    yield _chapter("A score", Score, "SCORE.", own, said)
    for title, (kind, where) in PARTS.items():
        yield _chapter(title, kind, "", list(kind.model_fields), f"{' '.join((kind.__doc__ or '').split())} {where}")


def _chapter(title: str, kind: type[BaseModel], prefix: str, names: list[str], said: str | None) -> str:
    properties = kind.model_json_schema()["properties"]
    rows = (_row(f"{prefix}{name}", kind, name, properties[name]) for name in names)
    return "\n".join([f"## {title}\n", *([f"{said}\n"] if said else []), COLUMNS + "".join(rows)])


def _row(path: str, kind: type[BaseModel], name: str, schema: dict[str, Any]) -> str:
    field = kind.model_fields[name]
    default = "required" if field.is_required() else f"`{_default(kind, name)}`"
    default = "" if isinstance(field.default, BaseModel) and _type(schema).endswith("(below)") else default
    tuning = "yes" if schema.get("tuning") else ""
    cells = [f"`{path}`", _type(schema), _bounds(schema), default, tuning, field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(kind: type[BaseModel], name: str) -> str:
    """The default as it would stand in a YAML file, on one line."""
    value = kind.model_fields[name].get_default(call_default_factory=True)
    values = kind.model_construct(**{name: value}).model_dump(mode="json", include={name}, exclude_unset=True)
    text = yaml.safe_dump(values[name], default_flow_style=True, allow_unicode=True, width=1000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Model


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return REFERENCES[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_type(choice) for choice in schema.get("anyOf") or schema["oneOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum") or [schema["const"]])
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {', '.join(map(_type, schema['prefixItems']))}"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if schema["type"] == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of text to {_type(inner) if isinstance(inner, dict) else 'any value'}"
    return TYPES[schema["type"]]


def _bounds(schema: dict[str, Any]) -> str:
    found = [f"{sign} {schema[name]:_}" for name, sign in BOUNDS.items() if name in schema]
    found += [f"at least {schema['minItems']} item"] if "minItems" in schema else []
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return ", ".join([*found, *filter(None, map(_bounds, inner))])


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
