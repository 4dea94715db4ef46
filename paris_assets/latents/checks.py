"""Judgement on latents."""

from __future__ import annotations

from paris_assets.storage.asset_check import Judgement, all_check, shard_check
from paris_assets.storage.invariants import MissingInput
from paris_assets.storage.joins import same_images
from paris_assets.storage.moments import scale
from paris_assets.storage.store import Store


def latents_sane(store: Store, shard: str) -> Judgement:
    """Scaled latents are finite, near zero mean and unit variance, one per curated image that is not rejected."""
    bounds = store.profile.checks
    found = scale(store.scan("latents", [shard]), f"latent_{min(store.profile.latents.resolutions)}")
    record = store.record("latents", shard)
    assert record is not None
    ids = same_images(store, "latents", shard, store.scan("curated_images", [shard])).figures
    lost = int(ids["missing"]) - sum(record.rejects.values())
    wide = found.rows > 0 and not bounds.min_latent_std <= found.std <= bounds.max_latent_std
    shifted = abs(found.mean) > bounds.max_latent_mean
    said = (
        f"{found.rows} latents, {found.not_finite} not finite, "
        f"mean {found.mean:.3f} (within {bounds.max_latent_mean:g}), "
        f"deviation {found.std:.3f} ({bounds.min_latent_std:g} to {bounds.max_latent_std:g}), "
        f"{lost} curated images lost, {ids['repeated']} ids repeated, {ids['unknown']} not curated"
    )
    figures: dict[str, float | int | str] = {
        "not_finite": found.not_finite,
        "mean": found.mean,
        "deviation": found.std,
        "lost": lost,
        "repeated": ids["repeated"],
        "unknown": ids["unknown"],
    }
    passed = not (found.not_finite or wide or shifted or lost or ids["repeated"] or ids["unknown"])
    return Judgement(passed, said, figures)


def reconstruction(store: Store, shard: str) -> Judgement:
    """Decoded latents look like the originals: mean PSNR is above its bound."""
    record = store.record("latent_report")
    if record is None:
        raise MissingInput("latent_report has not been made: materialise it first")
    if not record.rows:
        return Judgement(False, "no image has a latent, so none was decoded: the rejects of latents say why")
    value, least = float(record.facts["psnr_db"]), store.profile.checks.min_psnr_db
    return Judgement(
        value >= least, f"mean PSNR {value:.2f} dB (at least {least:g})", {"psnr_db": value, "bound": least}
    )


latents_check = shard_check("latents")(latents_sane)
reconstruction_check = all_check("latent_report")(reconstruction)
