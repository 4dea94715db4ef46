"""What settings can be held to without any data: refused before a run writes anything, not in every shard."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Endpoint, Model, Profile, ProfileError
from paris_assets.errors import UserError, did_you_mean
from paris_assets.models import weights
from paris_assets.models.encoders import head_problems
from paris_assets.models.registry import KNOWN, requirements
from paris_assets.models.resolve import profile_models
from paris_assets.settings.captions import SIGNALLED
from paris_assets.settings.import_path import load_class

POSITIONS = {"clip-text": 77, "minilm": 512}
"""Most tokens of a text encoder: of every CLIP (Radford et al. 2021), and of BERT, which MiniLM is made from."""


def setting_problems(profile: Profile) -> list[str]:
    """Settings that no data would make possible, each with what to do; empty when there are none."""
    found = [_sizes(profile), _columns(profile), _routes(profile), _tokens(profile), _bounds(profile), _names(profile)]
    found += [_pictures(profile), head_problems(profile), _captions(profile), _lists(profile)]
    return [*(problem for problems in found for problem in problems), *_options(profile)]


def _sizes(profile: Profile) -> Iterator[str]:
    factor = codec_factor(profile.latents.codec)
    if factor is None:
        return
    for size in profile.latents.resolutions:
        if size % factor:
            near = sorted({max(factor, size // factor * factor), -(-size // factor) * factor})
            codec = profile.latents.codec.path or profile.latents.codec.implementation
            yield (
                f"latents.resolutions: {size} is no multiple of {factor}, as {codec} needs: "
                f"{' or '.join(map(str, near))} is"
            )


def _pictures(profile: Profile) -> Iterator[str]:
    """Pictures that are kept too small for what is to be made of them."""
    encode, largest = profile.ingest.encode, max(profile.latents.resolutions)
    if encode is not None and encode.short_side < largest:
        yield (
            f"ingest.encode.short_side is {encode.short_side}: latents of {largest} would be made of enlarged "
            f"pictures: --set ingest.encode.short_side={largest} or more, or smaller latents.resolutions"
        )


def codec_factor(codec: Model) -> int | None:
    """Pixels per latent cell along one side, from the class or the folder's config.json; None where neither says."""
    if requirements(codec):
        return None
    if ":" in codec.implementation:
        factor = getattr(load_class(codec.implementation), "factor", None)
        return factor if isinstance(factor, int) and factor > 0 else None
    folder = weights.pretrained_folder(codec, codec.options.get("subfolder", ""))
    blocks = json.loads((Path(folder) / "config.json").read_text()).get("block_out_channels")
    return 2 ** (len(blocks) - 1) if blocks else None


def _columns(profile: Profile) -> Iterator[str]:
    from paris_assets.ingest.lists.columns import ALIASES

    known = list(ALIASES)
    for name in profile.source.columns:
        if name not in known:
            yield f"source.columns: no column {name!r} of ours{did_you_mean(name, known)}; there are {', '.join(known)}"


def _routes(profile: Profile) -> Iterator[str]:
    from paris_assets.ingest.web.addresses import parse_routes

    try:
        # `serve` without a folder harms nobody whose source holds its images: whoever fetches is told.
        parse_routes(profile.ingest.resolve, "127.0.0.1:80")
    except ProfileError as error:
        yield str(error)


def _tokens(profile: Profile) -> Iterator[str]:
    encoder, tokens = profile.text.encoder.implementation, profile.text.tokens
    most = POSITIONS.get(encoder)
    if most is not None and tokens > most:
        yield f"text.tokens is {tokens}, but {encoder} has {most} positions: --set text.tokens={most}"


def _captions(profile: Profile) -> Iterator[str]:
    """Kinds of captions that nobody could write or judge."""
    from paris_assets.signals.measure import signal_problem, signal_schema

    settings = profile.captions
    for name, kind in settings.kinds.items():
        if kind.column == SIGNALLED:
            if not signal_problem(profile.signals) and SIGNALLED not in signal_schema(profile.signals):
                signal = "paris_assets.signals.text_area:TextArea (pip install 'paris_assets[text]')"
                yield f"captions.kinds.{name}: no signal gives {SIGNALLED}: name {signal} in signals.measures"
        elif kind.column not in (None, "text", "tags", *profile.source.columns):  # a column `tags` is known by its name
            setting = f"--set 'source.columns={{{kind.column}: NAME}}'"
            yield f"captions.kinds.{name}: no column of the source is known to be {kind.column}: {setting}"
        if kind.endpoint is not None and (problem := endpoint_problem(kind.endpoint)):
            yield f"captions.kinds.{name}.endpoint: {problem}"
    for pattern in settings.refusals:
        try:
            pl.Series([""]).str.contains(f"(?i){pattern}")
        except pl.exceptions.ComputeError as error:
            yield f"captions.refusals: {pattern!r} is no regular expression: {str(error).splitlines()[0]}"
    encoder = profile.text.encoder
    if settings.max_tokens and not requirements(encoder) and not hasattr(_network(encoder), "count"):
        yield f"captions.max_tokens: {encoder.implementation} has no method `count`, which tells how long texts are"


def endpoint_problem(settings: Endpoint) -> str | None:
    """What keeps an endpoint from being asked at all, by what this process knows without asking."""
    if settings.key_env and not os.environ.get(settings.key_env):
        return f"the environment variable {settings.key_env}, which key_env names, is not set: export it"
    if not re.match(r"https?://[^/]", settings.url):
        return f"url {settings.url!r} is no http or https address: give it up to /v1"
    return None


def _bounds(profile: Profile) -> Iterator[str]:
    """Checks that could never pass."""
    checks, k = profile.checks, profile.clusters.k
    for low, high in (("min_kept", "max_kept"), ("min_latent_std", "max_latent_std")):
        least, most = getattr(checks, low), getattr(checks, high)
        if least > most:
            yield f"checks.{low} is {least:g}, above checks.{high}, {most:g}: nothing would pass"
    if checks.min_share * k > 1:
        yield f"checks.min_share is {checks.min_share:g}, of k = {k} clusters: no more than {1 / k:.3g} is possible"


def _names(profile: Profile) -> Iterator[str]:
    """The name of a rule is the reason that it gives: two of them could not be told apart."""
    names = profile.curation.reasons
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"curation: two rules are called {name!r}: give one of them another name"
    tiers = [tier.name for tier in profile.curation.tiers]
    for name in sorted({name for name in tiers if tiers.count(name) > 1}):
        yield f"curation.tiers: two tiers are called {name!r}: give one of them another name"


def _lists(profile: Profile) -> Iterator[str]:
    """Lists of images that are none, with file and line."""
    from paris_assets.curation.image_lists import list_problems

    for name in ("prune", "boost"):
        yield from (f"curation.{name}: {problem}" for problem in list_problems(getattr(profile.curation, name)))


def _options(profile: Profile) -> list[str]:
    """Options that a network's class does not take."""
    problems = []
    for setting, model in profile_models(profile).items():
        if not model.options or requirements(model):
            continue
        try:
            network = _network(model)
            inspect.signature(network).bind(model, **model.options)
        except TypeError as error:
            takes = ", ".join(list(inspect.signature(network).parameters)[1:]) or "none"
            problems.append(f"{setting}.options: {error}; {model.implementation} takes {takes}")
        except UserError:  # said where networks of one's own are looked at
            continue
    return problems


def _network(model: Model) -> Any:
    entry = KNOWN.get(model.implementation)
    if entry is None:
        return load_class(model.implementation)
    module, _, name = entry.target.partition(":")
    return getattr(import_module(module), name)
