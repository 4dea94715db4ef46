"""What the published latents are, as the manifest's `format` says it: members, shapes, sizes and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paris_assets.config import Profile
from paris_assets.settings.latents import Latents

OWN = ("bucket", "ratio_error")
"""Fields that are of the image, not of one size."""
MIRROR = "of a mirrored latent the left edge is resized_width - target_width - crop_left"


def member(latents: Latents, resolution: int) -> str:
    """Name of a size's member in a sample."""
    return f"{latents.column('latent', resolution)}.npy"


def latent_members(profile: Profile, router: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The latents among the members of a sample.

    Args:
        router: dtype and shape of the router's latents.
    """
    latents, (channels, *_) = profile.latents, router["shape"][1:]
    found = {}
    for resolution in sorted(latents.resolutions):
        side: Any = resolution // _factor(profile, router)
        shape = [channels, "height", "width"] if resolution in latents.bucketed else [channels, side, side]
        found[member(latents, resolution)] = {
            "dtype": router["dtype"],
            "shape": shape,
            "meaning": "scaled latent of the centre square" if _alone(latents) else _meaning(latents, resolution),
        }
    return found


def latents_said(
    profile: Profile, factors: Mapping[str, Any], models: Mapping[str, Any], router: Mapping[str, Any]
) -> dict[str, Any]:
    """How latents were made and how they are decoded.

    Args:
        factors: `scaling_factor` and `shift_factor` of the latents.
        models: setting -> identity of the network that ran.
        router: dtype and shape of the router's latents.
    """
    latents, smallest = profile.latents, min(profile.latents.resolutions)
    said = {
        "codec": models.get("latents.codec"),
        "scaling_factor": factors["scaling_factor"],
        "shift_factor": factors["shift_factor"],
        "scaled": True,
        "encode": "latent = (z - shift_factor) * scaling_factor",
        "decode": "z = latent / scaling_factor + shift_factor",
        "posterior": latents.posterior,
        "resolution": smallest,
        "pixels_per_cell": _factor(profile, router),
        "pixels": "RGB / 127.5 - 1; short side resized to the resolution (bicubic), then the centre square",
    }
    if _alone(latents):
        return said
    sizes = {
        str(size): {
            "member": member(latents, size),
            "shapes": "buckets" if size in latents.bucketed else "square",
            "fields": {name: latents.column(name, size) for name in latents.placing(smallest)},
        }
        for size in sorted(latents.resolutions)
    }
    said |= {
        "sizes": sizes,
        "missing": "enlarged, and upscaled says so" if latents.upscale else "absent where the image is smaller",
        "pixels": "RGB / 127.5 - 1; resized (bicubic) to cover the target, then its centre",
        "mirrored": MIRROR,
    }
    return said | ({"buckets": _buckets(latents)} if latents.buckets else {})


def field(latents: Latents, name: str, said: Mapping[str, str]) -> str:
    """What a field of metadata.json holds.

    Args:
        said: the same, by the names that fields have at the smallest size.
    """
    if _alone(latents) or name in OWN or name not in latents.placed:
        return said[name]
    smallest = min(latents.resolutions)
    size = next(size for size in latents.resolutions if name in latents.placing(size))
    text = said[name if size == smallest else name.removesuffix(f"_{size}")].replace("the square that", "what")
    null = "" if size == smallest or (latents.upscale and size not in latents.bucketed) else ", null without"
    return f"{text}, of the latent of {size} px{null}"


def _buckets(latents: Latents) -> dict[str, Any]:
    assert latents.buckets is not None
    settings = latents.buckets.model_dump()
    of_table = settings if latents.buckets.table == "generated" else {"table": "sdxl"}
    return {
        **{name: of_table[name] for name in ("table", "area", "step", "max_aspect") if name in of_table},
        "choice": "least |log| of the image's ratio of sides by the bucket's",
        "max_ratio_error": latents.buckets.max_ratio_error,
        "batches": "latents of one size and bucket are of one shape",
    }


def _meaning(latents: Latents, resolution: int) -> str:
    what = "the centre, in its bucket's shape" if resolution in latents.bucketed else "the centre square"
    always = resolution == min(latents.resolutions) or (latents.upscale and resolution not in latents.bucketed)
    return f"scaled latent of {what}, {resolution} px{'' if always else '; absent where the image has none'}"


def _factor(profile: Profile, router: Mapping[str, Any]) -> int:
    return profile.router_resolution // router["shape"][-1]


def _alone(latents: Latents) -> bool:
    """One square size, of which nothing more is to be said."""
    return len(latents.resolutions) == 1 and not latents.buckets
