"""Judgement on latents."""

from __future__ import annotations

from paris_assets.storage.asset_check import Judgement, all_check, shard_check
from paris_assets.storage.moments import scale
from paris_assets.storage.store import MissingInput, Store


def latents_sane(store: Store, shard: str) -> Judgement:
    """Scaled latents are finite, near zero mean and unit variance, and none is unaccounted for."""
    bounds = store.profile.checks
    found = scale(store.scan("latents", [shard]), f"latent_{min(store.profile.latents.resolutions)}")
    record, curated = store.record("latents", shard), store.record("curated_images", shard)
    assert record is not None
    lost = (curated.rows if curated else record.rows) - record.rows - sum(record.rejects.values())
    wide = found.rows > 0 and not bounds.min_latent_std <= found.std <= bounds.max_latent_std
    shifted = abs(found.mean) > bounds.max_latent_mean
    said = (
        f"{found.rows} latents, {found.not_finite} not finite, "
        f"mean {found.mean:.3f} (within {bounds.max_latent_mean:g}), "
        f"deviation {found.std:.3f} ({bounds.min_latent_std:g} to {bounds.max_latent_std:g}), "
        f"{lost} curated images lost"
    )
    figures: dict[str, float | int | str] = {"not_finite": found.not_finite, "mean": found.mean, "deviation": found.std}
    return Judgement(not (found.not_finite or wide or shifted or lost), said, figures)


def reconstruction(store: Store, shard: str) -> Judgement:
    """Decoded latents look like the originals: mean PSNR is above its bound."""
    record = store.record("latent_report")
    if record is None:
        raise MissingInput("latent_report has not been made: materialise it first")
    value, least = float(record.facts["psnr_db"]), store.profile.checks.min_psnr_db
    return Judgement(
        value >= least, f"mean PSNR {value:.2f} dB (at least {least:g})", {"psnr_db": value, "bound": least}
    )


latents_check = shard_check("latents")(latents_sane)
reconstruction_check = all_check("latent_report")(reconstruction)
