"""Judgement on signals, vectors and scores."""

import polars as pl

from paris_assets.config import SCORED_TEXT, Profile
from paris_assets.dag.checks import CheckOutcome, Figures, make_again, shard_check
from paris_assets.dag.joins import same_images
from paris_assets.dag.moments import Scale, scale
from paris_assets.dag.records import Record, Records
from paris_assets.dag.vectors import vector_figures, vector_problems, vectors_said
from paris_assets.settings.checks import Checks
from paris_assets.settings.import_path import SHIPPED
from paris_assets.signals.schema import EMBEDDING, RANGES

DEGRADATION_SCORER = "degradation"
FEW = 8
"""Scores that may be equal by chance."""
UNIT_SLACK = 1e-3
"""By how much the rounding to float16 may change the length of a vector."""
COMPARED = 16
"""Earlier shards that one is compared with."""


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


def like_earlier_shards(shard: str, record: Record, records: Records, bounds: Checks) -> CheckOutcome:
    """Signals and scores are distributed as in earlier shards of the set: a list that changes its kind halfway, or a
    network that does, shows here.

    Compared with at most 16 of the shards before this one, spread evenly, made under the same code and settings.
    """
    from paris_assets.signals.distribution import SKETCH, Shift, shift

    keys = list(records.keys[record.asset])
    found = [records.one(record.asset, keys[number]) for number in spread(keys.index(shard))]
    earlier = [one.facts[SKETCH] for one in found if one and one.rows_fingerprint == record.rows_fingerprint]
    now, shifts = record.facts[SKETCH], dict[str, Shift]()
    for name in now:
        apart = shift(now[name], [one[name] for one in earlier])
        shifts |= {name: apart} if apart else {}
    problems = [
        f"{name} is {apart.distance:.2f} from {len(earlier)} earlier shards, at most {bounds.max_shift:g} expected, "
        f"and {apart.chance:.2f} more by chance"
        for name, apart in shifts.items()
        if apart.distance > bounds.max_shift + apart.chance
    ]
    figures: Figures = {f"shift of {name}": apart.distance for name, apart in shifts.items()}
    good = (
        f"{len(shifts)} columns are distributed as in {len(earlier)} earlier shards"
        if shifts
        else "there is no earlier shard to compare with"
    )
    advice = "Look at the histograms in curation_report, and at what the source holds there. Or raise checks.max_shift."
    return CheckOutcome.of(problems, good, {**figures, "checks.max_shift": bounds.max_shift}, advice)


def spread(count: int) -> range:
    """At most 16 of so many numbers, evenly: all, every second, every fourth and so on. Of 10,000 shards that come one
    after the other a process so meets, and keeps the records of, fewer than a hundred."""
    return range(0, count, 1 << ((count - 1) // COMPARED).bit_length())


def vectors_joined(
    shard: str,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    picture_embeddings: pl.LazyFrame,
    profile: Profile,
) -> CheckOutcome:
    """Every image that passes the rules on signals has exactly one row of vectors, or of a reason."""
    from paris_assets.rules.verdicts import passing_signals

    passing = passing_signals(raw_images, image_signals, profile.curation)
    return same_images("picture_embeddings", shard, picture_embeddings, passing.to_frame().lazy())


def vectors_sane(picture_embeddings: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Vectors of every encoder are finite, of sane scale, differ between images, and few images lack one."""
    problems, good, figures, most = list[str](), list[str](), Figures(), profile.checks.max_without_vector
    reasons = picture_embeddings.select("reason").collect()["reason"]
    for column in profile.picture_embeddings:
        clauses, found, wrong = _vector_clauses(picture_embeddings, column, profile.checks)
        problems += [f"{column}: {clause}" for clause in clauses]
        good.append(f"{column}: {vectors_said(found)}")
        figures |= {
            name if name.startswith("checks.") else f"{column}_{name}": value
            for name, value in vector_figures(found, profile.checks, wrong).items()
        }
    figures |= {"without_vector": len(reasons) - reasons.null_count(), "checks.max_without_vector": most}
    advice = "Look at picture_embeddings (weights, precision), and at the column reason of its table."
    return CheckOutcome.of(problems, "; ".join(good), figures, advice)


def _vector_clauses(table: pl.LazyFrame, column: str, bounds: Checks) -> tuple[list[str], Scale, int]:
    """What is wrong with a column of vectors; their scale; and how many are neither finite nor null for a reason."""
    found = scale(table, column)
    lacking = table.filter(pl.col(column).is_null()).select("reason").collect()["reason"]
    wrong = found.not_finite - len(lacking)
    said = vector_problems(found, bounds, found.rows - len(lacking) > 1, wrong)
    if found.rows > found.not_finite and found.smallest_norm == 0:
        said.append("a vector is all zeros")
    if lacking.null_count():
        said.append(f"{lacking.null_count()} images have neither vector nor reason")
    if len(lacking) > bounds.max_without_vector * found.rows:
        most = f"at most {bounds.max_without_vector:.0%} expected"
        said.append(f"{len(lacking)} of {found.rows} images have no vector, {most}")
    return said, found, wrong


def copy_vectors_joined(
    shard: str,
    raw_images: pl.LazyFrame,
    image_signals: pl.LazyFrame,
    copy_embeddings: pl.LazyFrame,
    profile: Profile,
) -> CheckOutcome:
    """Every image that passes the rules on signals has exactly one row of a copy vector, or of a reason."""
    from paris_assets.rules.verdicts import passing_signals

    passing = passing_signals(raw_images, image_signals, profile.curation)
    return same_images("copy_embeddings", shard, copy_embeddings, passing.to_frame().lazy())


def copy_vectors_sane(copy_embeddings: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """Copy vectors are finite, of length one, differ between images, and few images lack one."""
    problems, found, wrong = _vector_clauses(copy_embeddings, EMBEDDING, bounds)
    norms = (found.smallest_norm, found.largest_norm)
    if found.rows > found.not_finite and not all(abs(norm - 1) <= UNIT_SLACK for norm in norms):
        problems.append(f"vectors have lengths of {norms[0]:.4g} to {norms[1]:.4g}, not 1")
    figures = vector_figures(found, bounds, wrong) | {"checks.max_without_vector": bounds.max_without_vector}
    advice = "Look at copy_embedder (weights, precision), and at the column reason of copy_embeddings."
    return CheckOutcome.of(problems, vectors_said(found), figures, advice)


def scores_sane(content_scores: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """Every score is a finite number, is there for some images, and is not the same for all of them; what `degradation`
    tells lies within 0 and 1."""
    from paris_assets.models.score_columns import score_columns

    rows, problems = content_scores.collect(), list[str]()
    figures: Figures = {}
    for name, columns in score_columns(profile.scores).items():
        settings = profile.scores[name]
        asked = rows if settings.text is None else rows.filter(pl.col(SCORED_TEXT).str.strip_chars() != "")
        for column in columns:
            values = asked[column].drop_nulls()
            figures |= {f"{column}_scored": len(values), f"{column}_distinct": values.n_unique()}
            problems += _score_problems(values, asked.height, settings.implementation == DEGRADATION_SCORER)
    good = f"{len(figures) // 2} scores of {rows.height} images"
    return CheckOutcome.of(problems, good, figures, "Look at scores: weights, precision, the encoder named in `on`.")


def _score_problems(values: pl.Series, asked: int, shares: bool) -> list[str]:
    """What is wrong with the known scores of a column, of so many images asked for."""
    column, problems = values.name, list[str]()
    infinite = int((~values.is_finite()).sum())
    if infinite:
        problems.append(f"{column} is no finite number for {infinite} of {len(values)} images")
    if asked and not len(values):
        problems.append(f"{column} is unknown for all {asked} images")
    if len(values) >= FEW and values.n_unique() == 1:
        problems.append(f"{column} is {values[0]:g} for all {len(values)} images")
    outside = int((~values.is_between(0, 1) & values.is_finite()).sum()) if shares else 0
    if outside:
        problems.append(f"{column} is not within 0 and 1 for {outside} of {len(values)} images")
    return problems


def heads_fit(shard: str, record: Record, records: Records) -> CheckOutcome:
    """Vectors that heads read are of the encoder that each head states, by what really ran."""
    from paris_assets.models.head_card import Encoder, encoder_problem

    heads = record.facts.get("heads", {})
    embedded = records.one("picture_embeddings", shard) if heads else None
    ran = embedded.facts.get("models", {}) if embedded else {}
    problems = []
    for column, head in heads.items():
        found = ran.get(f"picture_embeddings.{head['on']}")
        for identity in found if isinstance(found, list) else [found or {}]:
            problem = encoder_problem(Encoder.model_validate(head["encoder"]), identity)
            problems += [f"{column}: {problem}"] if problem else []
    good = f"{len(heads)} heads, each on the encoder that it states" if heads else "no heads"
    return CheckOutcome.of(problems, good, {"heads": len(heads)}, make_again("content_scores", shard))


signal_ids_check = shard_check("image_signals")(ids_joined)
signal_ranges_check = shard_check("image_signals")(values_in_range)
signal_shift_check = shard_check("image_signals")(like_earlier_shards)
score_shift_check = shard_check("content_scores")(like_earlier_shards)
vector_ids_check = shard_check("picture_embeddings")(vectors_joined)
vectors_check = shard_check("picture_embeddings")(vectors_sane)
copy_vector_ids_check = shard_check("copy_embeddings")(copy_vectors_joined)
copy_vectors_check = shard_check("copy_embeddings")(copy_vectors_sane)
scores_check = shard_check("content_scores")(scores_sane)
heads_check = shard_check("content_scores")(heads_fit)
