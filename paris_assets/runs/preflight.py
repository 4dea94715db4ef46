"""What settings can be held to without any data: refused before a run writes anything, not in every shard."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from importlib import import_module
from math import gcd
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Model, Profile, ProfileError
from paris_assets.errors import UserError, did_you_mean
from paris_assets.models import weights
from paris_assets.models.encoders import head_problems
from paris_assets.models.registry import KNOWN, requirements
from paris_assets.models.resolve import profile_models
from paris_assets.models.score_columns import score_columns
from paris_assets.settings.captions import SIGNALLED, TRUE_TOKENS
from paris_assets.settings.chat_server import ChatServer
from paris_assets.settings.import_path import load_class

POSITIONS = {"clip-text": 77, "minilm": 512}
"""Most tokens of a text encoder: of every CLIP (Radford et al. 2021), and of BERT, which MiniLM is made from."""
SEES_PADDING, MAKES_NO_VECTOR = ("clip-text",), ("t5", "umt5", "small-t5")
"""Text encoders of which true tokens cannot be stored alone, and those without one vector per text."""


def setting_problems(profile: Profile) -> list[str]:
    """Settings that no data would make possible, each with what to do; empty when there are none."""
    found = [_sizes(profile), _columns(profile), _routes(profile), _tokens(profile), _bounds(profile), _names(profile)]
    found += [_pictures(profile), head_problems(profile), _captions(profile), _lists(profile), _scores(profile)]
    found += [_judge(profile), _probe(profile)]
    return [*(problem for problems in found for problem in problems), *_options(profile)]


def _sizes(profile: Profile) -> Iterator[str]:
    factor = codec_factor(profile.latents.codec)
    if factor is None:
        return
    for size in profile.latents.squares:
        if size % factor:
            near = sorted({max(factor, size // factor * factor), -(-size // factor) * factor})
            codec = profile.latents.codec.path or profile.latents.codec.implementation
            yield (
                f"latents.resolutions: {size} is no multiple of {factor}, as {codec} needs: "
                f"{' or '.join(map(str, near))} is"
            )
    buckets = profile.latents.buckets
    if buckets is None:
        return
    for size in profile.latents.bucketed:
        if size * buckets.step % (buckets.area * factor):
            whole = buckets.area * factor // gcd(buckets.step, buckets.area * factor)
            yield (
                f"latents.buckets.resolutions: sides of buckets of {size} px would be no multiples of {factor}: sizes "
                f"must be multiples of {whole}, or latents.buckets.step of a generated table larger"
            )


def _pictures(profile: Profile) -> Iterator[str]:
    """Pictures that are kept too small for what is to be made of them."""
    encode, largest = profile.ingest.encode, max(profile.latents.resolutions)
    if encode is not None and encode.short_side < largest:
        yield (
            f"ingest.encode.short_side is {encode.short_side}: latents of {largest} would be made of enlarged "
            f"pictures: --set ingest.encode.short_side={largest} or more, or smaller latents.resolutions"
        )


def _probe(profile: Profile) -> Iterator[str]:
    """A training probe whose patches do not fit the latents, which it would say when all else is made."""
    factor, size = codec_factor(profile.latents.codec), profile.router_resolution
    if profile.probe is None or factor is None or size % factor or size // factor % profile.probe.patches == 0:
        return
    side, patches = size // factor, profile.probe.patches
    fitting = max(count for count in range(1, patches) if side % count == 0)
    others = f"--set probe.patches={fitting}, or " if fitting > 1 else ""
    yield (f"probe.patches: {patches} do not divide the {side} cells of latents of {size} px: {others}--set probe=null")


def codec_factor(codec: Model) -> int | None:
    """Pixels per latent cell along one side, from the class or the folder's config.json; None where neither says."""
    entry = KNOWN.get(codec.implementation)
    if requirements(codec) or (entry and not entry.pretrained):
        return None
    if entry is None:
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
    if profile.text.stored == TRUE_TOKENS and encoder in SEES_PADDING:
        # Attention to come sees padded positions, whose states hold what the text says: training expects them.
        yield f"text.stored is {TRUE_TOKENS}, but padded positions of {encoder} count: --set text.stored=padded"
    if "text" in profile.clusters.features and encoder in MAKES_NO_VECTOR and profile.text.pooled == "encoder":
        yield f"clusters.features: {encoder} gives no vector per caption: --set text.pooled=masked_mean"
    of_pool = profile.pool.vectors.encoder if profile.pool.used else None
    if of_pool is not None and of_pool.implementation in MAKES_NO_VECTOR:
        yield f"pool.vectors.encoder: {of_pool.implementation} gives no vector per text: name minilm or clip-text"


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
        for setting, each in settings.writers_of(name).items():
            if each.endpoint is not None and (problem := endpoint_problem(each.endpoint)):
                yield f"{setting}: {problem}"
    for pattern in settings.refusals:
        try:
            pl.Series([""]).str.contains(f"(?i){pattern}")
        except pl.exceptions.ComputeError as error:
            yield f"captions.refusals: {pattern!r} is no regular expression: {str(error).splitlines()[0]}"
    encoder = profile.text.encoder
    if settings.max_tokens and not requirements(encoder) and not hasattr(_network(encoder), "count"):
        yield f"captions.max_tokens: {encoder.implementation} has no method `count`, which tells how long texts are"


def _judge(profile: Profile) -> Iterator[str]:
    judge = profile.pool.judge
    if judge is not None and judge.endpoint is not None and (problem := endpoint_problem(judge.endpoint)):
        yield f"pool.judge.endpoint: {problem}"


def endpoint_problem(settings: ChatServer) -> str | None:
    """What keeps an endpoint from being asked at all, by what this process knows without asking."""
    if settings.key_env and not os.environ.get(settings.key_env):
        return f"the environment variable {settings.key_env}, which key_env names, is not set: export it"
    if not re.match(r"https?://[^/]", settings.url):
        return f"url {settings.url!r} is no http or https address: give it up to /v1"
    return None


def _bounds(profile: Profile) -> Iterator[str]:
    """Checks that could never pass."""
    checks, k = profile.checks, profile.clusters.k
    for low, high in (
        ("min_kept", "max_kept"),
        ("min_latent_std", "max_latent_std"),
        ("min_concepts_kept", "max_concepts_kept"),
    ):
        least, most = getattr(checks, low), getattr(checks, high)
        if least > most:
            yield f"checks.{low} is {least:g}, above checks.{high}, {most:g}: nothing would pass"
    if checks.min_share * k > 1:
        yield f"checks.min_share is {checks.min_share:g}, of k = {k} clusters: no more than {1 / k:.3g} is possible"


def _names(profile: Profile) -> Iterator[str]:
    """The name of a rule is the reason that it gives: two of them could not be told apart."""
    names = profile.curation.reasons
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"curation: two rules are called {name!r}: give one of them another name, or take it out (null)"
    tiers = [tier.name for tier in profile.curation.tiers]
    for name in sorted({name for name in tiers if tiers.count(name) > 1}):
        yield f"curation.tiers: two tiers are called {name!r}: give one of them another name"


def _scores(profile: Profile) -> Iterator[str]:
    """Scores that are called as a column beside them: which of the two a rule judges could not be told."""
    from paris_assets.rules.columns import DERIVED, FILE_COLUMNS, VERDICTS
    from paris_assets.signals.measure import signal_problem, signal_schema

    signals = () if signal_problem(profile.signals) else signal_schema(profile.signals)
    taken = {*FILE_COLUMNS, *DERIVED, *VERDICTS, *signals}
    for score, columns in score_columns(profile.scores).items():
        for column in columns:
            if column in taken:
                yield f"scores.{score}: there is a column {column!r} of the file, of a signal or a verdict: rename it"


def _lists(profile: Profile) -> Iterator[str]:
    """Lists of images, and of what is not to be fetched, that are none, with file and line."""
    from paris_assets.curation.image_lists import list_problems
    from paris_assets.ingest.web.opt_out import opt_out_problems

    for name in ("prune", "boost"):
        yield from (f"curation.{name}: {problem}" for problem in list_problems(getattr(profile.curation, name)))
    yield from (f"ingest.opt_out: {problem}" for problem in opt_out_problems(profile.ingest.opt_out))


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
