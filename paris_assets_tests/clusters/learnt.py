"""What probes found of three made-up clusters, as reports and checks read it."""

from __future__ import annotations

from typing import Any


def probed(images: int = 1000, accuracy: float = 0.95, **changed: Any) -> dict[str, Any]:
    """Of one kind of vectors."""
    part = {"accuracy": accuracy, "low": accuracy - 0.05, "high": min(accuracy + 0.05, 1.0)}
    return {
        "images": images,
        "groups": images,
        "clusters": 3,
        "left_out": 0,
        "chance": 1 / 3,
        "chance_error": 0.02,
        "visible": 0.39,
        "probes": {"linear": part},
        "best": "linear",
        "permuted": 0.34,
        "confused": [{"one": 0, "other": 2, "share": 0.075, "error": 0.01}],
        "numbers": [0, 1, 2],
        "confusion": [[300, 0, 30], [0, 300, 0], [20, 0, 350]],
        **changed,
    }


LEARNT: dict[str, Any] = {
    "embeddings": probed(),
    "latents": probed(accuracy=0.5),
    "copies": {"cosine": 0.95, "asked": 70, "images": 4, "split_images": 1, "pairs": 3, "split_pairs": 1},
}
