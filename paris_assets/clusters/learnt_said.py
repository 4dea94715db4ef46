"""What probes and near copies tell of a clustering, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def learnt_said(learnt: Mapping[str, Any]) -> list[str]:
    """Sentences on ``embeddings``, ``latents`` and ``copies``."""
    return [
        _probed("What was clustered", learnt["embeddings"]),
        _probed("Latents without noise", learnt["latents"]),
        copies_said(learnt["copies"]) + ".",
    ]


def copies_said(copies: Mapping[str, Any]) -> str:
    """A clause on near copies."""
    asked = f"{copies['asked']:,} images"
    if not copies["images"]:
        return f"None of {asked} has a near copy (cosine {copies['cosine']:g} or more, or one duplicate group)"
    return (
        f"{copies['split_images']:,} of the {copies['images']:,} of {asked} that have near copies (cosine "
        f"{copies['cosine']:g} or more, or one duplicate group) have one in another cluster: "
        f"{copies['split_pairs']:,} of {copies['pairs']:,} pairs are parted"
    )


def probed_said(found: Mapping[str, Any]) -> str:
    """A clause on the best probe of ``learnability._probed``."""
    best = found["probes"][found["best"]]
    return (
        f"a {found['best']} probe tells {best['accuracy']:.1%} of clusters (balanced, {best['low']:.1%} to "
        f"{best['high']:.1%}; chance is {found['chance']:.1%}, permuted labels give {found['permuted']:.1%})"
    )


def confused_said(worst: Mapping[str, Any] | None) -> str:
    """A clause on the pair of clusters that is confused most, if any is."""
    if worst is None:
        return "no image is taken for one of another cluster"
    return f"clusters {worst['one']} and {worst['other']} are confused most: {worst['share']:.1%} of their images"


def _probed(what: str, found: Mapping[str, Any]) -> str:
    if "refused" in found:
        return f"{what}: no probe could be taught, {found['refused']}."
    worst = next(iter(found["confused"]), None)
    apart = f"; {found['left_out']} clusters are too small to be judged" if found["left_out"] else ""
    return f"{what}: {probed_said(found)}; {confused_said(worst)}{apart}. {found['images']:,} images in fifths."
