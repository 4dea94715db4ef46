"""The tables of this stage: rows made before under the same settings are kept."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.captions.choice import SOURCE_TEXT, caption, without_caption
from paris_assets.captions.text import encode
from paris_assets.dag.store import Store
from paris_assets.models.batches import BatchStats
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def captions(store: Store, shard: str, curated: pl.LazyFrame) -> Output:
    """Captions of the shard's curated images."""
    settings, stats = store.profile.captions, BatchStats()
    wanted = curated.select("image_id", "text", source_text="text").sort("image_id").collect()
    output = Output(rows_in=wanted.height)

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        ids = pl.Series("image_id", without_caption(missing, settings.min_words), pl.String)
        captioner = store.model(settings.captioner) if len(ids) else None
        yield from caption(missing, store.images(shard, ids), captioner, settings, stats=stats)
        if captioner is not None:
            output.facts["models"] = {"captions.captioner": captioner.identity()}
        output.note_halved(stats.halved)

    def counted() -> Iterator[pl.DataFrame]:
        sources: dict[str, int] = {}
        for chunk in reuse_rows(wanted, store.previous_rows("captions", shard), compute, ("image_id", "source_text")):
            for name, count in chunk["captioner"].value_counts().iter_rows():
                sources[name] = sources.get(name, 0) + count
            yield chunk
        output.rows_of_models = bool(sources.keys() - {SOURCE_TEXT})
        output.facts |= {f"captions by {name}": count for name, count in sorted(sources.items())}

    output.rows = counted()
    return output


def text_embeddings(store: Store, shard: str, captions: pl.LazyFrame) -> Output:
    """Text embeddings of the shard's captions."""
    settings, stats = store.profile.text, BatchStats()
    wanted = captions.select("image_id", "caption").sort("image_id").collect()
    output = Output(rows_in=wanted.height)

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        encoder = store.model(settings.encoder)
        yield from encode(missing, encoder, settings.tokens, stats)
        output.facts["models"] = {"text.encoder": encoder.identity()}
        output.note_halved(stats.halved)

    output.rows = reuse_rows(wanted, store.previous_rows("text_embeddings", shard), compute, ("image_id", "caption"))
    return output
