"""Judgement on latents."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.records import Record
from paris_assets.latents.complete import ENLARGED, MISPLACED, MISSING, OTHER_BUCKET, size_problems
from paris_assets.latents.scale import Scale, scale
from paris_assets.settings.checks import Checks


def latents_sane(
    shard: str, curated_images: pl.LazyFrame, latents: pl.LazyFrame, record: Record, profile: Profile
) -> CheckOutcome:
    """Scaled latents of every size are finite, near zero mean and unit variance; one row per curated image that is not
    rejected."""
    bounds, sizes = profile.checks, sorted(profile.latents.resolutions)
    found = {size: scale(latents, f"latent_{size}") for size in sizes}
    ids = same_images("latents", shard, latents, curated_images).figures
    lost = int(ids["missing"]) - sum(record.rejects.values())
    without = int(latents.select(pl.col(f"latent_{sizes[0]}").null_count()).collect().item())
    problems = [f"{without} rows have no latent of {sizes[0]} px"] if without else []
    for size, held in found.items():
        problems += _scale_problems(held, bounds, "" if len(sizes) == 1 else f" of {size} px")
    if lost:
        problems.append(f"{lost} curated images have no latent and no reason")
    if ids["repeated"] or ids["unknown"]:
        problems.append(f"{ids['repeated']} rows repeat an image, {ids['unknown']} are of images that are not curated")
    not_finite = without + sum(held.not_finite for held in found.values())
    figures: Figures = {
        "deviation": found[sizes[0]].std,
        "checks.min_latent_std": bounds.min_latent_std,
        "checks.max_latent_std": bounds.max_latent_std,
        "mean": found[sizes[0]].mean,
        "checks.max_latent_mean": bounds.max_latent_mean,
        "not_finite": not_finite,
        "lost": lost,
        **{name: ids[name] for name in ("repeated", "unknown")},
        **{f"deviation_{size}": found[size].std for size in sizes[1:]},
        **{f"mean_{size}": found[size].mean for size in sizes[1:]},
    }
    factor = f" ({record.facts['scaling_factor']:g} was used)" if "scaling_factor" in record.facts else ""
    scaled = not_finite == lost == ids["repeated"] == ids["unknown"] == 0
    advice = f"Look at the scaling factor of latents.codec{factor}." if scaled else make_again("latents", shard)
    first = found[sizes[0]]
    good = f"{first.rows} latents, mean {first.mean:.3f}, deviation {first.std:.3f}"
    good += "".join(f"; {found[size].rows} of {size} px, deviation {found[size].std:.3f}" for size in sizes[1:])
    return CheckOutcome.of(problems, good, figures, advice)


def _scale_problems(found: Scale, bounds: Checks, size: str) -> list[str]:
    """What is wrong with the latents of one size, a clause each."""
    low, high = bounds.min_latent_std, bounds.max_latent_std
    problems = [f"{found.not_finite} of {found.rows} latents{size} are not finite"] if found.not_finite else []
    if found.rows > 0 and not low <= found.std <= high:
        problems.append(f"latents{size} have deviation {found.std:.3g}, {low:g} to {high:g} expected")
    if abs(found.mean) > bounds.max_latent_mean:
        problems.append(f"latents{size} have mean {found.mean:.3g}, within {bounds.max_latent_mean:g} of 0 expected")
    return problems


def sizes_complete(
    shard: str, raw_images: pl.LazyFrame, curated_images: pl.LazyFrame, latents: pl.LazyFrame, profile: Profile
) -> CheckOutcome:
    """Every image has a latent of every size that it covers, and of no other; crops lie where its shape says.

    An image without the smallest size has none.
    """
    stored = raw_images.select("image_id", "stored_height", "stored_width").unique("image_id")
    images = curated_images.select("image_id").join(stored, on="image_id").sort("image_id").collect()
    found = size_problems(images, latents, profile.latents)
    clauses = {
        MISSING: "latents are missing at sizes that the image covers",
        ENLARGED: "latents are of sizes that the image does not cover",
        MISPLACED: "crops are not recorded where they must lie",
        OTHER_BUCKET: "images are in another bucket than the nearest",
    }
    problems = [f"{found[name]} {clause}" for name, clause in clauses.items() if found[name]]
    good = f"{images.height} images at all sizes that they cover"
    return CheckOutcome.of(problems, good, dict(found), make_again("latents", shard))


def reconstruction(record: Record, bounds: Checks) -> CheckOutcome:
    """Decoded latents look like the originals: mean PSNR is above its bound, at every size."""
    if not record.rows:
        said, advice = "no image has a latent, so none was decoded", "The rejects of latents say why."
        return CheckOutcome(False, said, {}, advice)
    value, least = float(record.facts["psnr_db"]), bounds.min_psnr_db
    sizes = sorted(record.facts.get("sizes", {}).items(), key=lambda item: int(item[0]))
    further = {size: float(found["psnr_db"]) for size, found in sizes[1:] if found["images"]}
    said = f"decoded latents have a mean PSNR of {value:.2f} dB, at least {least:g} expected"
    said += "".join(f"; of {size} px {db:.2f} dB" for size, db in further.items())
    advice = "Look at analysis/vae_reconstruction_samples.png, then at latents.codec."
    figures: Figures = {"psnr_db": value, "checks.min_psnr_db": least}
    figures |= {f"psnr_db_{size}": db for size, db in further.items()}
    return CheckOutcome(min([value, *further.values()]) >= least, said, figures, advice)


def buckets_covered(record: Record, bounds: Checks) -> CheckOutcome:
    """Few images are in buckets that fill no training batch, and they are near to their buckets' shapes.

    Where every size is square there is nothing to judge.
    """
    found = {size: held for size, held in record.facts.get("sizes", {}).items() if "buckets" in held}
    problems, figures = list[str](), Figures()
    for size, held in found.items():
        share = held["in_small_buckets"] / max(held["images"], 1)
        figures |= {f"in_small_buckets_{size}": share, f"ratio_error_{size}": held["ratio_error"]}
        if not held["images"]:
            problems.append(f"no image has a latent of {size} px")
        if share > bounds.max_small_buckets:
            problems.append(
                f"{share:.0%} of the images of {size} px are in buckets that fill no batch, "
                f"at most {bounds.max_small_buckets:.0%} expected"
            )
        if held["ratio_error"] > bounds.max_ratio_error:
            problems.append(
                f"images of {size} px are {held['ratio_error']:.3f} from their buckets' ratio in the mean, "
                f"at most {bounds.max_ratio_error:g} expected"
            )
    if found:
        figures |= {f"checks.{name}": getattr(bounds, name) for name in ("max_small_buckets", "max_ratio_error")}
    used = ", ".join(f"{len(held['buckets'])} buckets at {size} px" for size, held in found.items())
    advice = "Look at analysis/vae_latents.html, then at latents.buckets and latents.report_batch."
    return CheckOutcome.of(problems, f"{used} hold all images" if used else "all sizes are square", figures, advice)


latents_check = shard_check("latents")(latents_sane)
sizes_check = shard_check("latents")(sizes_complete)
reconstruction_check = all_check("latent_report")(reconstruction)
buckets_check = all_check("latent_report")(buckets_covered)
