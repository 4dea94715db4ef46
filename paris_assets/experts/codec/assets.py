"""The ranges of the uint8 codec."""

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset
from paris_assets.experts.conditions import has_codec
from paris_assets.experts.schema import VALUE_RANGES
from paris_assets.models.registry import Models
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards


@all_asset(
    VALUE_RANGES,
    group="experts",
    kinds={"numpy", "pytorch"},
    settings=["seed", "experts.codec", "latents.codec", "latents.resolutions"],
    used_if=has_codec,
    refit_on_settings_only=True,
    data_files=["router_arrays/codec.json"],
    pool="gpu",
)
def value_ranges(models: Models, profile: Profile, latents: Shards, text_embeddings: Shards) -> Output:
    """The ranges that arrays of samples are coded in as uint8, and the error of that, on a seeded sample of the images.

    A growing source does not change them, so published files keep their meaning; changed settings do.
    """
    from paris_assets.experts.codec.ranges import ranged

    return ranged(latents, text_embeddings, models, profile)
