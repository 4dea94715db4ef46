"""The proof that what was written trains."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset
from paris_assets.models.registry import Models
from paris_assets.proof.schema import TRAINING_PROBE
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.output import Output


def _used(profile: Profile) -> bool:
    return profile.probe is not None


@all_asset(
    TRAINING_PROBE,
    group="proof",
    kinds={"pytorch", "matplotlib"},
    settings=["probe", "router_resolution", "latents.codec", "seed"],
    used_if=_used,
    data_files=["analysis/training_probe.*"],
    pages={"Open the report": "analysis/training_probe.html"},
    pool="fit",
)
def training_probe(profile: Profile, files: LocalFiles, models: Models, pipeline_manifest: pl.LazyFrame) -> Output:
    """Whether what was published trains: tiny experts and a router, taught from the written files alone.

    All experts start from one network and take the same number of steps. Images of held-out duplicate groups say
    whether each is better on its own cluster than chance explains, and what mixtures are worth against one network.
    """
    from paris_assets.proof.proved import proved

    assert profile.probe is not None
    return proved(files.location.url, pipeline_manifest, profile, profile.probe, models)
