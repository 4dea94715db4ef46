"""What the figures of the proof must show, with margins that hold on any CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from paris_assets.proof.times import LEARNED_AT, ROUTED_AT, ROUTER_AT

ABOVE_CHANCE, ABOVE_MAJORITY, WORSE = 3, 2, 2
"""Standard errors."""


class Verdict(NamedTuple):
    """Whether a figure is as it must be.

    Attributes:
        figures: what led to it, the bound by the name of its setting; what is not finite is left out.
    """

    passed: bool
    said: str
    figures: dict[str, float]


def learns(figures: Mapping[str, Any], most: float) -> Verdict:
    """The common network's loss at t = 0.5 is at most a share of that of the untrained one."""
    at = figures["times"].index(LEARNED_AT)
    loss, before = (figures["loss"][name][at] for name in ("common", "untrained"))
    ratio = None if loss is None or before is None else loss / before
    said = f"the loss at t = {LEARNED_AT} is {_said(ratio, '.0%')} of that before training, {most:.0%} allowed"
    known = _known(loss=loss, untrained=before, ratio=ratio)
    return Verdict(ratio is not None and ratio <= most, said, {**known, "checks.max_probe_loss": most})


def specialises(figures: Mapping[str, Any], most_p: float) -> Verdict:
    """Experts fit their own clusters: by permutation of the double-centred diagonal, and lower loss than others."""
    found, gap = figures["diagonal"], figures["own_below_others"]["mean"]
    said = (
        f"own experts are {_said(gap, '.2%')} below others, and {_said(found['p'], '.2%')} of permuted labels fit as "
        f"well (z {_said(found['z'], '.1f')}), at most {most_p:.2%} allowed"
    )
    passed = gap is not None and gap > 0 and found["p"] < most_p and found["statistic"] is not None
    known = _known(own_below_others=gap, p=found["p"], z=found["z"])
    return Verdict(passed, said, {**known, "checks.max_probe_p": most_p})


def routes(figures: Mapping[str, Any]) -> Verdict:
    """The router's balanced accuracy at t = 0.1 is 3 standard errors above chance, and above one on permuted labels."""
    router, at = figures["router"], figures["times"].index(ROUTER_AT)
    found, permuted = router["balanced"][at], router["permuted"]["mean"]
    error = max(found["error"] or 0.0, router["chance_error"])
    least = router["chance"] + ABOVE_CHANCE * error
    said = (
        f"balanced accuracy at t = {ROUTER_AT} is {_said(found['mean'], '.1%')}, above {least:.1%} expected (chance "
        f"and {ABOVE_CHANCE} standard errors); on permuted labels {_said(permuted, '.1%')}"
    )
    passed = found["mean"] is not None and found["mean"] > max(least, permuted)
    return Verdict(passed, said, _known(balanced_accuracy=found["mean"], least=least, permuted=permuted))


def leaks_nothing(figures: Mapping[str, Any]) -> Verdict:
    """At t = 1 there is noise alone: whoever does better than the largest cluster's share has seen something else."""
    router = figures["router"]
    found, most = router["accuracy"][-1]["mean"], router["majority"] + ABOVE_MAJORITY * router["majority_error"]
    share = f"{router['majority']:.1%} in the largest cluster"
    said = f"accuracy on noise alone is {_said(found, '.1%')}, at most {most:.1%} allowed ({share})"
    return Verdict(found is not None and found <= most, said, _known(accuracy=found, most=most))


def not_worse(figures: Mapping[str, Any]) -> Verdict:
    """Top-1 routing at t = 0.5 is not worse than the common network, beyond 2 standard errors of their difference."""
    found = figures["routed"]
    most = WORSE * (found["error"] or 0.0)
    known = f"{_said(found['mean'], '+.4f')} from the common network's, at most {most:+.4f} allowed"
    said = f"the loss of top-1 routing at t = {ROUTED_AT} is {known}"
    passed = found["mean"] is not None and found["mean"] <= most
    return Verdict(passed, said, _known(difference=found["mean"], most=most))


def finite(figures: Mapping[str, Any]) -> Verdict:
    """No weight or loss is infinite or NaN."""
    lost = sum(value is None for values in figures["loss"].values() for value in values)
    clipped = {f"clipped_{name}": share for name, share in figures["clipped"].items()}
    shares = ", ".join(f"{share:.0%} of the {name}" for name, share in figures["clipped"].items())
    if figures["finite"] and not lost:
        return Verdict(True, f"all losses and weights are finite; gradients were clipped in steps: {shares}", clipped)
    what = f"{lost} losses" if lost else "weights"
    return Verdict(False, f"{what} are infinite or no numbers", {"not_finite": lost, **clipped})


def _said(value: float | None, form: str) -> str:
    return "no number" if value is None else format(value, form)


def _known(**figures: float | None) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
