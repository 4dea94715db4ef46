"""docs/proof.md: the figures as tables, and sentences that claim no more than the intervals allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paris_assets.proof.times import ROUTER_AT, TIMES
from tools.proof.cells import above, below, names, number, percent, rate, row, share, signed

MIXED = {
    "own": "own expert",
    "top_1": "top-1",
    "top_2": "top-2",
    "full": "full",
    "uniform": "mean of all",
    "common": "common network",
}
LEVEL = 0.01
OWN = """| K | smallest, largest | own below others | z | one per group: own below others | z, p | best on their own |
|---|---|---|---|---|---|---|"""


def page(figures: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    parts = [
        *_head(figures),
        *_own(figures),
        *_random(figures),
        *_router(figures),
        *_mixtures(figures),
        *_pruned(figures),
        *_limits(figures),
    ]
    return "\n".join(parts) + "\n"


def _head(figures: Mapping[str, Any]) -> Iterator[str]:
    photos, used = figures["photos"], figures["settings"]
    yield "# Proof on more photos"
    yield ""
    yield "<!-- Written by `python -m tools.proof --publish`; a test compares. -->"
    yield ""
    yield (
        "What [`training_probe`](training.md#proof) says of the demo, said of more images and of several numbers of "
        f"experts, with controls: {photos['count']} free photos of {figures['groups']} groups of near copies, cut into "
        f"{figures['pieces']:,} pieces that do not overlap. Pieces of a photo are alike, so whole groups are held out, "
        f"and intervals are over groups. The pipeline kept {figures['samples']:,} pieces, of "
        f"which {figures['held_out']:,} are held out: the same for all that is below."
    )
    yield ""
    yield (
        "Cut: a short side above 768 pixels is reduced to that; then as many rows and columns, two at most, as leave "
        "256 pixels each. Run: the settings of the profile `demo`, with texts in place of captions. Then each number "
        "of experts has a fit of its own on the same vectors, all pieces among them, as in a run; the networks and "
        f"statistics are the probe's: width {used['width']}, {used['depth']} blocks, {used['patches']} x "
        f"{used['patches']} patches, {used['steps']} common steps of {used['batch']}, {used['expert_steps']} for each "
        "expert, as many as all of these for the monolith. Intervals are of "
        f"{share(used['confidence'], 0)}. Losses are mean squared errors of velocities, over t = "
        f"{', '.join(f'{t:g}' for t in TIMES)}."
    )
    if photos["licences"]:
        yield ""
        yield "| package | photos | licences |"
        yield "|---|---|---|"
        for package, counts in sorted(photos["licences"].items()):
            told = ", ".join(f"{licence} ({count})" for licence, count in sorted(counts.items()))
            yield f"| `{package}` | {sum(counts.values())} | {told} |"


def _own(figures: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Own against other experts"
    yield ""
    yield (
        "How far the own expert's loss lies below the mean of the others', and how many standard errors the diagonal "
        "of cluster x expert, without the means of rows and columns, lies below that of permuted labels. Pieces of a "
        "photo are alike, so that z and p of all pieces flatter: those of one piece per held-out group do not."
    )
    yield ""
    yield OWN
    for k, found in figures["experts"].items():
        yield row(k, *_own_cells(found["clusters"]))
    yield ""
    yield "The same of random parts of equal sizes, where nothing should be seen:"
    yield ""
    yield OWN
    for k, found in figures["experts"].items():
        yield row(k, *_own_cells(found["random"]))
    false = [k for k, found in figures["experts"].items() if above(found["random"]["own_below_others"])]
    yield ""
    yield (
        f"By the interval alone, own experts of random parts are better than others for {names(false, figures)}: "
        "experts differ in quality by chance, and larger parts weigh more. So z and p decide, not that interval."
    )


def _own_cells(found: Mapping[str, Any]) -> list[str]:
    diagonal, one = found["diagonal"], found["one_per_photo"]
    return [
        f"{min(found['sizes'])}, {max(found['sizes'])}",
        percent(found["own_below_others"]),
        number(diagonal["z"], ".1f"),
        percent(one["own_below_others"]),
        f"{number(one['diagonal']['z'], '.1f')}, {number(one['diagonal']['p'], '.4f')}",
        f"{diagonal['row_minima']} of {len(diagonal['clusters'])}",
    ]


def _random(figures: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Clusters against random parts"
    yield ""
    yield (
        "How far the loss with clusters lies below that with random parts of the same sizes, trained for the same "
        "steps, on the same images at the same noise; and own experts against the common network trained on for as "
        "long."
    )
    yield ""
    yield "| K | own expert | top-1 by the router | full mixture | own below common network: clusters | random parts |"
    yield "|---|---|---|---|---|---|"
    for k, found in figures["experts"].items():
        gains = [percent(found["below_random"][name]) for name in ("own", "top_1", "full")]
        common = [percent(found[part]["own_below_common"]) for part in ("clusters", "random")]
        yield row(k, *gains, *common)
    yield ""
    good = [k for k, found in figures["experts"].items() if above(found["below_random"]["top_1"])]
    bad = [k for k, found in figures["experts"].items() if below(found["below_random"]["top_1"])]
    yield (
        f"Experts of clusters, chosen by the router, are better than those of random parts for {names(good, figures)}, "
        f"and worse for {names(bad, figures)}. What lies between own expert and top-1 is what the router's mistakes "
        "cost."
    )


def _router(figures: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## The router by time"
    yield ""
    yield (
        "Balanced accuracy, the mean over clusters, on held-out pieces; t = 1 is noise alone. The last columns are at "
        f"t = {ROUTER_AT}: a router taught permuted labels, and one of random parts."
    )
    yield ""
    yield row("K", "chance", *(f"t = {t:g}" for t in TIMES), "permuted", "random parts")
    yield "|---" * (len(TIMES) + 4) + "|"
    for k, found in figures["experts"].items():
        router, at_random = found["clusters"]["router"], found["random"]["router"]
        rates = [rate(each) for each in router["balanced"]]
        yield row(k, share(router["chance"], 1), *rates, rate(router["permuted"]), rate(at_random["balanced"][0]))


def _mixtures(figures: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Monolith against mixtures"
    yield ""
    yield (
        "Loss above that of one network trained for the steps of all experts together, in percent of it; negative is "
        "better than the monolith. The own expert is chosen by the true cluster, the others by the router."
    )
    yield ""
    yield row("K", "monolith", *MIXED.values())
    yield "|---" * (len(MIXED) + 2) + "|"
    for k, found in figures["experts"].items():
        single, mixed = found["clusters"]["monolith"]["mean"], found["clusters"]["mixtures"]
        cells = [signed(mixed[name]["less_monolith"], single) for name in MIXED]
        yield row(k, number(single, ".4f"), *cells)
    worse = [
        k
        for k, found in figures["experts"].items()
        if all(above(found["clusters"]["mixtures"][name]["less_monolith"]) for name in ("top_1", "top_2", "full"))
    ]
    yield ""
    yield f"All three mixtures by the router are behind the monolith for {names(worse, figures)}."


def _pruned(figures: Mapping[str, Any]) -> Iterator[str]:
    found = figures["pruned"]
    yield ""
    yield "## Pruning"
    yield ""
    yield (
        "One network on part of the training pieces: of each cluster those nearest to its centroid, those farthest "
        f"from it, or as many at random. Each is trained from the same start for {found['steps']} steps, and measured "
        "on all held-out pieces, pruned by nothing."
    )
    yield ""
    yield "| kept | pieces | loss | below the network on all | below as many at random |"
    yield "|---|---|---|---|---|"
    for name, each in found["networks"].items():
        gains = [percent(each[other]) if each[other] else "" for other in ("below_all", "below_random")]
        loss = each["loss"]
        yield row(name, f"{each['images']:,}", f"{loss['mean']:.4f} ({loss['low']:.4f} to {loss['high']:.4f})", *gains)


def _limits(figures: Mapping[str, Any]) -> Iterator[str]:
    shown = [
        k
        for k, found in figures["experts"].items()
        if found["clusters"]["one_per_photo"]["diagonal"]["p"] < LEVEL
        and above(found["clusters"]["one_per_photo"]["own_below_others"])
    ]
    false = [k for k, found in figures["experts"].items() if found["random"]["one_per_photo"]["diagonal"]["p"] < LEVEL]
    yield ""
    yield "## What this says"
    yield ""
    yield (
        f"- By one piece of each held-out group, experts fit their own clusters (p below {LEVEL}, interval above 0) "
        f"for {names(shown, figures)}; those of random parts do for {names(false, figures)}."
    )
    yield (
        "- It says that latents, labels and clusters of a run belong together, and that there is something in clusters "
        "to be learnt. It does not rank mixtures and monoliths: the networks have "
        f"{figures['pruned']['weights']:,} weights each and are far from convergence, where a monolith, which sees "
        "every image, gains more from its steps. Paris' experts have 605 million."
    )
    yield (
        f"- One split, one fit and one start of each network (seed {figures['seed']}): intervals are over photos, not "
        "over trainings. Between rows of a table the photos are the same, so rows are not independent."
    )
    yield (
        "- With random parts pieces of one photo lie in several experts; with clusters they mostly share one. Held-out "
        "photos are held out of all experts either way."
    )
    yield (
        "- The small VAE of the demo was trained on some of these photos, so its latents of these are better than of "
        "those that it never saw. Pieces of small photos are enlarged, and how sharp they are may tell clusters."
    )
    yield "- Pruning is judged after few steps, too few to tire of a small set: it says little about long training."
    yield ""
    yield (
        f"This page has K = {', '.join(figures['experts'])}; `python -m tools.proof --publish` makes it for 2, 4, 8 "
        "and 16 experts. What lies in its folder `--work` is not done again. `--photos FOLDER` takes your own photos, "
        "`--k` other numbers of experts. The figures are in `tools/proof/figures.json`."
    )
