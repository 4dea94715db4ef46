"""Bounds of the asset checks of every stage."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from paris_assets.settings.section import Section

WARN_ONLY = [
    "silhouette", "smallest_cluster", "largest_cluster", "boundary", "captions_differ", "retention", "fetched",
    "texts_found", "rules_fire", "rejected_by_rule", "like_earlier_shards", "like_fitted_shards",
    "concepts_found", "concepts_varied", "weights_apart", "effective_samples",
    "lists_known", "selected_share", "subset_found",
    "captions_valid", "captions_repeat",
    "hashes_match", "languages_agree",
    "judge_agrees",
    "buckets_covered",
    "selection_helps",
]  # fmt: skip


class Checks(Section):
    """Bounds of the asset checks."""

    min_fetched: float = Field(default=0.5, ge=0, le=1, description="least share of a shard's rows that is fetched")
    min_texts: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="least share of a shard's rows with a text, where the source has texts at all",
    )
    min_kept: float = Field(default=0.3, ge=0, le=1, description="least share of a shard's images that pass the rules")
    max_kept: float = Field(
        default=1.0, ge=0, le=1, description="largest share of a shard's images that pass the rules"
    )
    max_rejected: float = Field(
        default=0.5, ge=0, le=1, description="largest share of a shard's images that a rule of bounds rejects"
    )
    max_rejected_by: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="rule -> its own largest share, in place of max_rejected; also of rules by rank",
    )
    max_shift: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="largest distance of a shard's signals and scores from those of earlier shards (the difference "
        "between shares of images at or below a value), beyond what chance explains in shards of this size",
    )
    max_pruned: float = Field(
        default=0.2, ge=0, le=1, description="largest share of a shard's images that lists of curation.prune reject"
    )
    max_unknown_listed: float = Field(
        default=0.5, ge=0, le=1, description="largest share of the images of prune and boost lists that is not there"
    )
    max_duplicates: float = Field(
        default=0.5, ge=0, le=1, description="largest share of images that are dropped as copies"
    )
    max_vector_duplicates: float = Field(
        default=0.3, ge=0, le=1, description="largest share of images that are dropped as copies by their vectors alone"
    )
    min_selected: float = Field(default=0.001, ge=0, le=1, description="least share of the pool that is selected")
    max_selected: float = Field(default=1.0, ge=0, le=1, description="largest share of the pool that is selected")
    min_subset_found: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="least share of a subset's rows with an image, where all of them were asked for",
    )
    max_top_caption: float = Field(default=0.5, gt=0, le=1, description="largest share of one caption within a shard")
    max_invalid_captions: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="largest share of a shard's captions of one kind that are invalid; pictures without words or tags "
        "do not count",
    )
    max_repeated_captions: float = Field(
        default=0.5, ge=0, le=1, description="largest share of all captions of one kind that repeat too often"
    )
    max_hash_mismatch: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="largest share of a shard's images, of those that the list gives a sha256 of, that are others",
    )
    min_language_agreement: float = Field(
        default=0.7, ge=0, le=1, description="least share of captions whose language two detectors agree on"
    )
    max_embedding_norm: float = Field(default=1000.0, gt=0, description="largest L2 norm of an embedding")
    max_without_vector: float = Field(
        default=0.05, ge=0, le=1, description="largest share of images, or of rows of a pool, without a vector"
    )
    min_embedding_std: float = Field(
        default=1e-4, gt=0, description="least mean per-dimension deviation within a shard"
    )
    min_tagged: float = Field(
        default=0.5, ge=0, le=1, description="least share of a shard's images that show a concept"
    )
    max_concepts: float = Field(default=50.0, ge=1, description="most concepts per image, mean of a shard")
    max_concept_share: float = Field(
        default=0.8, gt=0, le=1, description="largest share of images that show one concept"
    )
    max_concept_rows: float = Field(
        default=0.5, gt=0, le=1, description="largest share of a pool's rows that one concept of it holds"
    )
    max_control_difference: float = Field(
        default=0.1, gt=0, le=1, description="largest relative difference of a subset's random control from its size"
    )
    max_at_bounds: float = Field(
        default=0.5, ge=0, le=1, description="largest share of a shard's sampling weights that are at a bound"
    )
    min_effective: float = Field(
        default=0.5, ge=0, le=1, description="least effective samples of an expert per sample to train on"
    )
    min_silhouette: float = Field(default=0.0, ge=-1, le=1, description="least mean silhouette (cosine)")
    min_share: float = Field(default=0.01, ge=0, le=1, description="least share of the smallest cluster")
    max_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="largest share of the largest cluster, where 1.5 times an equal share is not more",
    )
    max_boundary: float = Field(default=0.9, ge=0, le=1, description="largest share of images with d2 / d1 < 1.2")
    min_embedding_accuracy: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="least balanced accuracy with which a linear probe tells clusters by what was clustered, on a "
        "scale from chance (0) to perfect (1)",
    )
    min_latent_accuracy: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="the same of the better of a linear and a small probe, by latents without noise",
    )
    max_confusion: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="largest share of the images of two clusters that a linear probe takes for the other's, beyond "
        "chance; 0.5 where a coin decides",
    )
    max_split_copies: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="largest share of images with near copies that have one in another cluster, beyond chance",
    )
    max_share_drift: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="largest part of the images of shards that came after the fit that would have to change clusters "
        "for the shares of those fitted on, beyond chance",
    )
    max_distance_drift: float = Field(
        default=0.1,
        ge=0,
        description="largest relative rise of the mean distance to the own centroid in shards that came after the fit, "
        "beyond chance",
    )
    max_boundary_drift: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest rise of the share of images at a boundary in shards after the fit, beyond chance",
    )
    max_latent_mean: float = Field(default=0.5, gt=0, description="largest absolute mean of a shard's scaled latents")
    min_latent_std: float = Field(default=0.5, gt=0, description="least deviation of a shard's scaled latents")
    max_latent_std: float = Field(default=2.0, gt=0, description="largest deviation of a shard's scaled latents")
    min_psnr_db: float = Field(default=20.0, gt=0, description="least mean reconstruction PSNR, dB")
    max_small_buckets: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="largest share of the images of a size in buckets of fewer than latents.report_batch images",
    )
    max_ratio_error: float = Field(
        default=0.1, gt=0, description="largest mean distance of images from their buckets' ratio of sides, |log|"
    )
    max_clipped: float = Field(
        default=0.002, ge=0, le=1, description="largest share of values that the range of experts.codec clips"
    )
    max_codec_error: float = Field(
        default=0.05, gt=0, le=1, description="largest RMSE of experts.codec over the root mean square of the values"
    )
    min_codec_cosine: float = Field(
        default=0.995,
        ge=0,
        le=1,
        description="least mean cosine of text embeddings with themselves after experts.codec",
    )
    min_codec_psnr_db: float = Field(
        default=40.0, gt=0, description="least mean PSNR of latents decoded after experts.codec against before, dB"
    )
    max_split_error: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="largest distance of an expert's held-out share from experts.validation_fraction, beyond one group",
    )
    min_judge_agreement: float = Field(
        default=0.7, ge=0, le=1, description="least mean share of a concept's answers that gave its commonest verdict"
    )
    min_judge_kappa: float = Field(
        default=0.2, ge=-1, le=1, description="least Fleiss' kappa of the votes on concepts, where there is one"
    )
    max_failed_votes: float = Field(
        default=0.1, ge=0, le=1, description="largest share of votes on concepts without an answer that counts"
    )
    min_concepts_kept: float = Field(
        default=0.1, ge=0, le=1, description="least share of a pool's rows in concepts that the judge keeps"
    )
    max_concepts_kept: float = Field(
        default=1.0, ge=0, le=1, description="largest share of a pool's rows in concepts that the judge keeps"
    )
    max_probe_loss: float = Field(
        default=0.7, gt=0, le=1, description="largest loss at t = 0.5 of probe's common network, by an untrained one's"
    )
    max_probe_p: float = Field(
        default=0.01, gt=0, le=0.5, description="largest share of permuted labels that probe's experts fit as well"
    )
    silent_rules_from: int = Field(
        default=1000, ge=0, description="images from which on a rule that rejects none of them is worth a warning"
    )
    warn_only: list[str] = Field(
        default=WARN_ONLY, description="checks that warn where they fail; the others are errors"
    )
