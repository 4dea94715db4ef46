"""The tables of this stage."""

import polars as pl

from paris_assets.storage.schema import ArrayOf, Schema, every

_TEXT = every("source_rows", "text", "alt_texts")
CAPTION_FIGURES = Schema(
    {
        "source_row": (pl.Int64, "source row", "source_rows.source_row"),
        "words": (pl.Int32, "runs of characters between white space", *_TEXT),
        "characters": (pl.Int32, "characters", *_TEXT),
        "file_name": (pl.Boolean, "whether the caption looks like the name of a file", *_TEXT),
        "template": (pl.String, "hash of the caption in small letters with 0 for each number, 16 hex digits", *_TEXT),
        "language": (pl.String, "most probable language, ISO 639; null for a caption without a letter", *_TEXT),
        "language_confidence": (pl.Float32, "its probability", *_TEXT),
        "second_language": (pl.String, "what the second detector says; null without one, or without a letter", *_TEXT),
        "wordnet": (pl.Boolean, "whether it holds a noun whose synset is asked for; null without such a list", *_TEXT),
    }
)
_VECTORS = every("pool_vectors", "text", "image")
CONCEPT_MODEL = Schema(
    {
        "concept": (pl.Int32, "number of the concept, by falling size of those fitted on", *_VECTORS),
        "rows": (pl.Int64, "rows fitted on that it holds", *_VECTORS),
        "statistics": (pl.String, "figures of the fit and of the sweep over k as JSON, on the first row", *_VECTORS),
        "centroid": (ArrayOf(pl.Float32, ("dim",)), "mean of its rows, in the fitted space", *_VECTORS),
    }
)
CONCEPT_ASSIGNMENTS = Schema(
    {
        "source_row": (pl.Int64, "source row", "pool_vectors.source_row"),
        "concept": (pl.Int32, "nearest centroid; null for a row without a vector", *_VECTORS, "concept_model.centroid"),
        "distance": (pl.Float32, "Euclidean distance to it, in the fitted space", *_VECTORS, "concept_model.centroid"),
        "second_distance": (
            pl.Float32,
            "Euclidean distance to the nearest other",
            *_VECTORS,
            "concept_model.centroid",
        ),
    }
)
_PLACES = every("concept_assignments", "concept", "distance")
_SEEN = (*_PLACES, *_TEXT)
_TEXTS, _COUNTS, _DISTANCES = pl.List(pl.String), pl.List(pl.Int64), pl.List(pl.Float32)
CONCEPT_EVIDENCE = Schema(
    {
        "concept": (pl.Int32, "concept", "concept_assignments.concept"),
        "rows": (pl.Int64, "rows of the whole pool", *_PLACES),
        "captions": (pl.Int64, "of these, rows with a caption; shares and means below are of them", *_PLACES, *_TEXT),
        "distinct": (pl.Int64, "distinct captions, white space aside", *_PLACES, *_TEXT),
        "duplicates": (pl.Float64, "share of captions that are there already; null without captions", *_PLACES, *_TEXT),
        "nearest": (_TEXTS, "distinct captions nearest to the centroid over the whole pool, nearest first", *_SEEN),
        "nearest_counts": (_COUNTS, "rows of each", *_SEEN),
        "nearest_distances": (_DISTANCES, "distance of the nearest of them", *_SEEN),
        "furthest": (_TEXTS, "distinct captions furthest from it, furthest first", *_SEEN),
        "furthest_counts": (_COUNTS, "rows of each", *_SEEN),
        "furthest_distances": (_DISTANCES, "distance of the furthest of them", *_SEEN),
        "random": (_TEXTS, "distinct captions, drawn by a seed", *_SEEN),
        "random_counts": (_COUNTS, "rows of each", *_SEEN),
        "random_distances": (_DISTANCES, "distance of the nearest of them", *_SEEN),
        "top_share": (pl.Float64, "share of its most frequent caption", *_PLACES, *_TEXT),
        "file_names": (pl.Float64, "share of captions that look like file names", "caption_figures.file_name"),
        "template_share": (pl.Float64, "share of its most frequent template", "caption_figures.template"),
        "mean_words": (pl.Float64, "words of a caption", "caption_figures.words"),
        "compression": (
            pl.Float64,
            "bytes of some distinct captions by those that zlib makes of them",
            *_TEXT,
        ),
        "languages": (
            pl.List(pl.String),
            "languages of its captions, the most frequent first",
            "caption_figures.language",
        ),
        "language_shares": (pl.List(pl.Float64), "share of each among those known", "caption_figures.language"),
        "similarity": (pl.Float64, "mean image-text score of the source; null where it has none", *_PLACES),
        "clip_l14": (pl.Float64, "mean score by CLIP L/14; null where the source has none", *_PLACES),
        "clip_b32": (pl.Float64, "mean score by CLIP B/32; null where the source has none", *_PLACES),
        "top_words": (pl.List(pl.String), "words that are more frequent here than in the whole pool", *_TEXT),
    }
)
_EVIDENCE = every("concept_evidence", "nearest", "furthest", "random", "captions")
CONCEPT_VERDICTS = Schema(
    {
        "concept": (pl.Int32, "concept", "concept_evidence.concept"),
        "verdict": (pl.String, "keep or drop, as policies and bounds settle it", *_EVIDENCE),
        "judged": (pl.String, "keep, drop, mixed or undecided, as the votes say", *_EVIDENCE),
        "why": (pl.String, "what drops it: drop, mixed, undecided, unsafe or scores; null where kept", *_EVIDENCE),
        "reason": (pl.String, "why, in a sentence", *_EVIDENCE),
        "votes": (pl.Int32, "answers that count", *_EVIDENCE),
        "failed": (pl.Int32, "votes without an answer that counts", *_EVIDENCE),
        "agreement": (pl.Float64, "share of the answers that gave the commonest verdict; null without", *_EVIDENCE),
        "informative": (pl.Float64, "mean score 0 to 4; null where the judge gives none", *_EVIDENCE),
        "variety": (pl.Float64, "mean score 0 to 4", *_EVIDENCE),
        "repetition": (pl.Float64, "mean score 0 to 4", *_EVIDENCE),
        "english": (pl.Float64, "mean share of English captions that the judge sees", *_EVIDENCE),
        "topics": (pl.List(pl.String), "topics that the judge names", *_EVIDENCE),
        "unsafe": (pl.Boolean, "whether most answers call it unsafe", *_EVIDENCE),
    }
)
_CHOSEN = (
    *every("source_rows", "uid", "url", "text", "clip_b32", "clip_l14"),
    *every("caption_figures", "language", "words", "characters", "wordnet"),
    *_VECTORS,
    *_PLACES,
    "concept_model.centroid",
    "concept_verdicts.verdict",
)
POOL_SCORES = Schema(
    {
        "shard": (pl.String, "image shard"),
        "source_row": (pl.Int64, "source row", "source_rows.source_row"),
        "uid": (pl.String, "the source's id, 32 hex digits; where it has none that of url and text", *_CHOSEN),
        "selected": (pl.Boolean, "whether the selection of the profile holds it", *_CHOSEN),
        "reason": (pl.String, "the step that dropped it; null where selected", *_CHOSEN),
        "value": (pl.Float64, "what that step saw; null where it sees no number", *_CHOSEN),
        "rank": (pl.Int64, "place by the last step that ranks, 0 the best; null without one", *_CHOSEN),
    },
    others="a Boolean column for each subset and each random control of the selection's size: whether it holds the row",
)
POOL_SELECTION = Schema(
    {
        name: (column.kind, column.description, f"pool_scores.{name}")
        for name, column in POOL_SCORES.items()
        if name != "shard"
    }
)
SUBSET_FILES = Schema(
    {
        "subset": (pl.String, "name of the subset"),
        "path": (pl.String, "its list of uids, relative to the root"),
        "rows": (pl.Int64, "rows that it holds", "pool_scores.uid"),
        "found": (pl.Int64, "of these, rows whose image was fetched; null where the selection alone is fetched"),
        "sha256": (pl.String, "hash of the list", "pool_scores.uid"),
        "size_bytes": (pl.Int64, "bytes of the list", "pool_scores.uid"),
    }
)
_MEASURED = (*_VECTORS, *every("pool_scores", "uid", "selected", "rank"), "source_rows.text")
SELECTION_PROBE = Schema(
    {
        "subset": (
            pl.String,
            "what was trained on: `all rows`, `selection`, a subset, `ranked` (the best by the last step that ranks), "
            "or a random control, `random-0`, ...",
        ),
        "control_of": (pl.String, "subset whose size a random control has; null for others"),
        "fraction": (pl.Float64, "share of the ranked rows, in the pruning curve; null elsewhere"),
        "seed": (pl.Int32, "number of the run, in which all are measured on the same held-out pairs"),
        "rows": (pl.Int64, "rows trained on", "pool_scores.uid"),
        "metric": (pl.String, "what was measured on held-out pairs"),
        "value": (pl.Float64, "recall_at_1: share of texts and images whose own is the nearest of all", *_MEASURED),
    }
)
_PROBED = every("selection_probe", "value")
POOL_REPORT = Schema(
    {
        "subset": (pl.String, "`all rows`, `selection`, a subset, or a random control"),
        "rows": (pl.Int64, "rows of the pool that it holds", "pool_scores.selected"),
        "share": (pl.Float64, "of the pool's rows", "pool_scores.selected"),
        "found": (pl.Float64, "share of them whose image was fetched; null where unknown", "subset_files.found"),
        "similarity": (pl.Float64, "mean score of the source; null where it has none", "source_rows.similarity"),
        "value": (pl.Float64, "recall at 1 of the probe, the mean of its runs; null without", *_PROBED),
        "difference": (pl.Float64, "from random rows of its size, paired by seed; null without", *_PROBED),
        "low": (pl.Float64, "lower end of its interval", *_PROBED),
        "high": (pl.Float64, "upper end of its interval", *_PROBED),
    }
)
