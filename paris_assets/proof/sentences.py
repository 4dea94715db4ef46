"""What the figures of the proof mean, in sentences that claim no more than the intervals allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from paris_assets.pages.environment import number
from paris_assets.settings.training_probe import TrainingProbe

MIXED = {"top_1": "top-1 routing", "top_2": "the top-2 mixture", "full": "the full mixture"}
BETTER, WORSE = "better than", "worse than"
TONES = {BETTER: "good", WORSE: "weak"}
SHOWN = 0.01


class Said(NamedTuple):
    """A sentence and its tone: ``good``, ``fair`` or ``weak``."""

    tone: str
    words: str


def sentences(figures: Mapping[str, Any], settings: TrainingProbe) -> list[Said]:
    """What was found, the most telling first, and what it does not say."""
    mixed = (_against_monolith(name, words, figures) for name, words in MIXED.items())
    return [_specialised(figures), *_experts(figures), _router(figures), *mixed, *_limits(figures, settings)]


def _specialised(figures: Mapping[str, Any]) -> Said:
    gap, diagonal = figures["own_below_others"], figures["diagonal"]
    shown = diagonal["p"] < SHOWN and (gap["mean"] or 0) > 0
    words = (
        f"On images that nothing was trained on, an expert's loss on its own cluster is {_percent(gap)} below that of "
        f"the other experts. Of labels permuted at random {number(diagonal['p'], '.2%')} fit as well "
        f"(z {number(diagonal['z'], '.1f')}): specialisation is {'shown' if shown else 'not shown'}."
    )
    return Said("good" if shown else "weak", words)


def _experts(figures: Mapping[str, Any]) -> Iterator[Said]:
    diagonal, below = figures["diagonal"], figures["own_below_common"]
    verdict = _verdict(below, BETTER, WORSE)
    words = f"The own expert is {verdict} the common network trained on for as many steps: {_percent(below)} below it."
    yield Said(TONES.get(verdict, "fair"), words)
    best, count = diagonal["row_minima"], len(diagonal["clusters"])
    words = (
        f"{best} of {count} experts are the best of all on their own cluster. That proves nothing by itself: experts "
    )
    yield Said("fair", f"{words}of large clusters are better everywhere, which the permuted labels account for.")


def _router(figures: Mapping[str, Any]) -> Said:
    router, at = figures["router"], figures["router"]["balanced"][0]
    rates = (at["mean"], router["chance"], router["permuted"]["mean"], figures["without_training"]["ridge"])
    found, chance, permuted, ridge = (number(rate, ".0%") for rate in rates)
    words = (
        f"The router tells the clusters of nearly clean latents with a balanced accuracy of {found} (chance {chance}, "
        f"after permuted labels {permuted}); a linear one on clean latents is right for {ridge}. Clusters come from "
        "image embeddings, of which latents hold only a part: much less than 100 % is to be expected."
    )
    return Said("good" if (at["low"] or 0) > router["chance"] else "weak", words)


def _against_monolith(name: str, words: str, figures: Mapping[str, Any]) -> Said:
    found = figures["mixtures"][name]["less_monolith"]
    verdict = _verdict(found, WORSE, BETTER)
    mean, low, high = (number(found[end], "+.4f") for end in ("mean", "low", "high"))
    known = f"difference of loss {mean}, interval {low} to {high}"
    said = f"{words[:1].upper()}{words[1:]} is {verdict} one network with the steps of all experts together ({known})."
    return Said(TONES.get(verdict, "fair"), said)


def _limits(figures: Mapping[str, Any], settings: TrainingProbe) -> Iterator[Said]:
    held_out, groups = figures["held_out"], figures["held_out_groups"]
    least = number(figures["visible_effect"], ".2%")
    seen = f"With {held_out} held-out images of {groups} duplicate groups a difference between own and other experts of"
    yield Said("fair", f"{seen} less than {least} of the loss cannot be seen.")
    steps, experts = settings.expert_steps, len(figures["clusters"])
    words = (
        f"These are networks of width {settings.width}, trained for a moment: {settings.steps} common steps, "
        f"{steps} for each of {experts} experts whatever its size, {steps * experts} more for the monolith. They say "
        "that latents, labels and clusters belong together and can be learnt. They do not rank mixtures and monoliths "
        "at full size: so far from convergence a monolith, which sees every image, gains more from its steps."
    )
    yield Said("fair", words)
    if figures["small"]:
        yield Said("weak", f"The data are few: {figures['small']}. Checks that fail warn, and are no errors.")


def _verdict(found: Mapping[str, Any], above: str, below: str) -> str:
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return "not comparable with"
    return above if low > 0 else below if high < 0 else "neither better nor worse, within the interval, than"


def _percent(found: Mapping[str, Any]) -> str:
    mean, low, high = (number(found[name], ".2%") for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"
