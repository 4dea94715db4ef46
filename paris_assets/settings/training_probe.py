"""Settings of the proof that what was written trains: tiny experts and a router."""

from __future__ import annotations

from pydantic import Field

from paris_assets.settings.section import Section


class TrainingProbe(Section):
    """A fixed number of steps of tiny networks, each on one thread: by default 40 core seconds for 200 images."""

    images: int = Field(
        default=2048, ge=64, description="most images that it works on, the first of each expert by image_id, a hash"
    )
    held_out: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="share of each expert's duplicate groups that nothing is trained on, with `folds: 1`",
    )
    folds: int = Field(
        default=1,
        ge=1,
        le=10,
        description="1: `held_out` is held out once. 2 and more: so many times the work, each with another part of the "
        "groups held out, and every image is measured once",
    )
    patches: int = Field(default=8, ge=2, description="patches along each side of a latent; they divide it")
    width: int = Field(default=64, ge=8, multiple_of=8, description="width of the networks")
    depth: int = Field(default=2, ge=1, description="transformer blocks of the networks")
    batch: int = Field(default=32, ge=4, description="latents of a step")
    steps: int = Field(default=160, ge=1, description="steps of the network that all experts start from")
    expert_steps: int = Field(
        default=40, ge=1, description="steps of each expert; the monolith takes as many more as all of them together"
    )
    router_steps: int = Field(default=160, ge=1, description="steps of the router, and of one on permuted labels")
    draws: int = Field(default=2, ge=1, description="noises for each held-out image and time")
    text: bool = Field(default=False, description="networks are given the mean of each caption's token embeddings")
    pictures: int = Field(default=8, ge=0, description="sampled latents that the report decodes")
    sampling_steps: int = Field(default=25, ge=2, description="steps of sampling")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of the intervals")
