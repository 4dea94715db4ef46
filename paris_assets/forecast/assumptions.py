"""What a forecast takes for granted where nothing was measured: each figure with its reason, open to be replaced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from paris_assets.errors import UsageError, did_you_mean

ASSUMED, GIVEN = "assumed", "given on the command line"
RATE = "rate."
"""Before the name of an asset: images per second of one GPU, or one core where the hardware is `cpu`."""
SPEED = "docs/z_image.md, measured on 2 cores with AVX-512"


@dataclass(frozen=True)
class Assumption:
    """A figure.

    Attributes:
        value: the figure.
        said: what it is of, in words, with its unit.
        source: where it is from.
    """

    value: float
    said: str
    source: str = ASSUMED


SHIPPED = {
    "image_bytes": Assumption(150_000, "bytes of a fetched image", "assumed, of photographs of the web"),
    "fetched": Assumption(0.75, "share of urls that still give an image", "assumed: links rot, older lists give fewer"),
    "readable": Assumption(0.99, "share of images in a source that can be read"),
    "selected": Assumption(0.3, "share of a pool's rows that its steps select", "DataComp's usual share"),
    "passing": Assumption(0.85, "share of images that meet the rules on signals"),
    "kept": Assumption(0.75, "share of images that meet all rules"),
    "unique": Assumption(0.95, "share of these that are no copies of another"),
    "covered": Assumption(0.95, "share of curated images as large as their latents"),
    "captioned": Assumption(0.1, "share of curated images without a text that is a caption"),
    "utilisation": Assumption(0.4, "share of a peak that networks reach, without decoding", "assumed: 0.35 to 0.45"),
    "bandwidth": Assumption(0.6, "share of the memory's bandwidth that decoding of tokens reaches"),
    "request_s": Assumption(0.7, "seconds of a url, all tries, with `ingest.concurrency` under way at once"),
    "tries": Assumption(1.1, "requests per image, redirects and further tries included"),
    "fetch_ms": Assumption(2.0, "ms of a core per image fetched", "docs/running.md, 1.9 ms with `ingest.encode`"),
    "decode_ms": Assumption(1.6, "ms of a core to decode an image, once per asset that looks at pixels", SPEED),
    "signals_ms": Assumption(2.5, "ms of a core per image for decoding and the usual signals", SPEED),
    "row_ms": Assumption(0.05, "ms of a core per row of a table"),
    "write_mb_s": Assumption(300, "MB per second of a core that are written and hashed"),
}
"""Name -> the shipped figure."""
_SHARES = ("fetched", "readable", "selected", "passing", "kept", "unique", "covered", "captioned")
_PARTS = ("utilisation", "bandwidth")


def assumptions(given: Iterable[str], assets: Iterable[str]) -> dict[str, Assumption]:
    """The shipped figures with those in their place that a user gives as `NAME=VALUE`.

    Args:
        given: of the command line.
        assets: names that may stand behind `rate.`.

    Raises:
        UsageError: no such figure, no number, or one that cannot be; names it and what was perhaps meant.
    """
    found = dict(SHIPPED)
    known = [*SHIPPED, *(f"{RATE}{asset}" for asset in assets)]
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--assume takes NAME=VALUE, such as fetched=0.6, not {text!r}")
        if name not in known:
            names = f"{', '.join(SHIPPED)}, and rate.ASSET, images per second of one GPU"
            raise UsageError(f"--assume: no {name!r}{did_you_mean(name, known)}; there are {names}")
        said = f"images per second of {name.removeprefix(RATE)}" if name.startswith(RATE) else SHIPPED[name].said
        found[name] = Assumption(_number(name, value), said, GIVEN)
    return found


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"--assume: {name} takes a number, not {text!r}") from None
    share = name in _SHARES
    least_too = share or name.endswith("_ms")
    if not math.isfinite(value) or value < 0 or (value == 0 and not least_too):
        raise UsageError(f"--assume: {name} is {text}: it takes a number above 0")
    if value > 1 and (share or name in _PARTS):
        raise UsageError(f"--assume: {name} is {text}, and it is a share: give a number up to 1")
    return value


def with_measured(figures: Mapping[str, Assumption], measured: Mapping[str, Assumption]) -> dict[str, Assumption]:
    """Figures of this root or its source in place of the shipped ones; what the user gives stays."""
    fitting = {name: each for name, each in measured.items() if figures[name].source != GIVEN}
    return {**figures, **{name: replace(each, said=figures[name].said) for name, each in fitting.items()}}
