"""Judgement on what the uint8 codec costs."""

import polars as pl

from paris_assets.dag.checks import CheckOutcome, Figures, all_check, shard_check
from paris_assets.dag.records import Record
from paris_assets.settings.checks import Checks

WIDER = "Give a wider range (experts.codec.{kind}.range), a larger percentile, or leave {kind} as float16."


def codec_error(value_ranges: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Coding as uint8 clips few values and changes them little: relative error, cosine of text, PSNR of pictures."""
    rows = value_ranges.collect()
    problems, figures, worst = [], Figures(), ""
    for (kind,), of_kind in rows.group_by("kind", maintain_order=True):
        name = str(kind)
        most = {
            "clipped": (of_kind["clipped"].max(), bounds.max_clipped, "of the values are clipped"),
            "relative_rmse": (of_kind["relative_rmse"].max(), bounds.max_codec_error, "is the relative error"),
        }
        least = {
            "cosine": (of_kind["cosine"].min(), bounds.min_codec_cosine, "is the mean cosine"),
            "psnr_db": (of_kind["psnr_db"].min(), bounds.min_codec_psnr_db, "dB is the mean PSNR after decoding"),
        }
        for figure, (value, bound, said) in (most | least).items():
            if value is None:
                continue
            figures[f"{name}_{figure}"] = found = float(value)  # type: ignore[arg-type]
            if found > bound if figure in most else found < bound:
                worst = worst or name
                problems.append(f"{name}: {found:.4g} {said}, at {'most' if figure in most else 'least'} {bound:g}")
    figures |= {
        "checks.max_clipped": bounds.max_clipped,
        "checks.max_codec_error": bounds.max_codec_error,
        "checks.min_codec_cosine": bounds.min_codec_cosine,
        "checks.min_codec_psnr_db": bounds.min_codec_psnr_db,
    }
    good = f"{', '.join(rows['kind'].unique().sort())} as uint8, with small errors"
    return CheckOutcome.of(problems, good, figures, WIDER.format(kind=worst))


def values_in_range(value_ranges: pl.LazyFrame, record: Record, bounds: Checks) -> CheckOutcome:
    """The arrays of this shard fit the range that was frozen before: few of their values are clipped."""
    kinds = value_ranges.select(pl.col("kind").unique().sort()).collect()["kind"].to_list()
    shares: dict[str, float] = record.facts["clipped"]
    clipped: Figures = {f"{kind}_clipped": shares.get(kind, 0.0) for kind in kinds}
    beyond = [kind for kind in kinds if shares.get(kind, 0.0) > bounds.max_clipped]
    problems = [
        f"{shares[kind]:.3%} of the values of {kind} are clipped, at most {bounds.max_clipped:.3%}" for kind in beyond
    ]
    advice = "The range was taken from other images: `paris run --from value_ranges` takes it anew, and codes all anew."
    good = f"{', '.join(kinds)} are within the range"
    return CheckOutcome.of(problems, good, {**clipped, "checks.max_clipped": bounds.max_clipped}, advice)


error_check = all_check("value_ranges")(codec_error)
tars_in_range_check = shard_check("expert_shards")(values_in_range)
mds_in_range_check = shard_check("expert_mds")(values_in_range)
