"""What stands for each concept: captions near its centroid, far from it and at random, and figures of all its rows.

Tables are read shard by shard. What is kept of a row is the hash of its caption and of its template, as often as they
are distinct within a concept; captions themselves only of the rows that are shown or sampled.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.pool.evidence_figures import compression, language_shares, top_words
from paris_assets.pool.schema import CONCEPT_EVIDENCE
from paris_assets.pool.tallies import First, HashCounts, Tally
from paris_assets.pool.text_hash import drawn, text_hash
from paris_assets.settings.judge import Evidence
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

SHOWN = ("nearest", "furthest", "random")
LISTS = (
    *(f"{name}{part}" for name in SHOWN for part in ("", "_counts", "_distances")),
    "languages",
    "language_shares",
    "top_words",
)
SCORES = ("similarity", "clip_l14", "clip_b32")
LONGEST = 400
"""Characters of a caption that are kept here; longer ones are told apart by all of them."""
SAMPLED = 200
FIXED_POINT = 1 << 24  # scores are added up as integers: the sum depends on no order
WITHOUT_VECTOR = "no_vector"


def gathered(
    source_rows: Shards, caption_figures: Shards, concept_assignments: Shards, settings: Evidence, seed: int
) -> Output:
    """Rows of `concept_evidence`, one for each concept that holds a row.

    Args:
        source_rows: `source_row`, `uid`, `url`, `text` and what there is of ``SCORES``.
        caption_figures: `source_row`, `words`, `file_name`, `template` and `language`.
        concept_assignments: `source_row`, `concept` (null without a vector) and `distance`.
        seed: of the random captions.
    """
    output = Output(facts={"shards": list(concept_assignments.keys)})

    def rows() -> Iterator[pl.DataFrame]:
        found, rows_in, without = Gathering(settings, seed), 0, 0
        for shard in concept_assignments.keys:
            table = joined(source_rows[shard], caption_figures[shard], concept_assignments[shard])
            rows_in += table.height
            placed = table.drop_nulls("concept")
            without += table.height - placed.height
            if placed.height:
                found.add(placed)
        output.rows_in, output.rejects = rows_in, {WITHOUT_VECTOR: without} if without else {}
        output.facts["kept"] = rows_in - without
        yield found.table()

    output.rows = rows()
    return output


def joined(sources: pl.LazyFrame, figures: pl.LazyFrame, places: pl.LazyFrame) -> pl.DataFrame:
    """Rows of one shard with all that evidence is made of; `caption` is the text on one line, null where it is blank.

    `tie` tells rows of equal distance apart whatever the order of files: the uid, else address and text.
    """
    known = sources.collect_schema().names()
    caption = pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars()
    bare = pl.concat_str(pl.col("url").fill_null(""), pl.lit("\n"), pl.col("text").fill_null(""))
    wanted = sources.select(
        "source_row",
        caption=pl.when(caption != "").then(caption),
        tie=pl.coalesce("uid", bare),
        **{name: pl.col(name) if name in known else pl.lit(None, pl.Float64) for name in SCORES},
    )
    measured = figures.select("source_row", "words", "file_name", "template", "language")
    placed = places.select("source_row", "concept", "distance").join(wanted, on="source_row")
    return placed.join(measured, on="source_row").collect()


class Gathering:
    """Evidence of all shards in the making."""

    def __init__(self, settings: Evidence, seed: int) -> None:
        count, seen = settings.captions, ["hash"]
        ties = (pl.col("tie"), pl.col("source_row"))
        self._seed, self._count, self._empty = seed, count, CONCEPT_EVIDENCE.frame()
        self._totals, self._languages = Tally(["concept"]), Tally(["concept", "language"])
        self._captions, self._templates = HashCounts(), HashCounts()
        self._shown = {
            "nearest": First(count, [pl.col("distance"), *ties], seen),
            "furthest": First(count, [-pl.col("distance"), *ties], seen),
            "sample": First(max(count, settings.sample), [pl.col("draw"), pl.col("distance"), *ties], seen),
        }

    def add(self, rows: pl.DataFrame) -> None:
        """Rows of a shard, as ``joined`` gives them, all with a concept."""
        self._totals.add(rows.select("concept", rows=pl.lit(1, pl.Int64), **_sums()))
        self._languages.add(rows.drop_nulls("language").select("concept", "language", count=pl.lit(1, pl.Int64)))
        said = rows.drop_nulls("caption")
        concepts, hashes = said["concept"].to_numpy(), text_hash(said["caption"])
        self._captions.add(concepts, hashes)
        self._templates.add(concepts, text_hash(said["template"].fill_null("")))
        said = said.select(
            "concept", "distance", "tie", "source_row", pl.col("caption").str.slice(0, LONGEST), hash=pl.Series(hashes),
            draw=pl.Series(drawn(hashes, self._seed)),
        )  # fmt: skip
        for first in self._shown.values():
            first.add(said)

    def table(self) -> pl.DataFrame:
        """Rows of `concept_evidence`, sorted by concept."""
        if not self._totals.added:
            return self._empty
        totals, templates = self._totals.total(), self._templates.by_concept()
        shown = {name: first.rows() for name, first in self._shown.items()}
        sample = shown["sample"].with_columns(pl.col("caption").str.slice(0, SAMPLED))
        shown["random"] = shown.pop("sample").filter(pl.int_range(pl.len()).over("concept") < self._count)
        parts = [
            self._captions.by_concept(),
            templates.select("concept", template_most="most"),
            language_shares(self._languages.total()),
            compression(sample),
            top_words(sample, self._captions.by_concept()),
            *(_listed(name, rows, self._captions) for name, rows in shown.items()),
        ]
        table = totals
        for part in parts:
            table = table.join(part, on="concept", how="left")
        return _figures(table).select(CONCEPT_EVIDENCE.select()).sort("concept")


def _sums() -> dict[str, pl.Expr]:
    """Integers of each row that are added up."""
    scores = {name: (pl.col(name) * FIXED_POINT).round().cast(pl.Int64).fill_null(0) for name in SCORES}
    known = {f"{name}_rows": pl.col(name).is_not_null().cast(pl.Int64) for name in SCORES}
    said = pl.col("caption").is_not_null()
    return {
        "captions": said.cast(pl.Int64),
        "words": pl.when(said).then(pl.col("words")).fill_null(0).cast(pl.Int64),
        "names": (pl.col("file_name") & said).fill_null(False).cast(pl.Int64),
        **scores,
        **known,
    }


def _listed(name: str, rows: pl.DataFrame, captions: HashCounts) -> pl.DataFrame:
    counts = captions.of(rows["concept"].to_numpy(), rows["hash"].to_numpy())
    columns = {name: "caption", f"{name}_counts": "count", f"{name}_distances": "distance"}
    return rows.with_columns(count=pl.Series(counts)).group_by("concept", maintain_order=True).agg(**columns)


def _figures(table: pl.DataFrame) -> pl.DataFrame:
    """Means and shares of sums; a figure of captions is null in a concept without any."""
    captions = pl.when(pl.col("captions") > 0).then(pl.col("captions"))
    means = {
        name: pl.col(name) / FIXED_POINT / pl.when(pl.col(f"{name}_rows") > 0).then(pl.col(f"{name}_rows"))
        for name in SCORES
    }
    return table.with_columns(
        pl.col("distinct").fill_null(0),
        pl.col(*LISTS).fill_null([]),
        top_share=pl.col("most") / captions,
        duplicates=1 - pl.col("distinct") / captions,
        template_share=pl.col("template_most") / captions,
        file_names=pl.col("names") / captions,
        mean_words=pl.col("words") / captions,
        **means,
    )
