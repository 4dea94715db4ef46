"""Judgement on whether what was written trains."""

from collections.abc import Callable

from paris_assets.config import Checks
from paris_assets.dag.checks import CheckOutcome, all_check
from paris_assets.dag.records import Record
from paris_assets.proof import verdicts
from paris_assets.proof.verdicts import Verdict

ADVICE = (
    "Look at analysis/training_probe.html. Labels, latents and clusters that do not belong together look like this: "
    "`paris verify` compares them. Networks trained for too few steps do too: raise probe.steps, or probe.folds for "
    "narrower intervals."
)


def networks_learn(record: Record, bounds: Checks) -> CheckOutcome:
    """Half-noised latents of held-out images are predicted far better than by an untrained network."""
    return _judged(record, lambda figures: verdicts.learns(figures, bounds.max_probe_loss))


def experts_specialise(record: Record, bounds: Checks) -> CheckOutcome:
    """Experts fit their own clusters, beyond what experts and clusters are like: a permutation test."""
    return _judged(record, lambda figures: verdicts.specialises(figures, bounds.max_probe_p))


def router_learns(record: Record) -> CheckOutcome:
    """The router tells clusters of held-out latents apart, beyond chance and one that learnt permuted labels."""
    return _judged(record, verdicts.routes)


def router_leaks_nothing(record: Record) -> CheckOutcome:
    """From noise alone the router tells no more than the largest cluster's share."""
    return _judged(record, verdicts.leaks_nothing)


def routing_not_worse(record: Record) -> CheckOutcome:
    """Experts chosen by the router are no worse than one network trained for as many steps as each of them."""
    return _judged(record, verdicts.not_worse)


def probe_finite(record: Record) -> CheckOutcome:
    """No weight and no loss is infinite or NaN."""
    return _judged(record, verdicts.finite)


def _judged(record: Record, judge: Callable[[dict], Verdict]) -> CheckOutcome:
    """A verdict, which warns where the data are few and says what could have been seen."""
    figures = record.facts["probe"]
    if reason := figures.get("refused"):
        return CheckOutcome(False, f"nothing was trained: {reason}", {}, "Add images, or leave probe out.", warns=True)
    found, small = judge(figures), figures["small"]
    visible = figures["visible_effect"]
    few = f". Few data ({small}): no effect below {visible:.2%} of the loss can be seen" if small and visible else ""
    return CheckOutcome(found.passed, f"{found.said}{few}", {**found.figures}, ADVICE, warns=bool(small))


learn_check = all_check("training_probe")(networks_learn)
specialise_check = all_check("training_probe")(experts_specialise)
router_check = all_check("training_probe")(router_learns)
leak_check = all_check("training_probe")(router_leaks_nothing)
routing_check = all_check("training_probe")(routing_not_worse)
finite_check = all_check("training_probe")(probe_finite)
