"""A pool with ten concepts of junk, each of its own kind, among twenty of captions as people write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from paris_assets.pool.evidence import gathered
from paris_assets.settings.judge import Evidence
from paris_assets_tests.pool.made_up import pool_rows, sharded

SIZE = 60
THINGS = {
    "barn": "farmhouse stable silo hayloft orchard tractor", "boat": "ferry sailboat trawler canoe mooring jetty",
    "dog": "spaniel terrier puppy hound leash kennel", "bread": "loaf baguette rye sourdough oven flour",
    "tower": "steeple lighthouse minaret belfry clock spiral", "train": "locomotive tram steam platform signal",
    "bird": "heron sparrow kestrel owl nest feather", "flower": "tulip daisy poppy orchid petals greenhouse",
    "chair": "armchair stool rocker bench cushion veranda", "mountain": "ridge summit glacier valley hut trail",
    "market": "stall vendor crates awning spices fishmonger", "bridge": "viaduct span arches pontoon cables river",
    "violin": "cello bow fiddle luthier strings rehearsal", "horse": "mare foal stallion pony saddle paddock",
    "beach": "dunes surf pebbles cove driftwood lifeguard", "kitchen": "stove copper shelves sink kettle tiles",
    "forest": "birch moss pines clearing ferns deer", "painting": "fresco portrait canvas etching gallery frame",
    "cyclist": "peloton climb helmet wheel finish puncture", "snow": "drift sledge icicles blizzard plough skis",
}  # fmt: skip
"""Subject -> words of it."""
SCENES = (
    "{0} in the late afternoon, seen from the road", "Old {0} near {1}", "the {0} and its {2} after rain",
    "My grandfather's {1}, 1950s", "Restored {0} behind a {2}", "A {2} waits while people walk past",
    "{1} and {2} at dawn", "Children point at the {1}", "View over {1} towards the harbour", "close-up: {2} and {1}",
    "Black and white study of a {2}", "Why we love the {0} and {1} on the island", "{2} against a stormy sky",
    "detail of {1}, northern coast", "Tourists photographing {2}", "{0}, {1}", "After the storm: {1} without {2}",
    "how to draw a {0}", "Our neighbour with {2} and {1}, Easter", "abandoned {1}", "Evening light on {0} and {2}",
    "Where is the {1}? Somewhere behind the {2}", "museum: {2}, about 1890", "First {0} of the year, by Anna",
)  # fmt: skip
TOWNS = ["Leeds", "York", "Bath", "Hull", "Derby", "Truro", "Ely", "Ripon", "Wells", "Durham", "Exeter", "Lincoln"]


def junk(draw: np.random.Generator) -> dict[str, Sequence[str | None]]:
    """Kind of junk -> captions of one concept."""
    numbers = [int(number) for number in draw.integers(1000, 9999, SIZE)]
    towns = [TOWNS[number % len(TOWNS)] for number in numbers]
    icons = ("logo", "icon", "banner", "header", "avatar", "spacer", "thumb", "arrow", "button", "star")
    return {
        "names of a camera": [f"IMG_{number}.JPG" for number in numbers],
        "names by machines": [f"a{number}f{number * 7:x}_{number % 97}_b" for number in numbers],
        "placeholders": ["image description"] * 50 + ["photo"] * 10,
        "products": [f"Buy replacement part {number} online, best price" for number in numbers],
        "dates": [f"{number % 28 + 1}/{number % 12 + 1}/2014 {number % 24}:{number % 60}" for number in numbers],
        "blank": [None if number % 3 else "a picture of something" for number in numbers],
        "boilerplate": ["Click to enlarge the image"] * 40 + [f"see page {number} for more" for number in numbers[:20]],
        "search terms": [f"cheap plumber {town}, best plumber in {town}, plumber near {town} 24h" for town in towns],
        "single words": [icons[number % 10] for number in numbers],
        "pages": [f"Page {number % 300} of 300" for number in numbers],
    }


def scenes(subject: str, draw: np.random.Generator) -> Sequence[str | None]:
    """Captions of one subject, some of them copies, some names of files: no concept of the web is clean."""
    words = THINGS[subject].split()
    captions: list[str | None] = []
    for _ in range(SIZE - 8):
        pick = [subject, *draw.choice(words, 2, replace=False)]
        captions.append(SCENES[draw.integers(len(SCENES))].format(*pick))
    return [*captions, *captions[:4], f"DSC_{draw.integers(1000, 9999)}.jpg", f"{subject}.png", None, captions[5]]


def planted(seed: int = 0) -> tuple[pl.DataFrame, set[int]]:
    """`concept_evidence` of the pool, and the concepts that are junk: every third."""
    draw = np.random.default_rng(seed)
    poor, good = list(junk(draw).values()), [scenes(subject, draw) for subject in THINGS]
    groups = [poor[place // 3] if place % 3 == 0 else good.pop() for place in range(30)]
    texts = [caption for group in groups for caption in group]
    rows = pool_rows(texts, [place for place, group in enumerate(groups) for _ in group])
    mixed = rows.sample(fraction=1, shuffle=True, seed=seed).with_columns(source_row=pl.int_range(len(texts)))
    (evidence,) = gathered(*sharded(mixed, [900, len(texts) - 900]), Evidence(), seed).rows  # type: ignore[misc]
    return evidence, set(range(0, 30, 3))


def precision_and_recall(dropped: set[int], junk: set[int]) -> tuple[float, float]:
    """Share of the dropped concepts that are junk, and of the junk that is dropped."""
    return len(dropped & junk) / max(1, len(dropped)), len(dropped & junk) / len(junk)
