"""Judgement on signals."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.settings.import_path import SHIPPED
from paris_assets.signals.schema import RANGES


def ids_joined(shard: str, raw_images: pl.LazyFrame, image_signals: pl.LazyFrame) -> CheckOutcome:
    """Every fetched image has exactly one row of signals."""
    fetched = raw_images.filter(pl.col("status") == "ok").select("image_id").unique()
    return same_images("image_signals", shard, image_signals, fetched)


def values_in_range(shard: str, image_signals: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Every value of a shipped signal is one that its definition allows; none is infinite or no number."""
    from paris_assets.signals.signal import load_signals

    # A signal of one's own may have a column of the same name, with values of another kind.
    shipped = load_signals([path for path in profile.signals.measures if path.startswith(SHIPPED)])
    known = [name for signal in shipped for name in signal.schema if name in RANGES]
    counts = image_signals.select(_outside(name).sum() for name in known).collect().to_dict(as_series=False)
    wrong = {name: count for name, (count,) in counts.items() if count}
    problems = [f"{count} values of {name} are not within {_said(name)}" for name, count in wrong.items()]
    good, figures = f"{len(known)} signals within their ranges", Figures(out_of_range=sum(wrong.values()))
    return CheckOutcome.of(problems, good, figures, make_again("image_signals", shard))


def _outside(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64)
    return ~value.is_between(*RANGES[name]) | value.is_nan()


def _said(name: str) -> str:
    low, high = RANGES[name]
    return f"{low:g} and {high:g}"


signal_ids_check = shard_check("image_signals")(ids_joined)
signal_ranges_check = shard_check("image_signals")(values_in_range)
