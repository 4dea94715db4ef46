"""The profile: one validated object describes a whole run.

``paris_assets.profiles`` reads it from YAML. Settings marked ``tuning`` change speed or reach, never results: they
enter no fingerprint and no manifest, so changing them redoes nothing.
"""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from paris_assets.credentials import refuse_credentials, refuse_secret_options
from paris_assets.sections import ProfileError, Section, distinct, tuning, without_tuning


class Model(Section):
    """A pretrained network: which implementation, which weights, how it runs."""

    implementation: str = Field(description="name in models/registry.py, or import path `package.module:Class`")
    path: str | None = Field(default=None, description="hub name or local folder; null for models shipped in a package")
    revision: str | None = Field(default=None, description="hub revision (commit hash) of `path`")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 where it is native"
    )
    device: str = Field(default="auto", description="torch device; auto: cuda, then cpu")
    batch_size: int = Field(
        default=16, ge=1, description="images or texts per padded batch (part of the result in bf16)"
    )
    options: Annotated[dict[str, Any], AfterValidator(refuse_secret_options)] = Field(
        default_factory=dict, description="further arguments of the implementation"
    )


class Source(Section):
    """Where rows come from and how they are cut into shards."""

    path: Annotated[str, AfterValidator(refuse_credentials)] = Field(
        default="data/sample/photos.parquet", description="table, glob, folder, tars or URL of the source"
    )
    rows_per_shard: int = Field(default=10_000, ge=1, description="source rows per image shard; fixed at registration")
    columns: dict[str, str] = Field(default_factory=dict, description="our column -> the source's, before aliases")


class Ingest(Section):
    """How images are fetched."""

    max_bytes: int = Field(default=20_000_000, ge=1, description="largest body accepted, bytes")
    max_pixels: int = Field(
        default=100_000_000, ge=1, description="largest width x height accepted, read from the header"
    )
    max_redirects: int = Field(default=5, ge=0, description="redirects followed per URL")
    timeout_s: float = tuning(10.0, "seconds for one attempt, connection and body together", gt=0)
    retries: int = tuning(2, "further attempts after a transient failure (timeout, connection, 429, 5xx)", ge=0)
    backoff_s: float = tuning(0.5, "wait before the first retry; doubled for each further one", ge=0)
    max_wait_s: float = tuning(30.0, "longest Retry-After that is waited for; a longer one ends the attempts", ge=0)
    concurrency: int = tuning(64, "requests in flight per shard", ge=1)
    user_agent: str = tuning("paris_assets", "User-Agent header")
    serve: str | None = tuning(None, "folder that a loopback web server serves while images are fetched")
    resolve: dict[str, str] = tuning({}, "host name -> `serve` or `127.0.0.1:port`: the only private addresses allowed")


class Signals(Section):
    """CPU measurements of one decode."""

    measures: list[str] = Field(
        default=[
            "paris_assets.signals.entropy:Entropy",
            "paris_assets.signals.blocking:Blocking",
            "paris_assets.signals.degradation:Degradation",
            "paris_assets.signals.perceptual_hash:PerceptualHash",
        ],
        description="signal classes by import path; each adds its columns",
    )
    threads: int = tuning(0, "decode threads; 0: one per core", ge=0)


class Rule(Section):
    """Keeps images whose `column` lies within [min, max]."""

    name: str = Field(description="the reason recorded when the rule rejects")
    column: str = Field(description="column of raw_images, image_signals, content_scores or source_rows")
    min: float | None = Field(default=None, allow_inf_nan=False, description="smallest value kept")
    max: float | None = Field(default=None, allow_inf_nan=False, description="largest value kept")
    null: Literal["keep", "reject"] = Field(default="reject", description="verdict where the value is unknown")

    @model_validator(mode="after")
    def _bounded(self) -> Rule:
        if self.min is None and self.max is None:
            raise ValueError(f"rule {self.name!r} has neither min nor max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"rule {self.name!r} keeps nothing: its min {self.min:g} is above its max {self.max:g}")
        return self


class Curation(Section):
    """Rules that decide which images stay."""

    signal_rules: list[Rule] = Field(
        default=[Rule(name="short_side", column="short_side", min=160), Rule(name="aspect", column="aspect", max=3.0)],
        description="rules on the file and its signals; images that fail are not scored by models",
    )
    score_rules: list[Rule] = Field(default_factory=list, description="rules on model scores and source scores")


class Duplicates(Section):
    """Near-duplicates: all pairs within a Hamming radius of the 64-bit pHash, verified by a second measure."""

    radius: int = Field(default=10, ge=0, le=20, description="largest pHash distance of a candidate pair, bits")
    verify_correlation: float = Field(
        default=0.9, ge=-1, le=1, description="smallest correlation of the aligned thumbnails that confirms a pair"
    )
    growth: Literal["keep_published", "rerank"] = Field(
        default="keep_published", description="whether a curated image stays keeper when a better copy arrives later"
    )


class Captions(Section):
    """Source text where it is a caption, else a captioner."""

    min_words: int = Field(default=3, ge=1, description="fewest words of a source text that is used as a caption")
    captioner: Model = Field(default=Model(implementation="imagenet-labels"), description="captions the other images")


class Text(Section):
    """Text encoder of the captions."""

    encoder: Model = Field(default=Model(implementation="minilm", batch_size=32), description="text encoder")
    tokens: int = Field(default=77, ge=1, description="fixed padding, tokens")


class Clusters(Section):
    """How image embeddings are split between experts."""

    k: int = Field(default=8, ge=1, description="number of experts")
    features: Annotated[list[Literal["image", "text"]], AfterValidator(distinct)] = Field(
        default=["image"], min_length=1, description="parts joined, each L2-normalised"
    )
    normalize: bool = Field(default=True, description="L2-normalise before the fit (distances are Euclidean there)")
    fine: int | Literal["auto"] | None = Field(
        default=None, description="fine centroids of a two-stage fit; auto scales with the images; null fits k directly"
    )
    assignment: Literal["nearest", "inherit"] = Field(
        default="nearest", description="nearest coarse centroid, or the group of the image's nearest fine centroid"
    )
    max_share: float | None = Field(
        default=None, gt=0, le=1, description="cap on the share of the largest cluster in the fit"
    )
    max_train: int = Field(
        default=1_000_000, ge=1, description="most embeddings the fit reads, chosen by image_id hash"
    )
    iterations: int = Field(default=50, ge=1, description="k-means iterations")
    restarts: int = Field(default=10, ge=1, description="k-means restarts; the lowest inertia wins")
    stability_seeds: int = Field(default=5, ge=2, description="seeds compared by adjusted Rand index in the report")
    sample: int = Field(default=5000, ge=100, description="most images used for silhouette, map and stability")
    min_images: int = Field(default=2, ge=1, description="clusters smaller than this are of low value and not selected")
    min_caption_diversity: float = Field(
        default=0.05, ge=0, le=1, description="least distinct captions per image of a cluster"
    )
    keep_fraction: float = Field(
        default=1.0, gt=0, le=1, description="share of each valued cluster selected for training"
    )
    prefer: Literal["near", "far"] = Field(
        default="near", description="images kept first, by distance to their centroid"
    )

    @model_validator(mode="after")
    def _possible(self) -> Clusters:
        if isinstance(self.fine, int) and self.fine < self.k:
            raise ValueError(f"fine is {self.fine}, but it is merged into k = {self.k} clusters: raise it")
        if self.max_share is not None and self.max_share * self.k < 1:
            raise ValueError(f"max_share {self.max_share:g} of k = {self.k} clusters cannot hold all images: raise one")
        return self


class Latents(Section):
    """Latents of the VAE."""

    codec: Model = Field(default=Model(implementation="autoencoder-kl", path="small-vae"), description="latent codec")
    resolutions: Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(distinct)] = Field(
        default=[256], min_length=1, description="square sizes encoded, pixels"
    )
    upscale: bool = Field(default=False, description="upscale smaller images (recorded); otherwise they get no latent")
    posterior: Literal["mean", "sample"] = Field(
        default="mean", description="latent = mean, or a sample seeded per image"
    )
    report_images: int = Field(default=16, ge=1, description="images shown in the latent report")


class Experts(Section):
    """Training shards."""

    max_samples: int = Field(default=10_000, ge=1, description="most samples per tar")
    validation_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share held out, by hash of the duplicate group"
    )
    consolidate_max_bytes: int = Field(default=2_000_000_000, ge=1, description="router files above this are numbered")


WARN_ONLY = ["silhouette", "smallest_cluster", "largest_cluster", "boundary", "captions_differ", "retention", "fetched"]


class Checks(Section):
    """Bounds of the asset checks."""

    min_fetched: float = Field(default=0.5, ge=0, le=1, description="least share of a shard's rows that is fetched")
    min_kept: float = Field(default=0.3, ge=0, le=1, description="least share of a shard's images that pass the rules")
    max_kept: float = Field(
        default=1.0, ge=0, le=1, description="largest share of a shard's images that pass the rules"
    )
    max_duplicates: float = Field(
        default=0.5, ge=0, le=1, description="largest share of images that are dropped as copies"
    )
    max_top_caption: float = Field(default=0.5, gt=0, le=1, description="largest share of one caption within a shard")
    max_embedding_norm: float = Field(default=1000.0, gt=0, description="largest L2 norm of an embedding")
    min_embedding_std: float = Field(
        default=1e-4, gt=0, description="least mean per-dimension deviation within a shard"
    )
    min_silhouette: float = Field(default=0.0, ge=-1, le=1, description="least mean silhouette (cosine)")
    min_share: float = Field(default=0.01, ge=0, le=1, description="least share of the smallest cluster")
    max_share: float = Field(default=0.5, ge=0, le=1, description="largest share of the largest cluster")
    max_boundary: float = Field(default=0.9, ge=0, le=1, description="largest share of images with d2 / d1 < 1.2")
    max_latent_mean: float = Field(default=0.5, gt=0, description="largest absolute mean of a shard's scaled latents")
    min_latent_std: float = Field(default=0.5, gt=0, description="least deviation of a shard's scaled latents")
    max_latent_std: float = Field(default=2.0, gt=0, description="largest deviation of a shard's scaled latents")
    min_psnr_db: float = Field(default=20.0, gt=0, description="least mean reconstruction PSNR, dB")
    warn_only: list[str] = Field(
        default=WARN_ONLY, description="checks that warn where they fail; the others are errors"
    )


class Profile(Section):
    """Everything that a run depends on."""

    name: str = Field(default="demo", description="name of the profile")
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed from which every random choice is derived")
    allow_missing_shards: bool = Field(
        default=False, description="global assets go on without unfinished shards and list them"
    )
    source: Source = Source()
    ingest: Ingest = Ingest()
    signals: Signals = Signals()
    scores: dict[str, Model] = Field(default_factory=dict, description="column -> image scorer")
    curation: Curation = Curation()
    duplicates: Duplicates = Duplicates()
    captions: Captions = Captions()
    text: Text = Text()
    embedder: Model = Field(default=Model(implementation="efficientnet-lite0"), description="image embedder")
    clusters: Clusters = Clusters()
    latents: Latents = Latents()
    experts: Experts = Experts()
    checks: Checks = Checks()

    @property
    def posterior_seed(self) -> int | None:
        """The seed where latents are sampled; means depend on none."""
        return self.seed if self.latents.posterior == "sample" else None

    def at(self, path: str) -> Any:
        """The value at a dotted path such as ``clusters.k``.

        Raises:
            ProfileError: no such setting.
        """
        try:
            return reduce(getattr, path.split("."), self)
        except AttributeError as error:
            raise ProfileError(f"profile {self.name!r} has no setting {path!r}") from error

    def results(self, path: str) -> Any:
        """The JSON value at ``path`` without the tuning settings: what may enter a fingerprint or a manifest."""
        return without_tuning(self.at(path))
