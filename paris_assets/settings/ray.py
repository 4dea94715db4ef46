"""Settings of `paris run --ray auto`: what the actors of assets take for their own. They change no result."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from paris_assets.settings.section import Section, tuning


def _whole_or_share(gpus: float | None) -> float | None:
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ValueError(f"Ray gives a share of one GPU, or whole ones: {gpus:g} is neither")
    return gpus


class ActorNeeds(Section):
    """What an actor that makes an asset takes; what is left out is chosen as for any other."""

    cpus: int | None = tuning(None, "cores; null: those of `ray.cpus`", ge=1)
    gpus: Annotated[float | None, AfterValidator(_whole_or_share)] = tuning(
        None, "GPUs, or the share of one; null: 1 where the asset runs networks on cuda", ge=0
    )
    memory_gib: float | None = tuning(None, "memory, GiB; null: not asked for", gt=0)


class Ray(Section):
    """What actors of `paris run --ray auto` take for their own."""

    cpus: int = tuning(4, "cores of an actor, or all of the smallest node if that has fewer", ge=1)
    decode_cpus: int = tuning(
        32, "at most so many cores elsewhere decode pictures for an actor whose GPU waits for them; 0: none", ge=0
    )
    tries: int = tuning(3, "how often a task is begun whose actor or node dies", ge=1)
    assets: dict[str, ActorNeeds] = tuning({}, "asset -> what its actors take")
