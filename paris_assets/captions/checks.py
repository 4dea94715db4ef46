"""Judgement on captions and text embeddings."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.checks import CheckOutcome, Figures, make_again, shard_check
from paris_assets.dag.counts import counted
from paris_assets.dag.joins import same_images
from paris_assets.dag.moments import scale
from paris_assets.dag.vectors import vector_figures, vector_problems, vectors_said
from paris_assets.settings.checks import Checks


def ids_joined(shard: str, captions: pl.LazyFrame, curated_images: pl.LazyFrame) -> CheckOutcome:
    """Every curated image has exactly one caption."""
    return same_images("captions", shard, captions, curated_images)


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
    from paris_assets.captions.choice import SOURCE_TEXT

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
    """Text embeddings are one per caption, finite, differ between captions, and their token counts fit the padding."""
    joined = same_images("text_embeddings", shard, text_embeddings, captions)
    table, bounds = text_embeddings, profile.checks
    found, most = scale(table, "pooled"), profile.text.tokens
    bad = found.not_finite + scale(table, "embedding").not_finite
    tokens = table.select((~pl.col("tokens").is_between(1, most).fill_null(False)).sum()).collect().item() or 0
    differ = table.select(pl.col("caption").n_unique()).collect().item() > 1
    problems = [joined.said] if not joined.passed else []
    problems += vector_problems(found, bounds, differ, bad)
    if tokens:
        problems.append(f"{tokens} token counts are outside 1 to {most}")
    advice = make_again("text_embeddings", shard) if not joined.passed else "Look at text.encoder: weights, precision."
    return CheckOutcome.of(problems, vectors_said(found), vector_figures(found, bounds, bad), advice)


caption_ids_check = shard_check("captions")(ids_joined)
empty_captions_check = shard_check("captions")(captions_not_empty)
captions_differ_check = shard_check("captions")(captions_differ)
text_embeddings_check = shard_check("text_embeddings")(embeddings_sane)
