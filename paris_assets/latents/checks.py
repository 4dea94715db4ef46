"""Judgement on latents."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.moments import scale
from paris_assets.dag.records import Record
from paris_assets.settings.checks import Checks


def latents_sane(
    shard: str, curated_images: pl.LazyFrame, latents: pl.LazyFrame, record: Record, profile: Profile
) -> CheckOutcome:
    """Scaled latents are finite, near zero mean and unit variance, one per curated image that is not rejected."""
    bounds = profile.checks
    found = scale(latents, f"latent_{min(profile.latents.resolutions)}")
    ids = same_images("latents", shard, latents, curated_images).figures
    lost = int(ids["missing"]) - sum(record.rejects.values())
    low, high = bounds.min_latent_std, bounds.max_latent_std
    problems = [f"{found.not_finite} of {found.rows} latents are not finite"] if found.not_finite else []
    if found.rows > 0 and not low <= found.std <= high:
        problems.append(f"latents have deviation {found.std:.3g}, {low:g} to {high:g} expected")
    if abs(found.mean) > bounds.max_latent_mean:
        problems.append(f"latents have mean {found.mean:.3g}, within {bounds.max_latent_mean:g} of 0 expected")
    if lost:
        problems.append(f"{lost} curated images have no latent and no reason")
    if ids["repeated"] or ids["unknown"]:
        problems.append(f"{ids['repeated']} rows repeat an image, {ids['unknown']} are of images that are not curated")
    figures: Figures = {
        "deviation": found.std,
        "checks.min_latent_std": low,
        "checks.max_latent_std": high,
        "mean": found.mean,
        "checks.max_latent_mean": bounds.max_latent_mean,
        "not_finite": found.not_finite,
        "lost": lost,
        **{name: ids[name] for name in ("repeated", "unknown")},
    }
    factor = f" ({record.facts['scaling_factor']:g} was used)" if "scaling_factor" in record.facts else ""
    scaled = found.not_finite == lost == ids["repeated"] == ids["unknown"] == 0
    advice = f"Look at the scaling factor of latents.codec{factor}." if scaled else make_again("latents", shard)
    good = f"{found.rows} latents, mean {found.mean:.3f}, deviation {found.std:.3f}"
    return CheckOutcome.of(problems, good, figures, advice)


def reconstruction(record: Record, bounds: Checks) -> CheckOutcome:
    """Decoded latents look like the originals: mean PSNR is above its bound."""
    if not record.rows:
        said, advice = "no image has a latent, so none was decoded", "The rejects of latents say why."
        return CheckOutcome(False, said, {}, advice)
    value, least = float(record.facts["psnr_db"]), bounds.min_psnr_db
    said = f"decoded latents have a mean PSNR of {value:.2f} dB, at least {least:g} expected"
    advice = "Look at analysis/vae_reconstruction_samples.png, then at latents.codec."
    return CheckOutcome(value >= least, said, {"psnr_db": value, "checks.min_psnr_db": least}, advice)


latents_check = shard_check("latents")(latents_sane)
reconstruction_check = all_check("latent_report")(reconstruction)
