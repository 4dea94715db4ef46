"""Judgement on captions and text embeddings."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, all_check, make_again, shard_check
from paris_assets.dag.counts import counted
from paris_assets.dag.joins import same_images
from paris_assets.dag.moments import Scale, scale, scale_of
from paris_assets.dag.vectors import vector_figures, vector_problems, vectors_said
from paris_assets.settings.checks import Checks
from paris_assets.storage.shards import Shards
from paris_assets.texts.lengths import length_facts, lengths_of


def ids_joined(shard: str, captions: pl.LazyFrame, curated_images: pl.LazyFrame) -> CheckOutcome:
    """Every curated image has exactly one caption."""
    return same_images("captions", shard, captions, curated_images)


def kinds_present(
    shard: str, caption_kinds: pl.LazyFrame, curated_images: pl.LazyFrame, profile: Profile
) -> CheckOutcome:
    """Every curated image has one caption of each kind, unless a valid one of another kind makes it superfluous."""
    rows = caption_kinds.select("image_id", "kind", "reason").collect()
    curated, kinds = curated_images.select("image_id").collect(), profile.captions.all_kinds
    problems = []
    for kind, origin in kinds.items():
        valid = rows.filter(pl.col("kind").is_in(origin.unless) & pl.col("reason").is_null())
        wanted = curated.join(valid, on="image_id", how="anti").sort("image_id")
        found = rows.filter(pl.col("kind") == kind).sort("image_id")
        if not found["image_id"].equals(wanted["image_id"]):
            problems.append(f"{found.height} {kind} captions, not one for each of {wanted.height} images")
    if unknown := sorted(set(rows["kind"]) - kinds.keys()):
        problems.append(f"there are captions of the kinds {', '.join(unknown)}, which the profile does not have")
    figures: Figures = {kind: rows.filter(pl.col("kind") == kind).height for kind in kinds}
    good = f"{rows.height} captions of {len(kinds)} kinds for {curated.height} images"
    return CheckOutcome.of(problems, good, figures, make_again("caption_kinds", shard))


def captions_valid(caption_kinds: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """No kind of captions is invalid for too many images of a shard."""
    from paris_assets.captions.validity import EMPTY, SENTENCES

    nothing_seen = ~pl.col("kind").is_in(SENTENCES) & (pl.col("reason") == EMPTY).fill_null(False)
    rows = caption_kinds.filter(~nothing_seen).select("kind", "captioner", "reason").collect()
    most, figures, problems = bounds.max_invalid_captions, dict[str, float | int | str](), []
    for (kind,), of_kind in rows.group_by("kind", maintain_order=True):
        invalid = of_kind.drop_nulls("reason")
        share = figures[f"{kind}"] = invalid.height / of_kind.height
        if share > most:
            reasons = counted(invalid["reason"])
            problems.append(
                f"{invalid.height} of {of_kind.height} {kind} captions are invalid ({share:.1%}), at most {most:.0%} "
                f"expected: {reasons}; by {counted(invalid['captioner'])}"
            )
    figures["checks.max_invalid_captions"] = most
    good = f"{rows['reason'].null_count()} of {rows.height} captions are valid"
    advice = (
        "Look at `caption` and `reason` in caption_kinds: another captioner or prompt, or other bounds in captions."
    )
    return CheckOutcome.of(problems, good, figures, advice)


def captions_repeat(repeated_captions: pl.LazyFrame, caption_kinds: Shards, bounds: Checks) -> CheckOutcome:
    """Of no kind of captions too many repeat in the whole set, and each repeats more often than the profile allows."""
    counts = caption_kinds.frame().group_by("kind").len("all").collect()
    repeats = repeated_captions.group_by("kind").agg(pl.len().alias("again"), pl.col("template").mode().min()).collect()
    most, figures, problems = bounds.max_repeated_captions, dict[str, float | int | str](), []
    for kind, again, example, total in repeats.join(counts, on="kind").sort("kind").iter_rows():
        share = figures[kind] = again / total
        if share > most:
            shown = " ".join(example[:80].replace("`", " ").split())
            said = f"{again} of {total} {kind} captions repeat ({share:.1%}), at most {most:.0%} expected"
            problems.append(f"{said}, such as `{shown}`")
    figures["checks.max_repeated_captions"] = most
    good = f"{int(repeats['again'].sum())} of {int(counts['all'].sum())} captions repeat"
    advice = "Change the captioner or its prompt, or raise captions.max_repeats."
    return CheckOutcome.of(problems, good, figures, advice)


def choice_follows(shard: str, captions: pl.LazyFrame, profile: Profile) -> CheckOutcome:
    """The caption of an image is its first valid one in the profile's order of kinds."""
    rows = captions.select("image_id", "kind", "caption", "kinds", "captions").collect()
    order = {kind: place for place, kind in enumerate(profile.captions.train)}
    place = pl.col("kind").replace_strict(order, default=None, return_dtype=pl.Int64)
    held = rows.select("image_id", kind="kinds", caption="captions").explode("kind", "caption")
    valid = held.drop_nulls("kind").with_columns(place=place)
    first = valid.drop_nulls("place").sort("image_id", "place").unique("image_id", keep="first")
    wanted = (
        rows.select("image_id").join(first, on="image_id", how="left").with_columns(pl.col("caption").fill_null(""))
    )
    same = rows.join(wanted, on=["image_id", "kind", "caption"], how="semi", nulls_equal=True).height
    problems = [f"{rows.height - same} of {rows.height} captions are not the first valid one of their image"]
    figures: Figures = {f"of kind {kind}": rows.filter(pl.col("kind") == kind).height for kind in order}
    good = f"{rows.height} captions, each the first valid one of {', '.join(order)}"
    return CheckOutcome.of(problems if same < rows.height else [], good, figures, make_again("captions", shard))


def captions_not_empty(captions: pl.LazyFrame) -> CheckOutcome:
    """No caption is empty."""
    words = pl.col("caption").fill_null("").str.strip_chars()
    rows = captions.select("captioner", caption=words).collect()
    empty = rows.filter(pl.col("caption") == "")
    problems = [f"{empty.height} of {rows.height} captions are empty, by {counted(empty['captioner'])}"]
    advice = "Those images are not published. Change captions.captioner."
    good = f"{rows.height} captions, none of them empty"
    return CheckOutcome.of(problems if empty.height else [], good, {"empty": empty.height}, advice)


def captions_differ(captions: pl.LazyFrame, bounds: Checks) -> CheckOutcome:
    """No single caption makes up too much of a shard."""
    from paris_assets.captions.kinds import SOURCE_TEXT

    rows = captions.select(pl.col("caption").fill_null(""), "captioner").collect()
    most = bounds.max_top_caption
    if rows.height < 2:
        return CheckOutcome(True, f"{rows.height} captions", {"top_share": 0.0, "checks.max_top_caption": most})
    text, count = rows["caption"].value_counts(sort=True).sort("count", "caption", descending=[True, False]).row(0)
    share, writers = count / rows.height, rows.filter(pl.col("caption") == text)["captioner"]
    figures: Figures = {"top_share": share, "checks.max_top_caption": most}
    good = f"{rows['caption'].n_unique()} different captions of {rows.height}"
    problem = f"{count} of {rows.height} captions are the same ({share:.1%}), at most {most:.0%} expected: "
    # Shown as Markdown, and written by strangers: within code nothing is a link or a picture.
    problem += f"`{' '.join(text[:80].replace('`', ' ').split())}`, by {counted(writers)}"
    from_list = (writers == SOURCE_TEXT).sum() > count / 2
    advice = "Mend the list's texts, or raise captions.min_words." if from_list else "Change captions.captioner."
    return CheckOutcome.of([problem] if share > most else [], good, figures, advice)


def embeddings_sane(
    shard: str, captions: pl.LazyFrame, text_embeddings: pl.LazyFrame, profile: Profile
) -> CheckOutcome:
    """Text embeddings are one per caption, finite, differ between captions, and hold as many tokens as they say.

    The figures say what share of captions is cut, and would be at the lengths that text encoders are used with.
    """
    joined = same_images("text_embeddings", shard, text_embeddings, captions)
    table, bounds, most = text_embeddings, profile.checks, profile.text.tokens
    counts = table.select("tokens", "truncated", "caption").collect()
    problems, figures = [joined.said] if not joined.passed else [], _cut(counts)
    tokens = int((~counts["tokens"].is_between(1, most).fill_null(False)).sum())
    if tokens:
        said = f"{tokens} token counts are outside 1 to {most}"
        return CheckOutcome.of([*problems, said], "", figures, make_again("text_embeddings", shard))
    found, bad, short = _judged_states(table)
    problems += [f"{short} embeddings are not of as many tokens as they say"] if short else []
    problems += vector_problems(found, bounds, counts["caption"].n_unique() > 1 and not short, bad)
    remade = short or not joined.passed
    advice = make_again("text_embeddings", shard) if remade else "Look at text.encoder: weights, precision."
    return CheckOutcome.of(problems, vectors_said(found), {**vector_figures(found, bounds, bad), **figures}, advice)


def _judged_states(table: pl.LazyFrame) -> tuple[Scale, int, int]:
    """Scale of the one vector per caption, stored or the mean of its true tokens; rows that are not finite, and rows
    whose bytes are not as many tokens as they say: nothing is read of a table with any."""
    from paris_assets.captions.stored import finite_rows, mean_states, torn

    if short := torn(table):
        return scale_of(()), 0, short
    if "pooled" not in table.collect_schema():
        found = scale_of(mean_states(table))
        return found, found.not_finite, 0
    found = scale(table, "pooled")
    if table.collect_schema()["embedding"] == pl.Binary:
        return found, found.not_finite + sum(int((~finite).sum()) for finite in finite_rows(table)), 0
    return found, found.not_finite + scale(table, "embedding").not_finite, 0


def _cut(counts: pl.DataFrame) -> Figures:
    """Shares of captions that are cut, and that have more tokens than text encoders are used with."""
    found = lengths_of([length_facts(counts["tokens"], counts["truncated"])])
    if not found:
        return {}
    shares: Figures = {f"longer_than_{cut}": share for cut, share in found["share_longer_than"].items()}
    return {"truncated": found["captions_truncated"], **shares}


caption_ids_check = shard_check("captions")(ids_joined)
kinds_check = shard_check("caption_kinds")(kinds_present)
valid_check = shard_check("caption_kinds")(captions_valid)
repeated_check = all_check("repeated_captions")(captions_repeat)
choice_check = shard_check("captions")(choice_follows)
empty_captions_check = shard_check("captions")(captions_not_empty)
captions_differ_check = shard_check("captions")(captions_differ)
text_embeddings_check = shard_check("text_embeddings")(embeddings_sane)
