"""Captions of a shard, where what networks wrote before may be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from paris_assets.captions.choice import chosen, valid_and_not, without_repeated
from paris_assets.captions.kinds import SOURCE_TEXT, Count, Writer, kind_rows
from paris_assets.compute import Compute
from paris_assets.config import Captions, Endpoint, Model, Text
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats, run_batches
from paris_assets.models.chat_captioner import ChatCaptioner
from paris_assets.models.decoding import Images
from paris_assets.models.registry import Models
from paris_assets.settings.captions import columns_read
from paris_assets.storage.output import Output, Samples
from paris_assets.storage.reuse import reuse_rows


def captioned(
    curated: pl.LazyFrame, images: ShardImages, settings: Captions, models: Models, compute: Compute | None = None
) -> Output:
    """Rows of `captions` for the shard's `curated_images`, under a profile that names no kinds.

    Args:
        compute: who decodes; by default the threads of this process.
    """
    wanted = curated.select("image_id", "text", source_text="text").sort("image_id").collect()
    output = Output(rows_in=wanted.height, samples=Samples(first_captions, images.one))
    writers = Writers(output, models, settings, compute)

    def made(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        yield chosen(kind_rows(missing, images.read, settings, writers), missing, settings.train)

    def rows(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        yield from _told(output, reuse_rows(wanted, previous, made, ("image_id", "source_text")))

    output.rows = rows
    return output


def captions_of_kinds(
    curated: pl.LazyFrame, images: ShardImages, settings: Captions, text: Text, models: Models, compute: Compute
) -> Output:
    """Rows of `caption_kinds` for the shard's `curated_images`, with the texts that kinds are taken from
    (``kinds.with_texts``).

    Args:
        compute: who decodes.
    """
    wanted = curated.select("image_id", *sorted(columns_read(settings))).sort("image_id").collect()
    output = Output()
    writers = Writers(output, models, settings, compute)

    def rows(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        count: Count | None = models.load(text.encoder).count if settings.max_tokens else None
        before = None if previous is None else previous.collect()
        made = kind_rows(wanted, images.read, settings, writers, count, before)
        failed = made.drop_nulls("reason").group_by("kind", "reason").len().sort("kind", "reason")
        output.rejects = {f"{kind}: {reason}": number for kind, reason, number in failed.iter_rows()}
        output.rows_in, output.facts["kept"] = made.height, made["reason"].null_count()
        output.rows_of_models = (made["captioner"] != SOURCE_TEXT).any()
        yield made

    output.rows = rows
    return output


def training_captions(
    curated: pl.LazyFrame, kinds: pl.LazyFrame, repeated: pl.LazyFrame | None, images: ShardImages, settings: Captions
) -> Output:
    """Rows of `captions` from those of `caption_kinds`, but for those of `repeated_captions`."""
    wanted = curated.select("image_id", source_text="text").sort("image_id").collect()
    output = Output(rows_in=wanted.height, samples=Samples(first_captions, images.one))
    found = kinds.collect()
    found = found if repeated is None else without_repeated(found, repeated.collect())
    output.rows = _told(output, [chosen(found, wanted, settings.train)])
    return output


class Writers:
    """Who writes the captions of a kind, each made when the first image needs it, and noted in the output."""

    def __init__(self, output: Output, models: Models, settings: Captions, compute: Compute | None = None) -> None:
        self._output, self._models, self._settings = output, models, settings
        self._compute, self._stats = compute, BatchStats()

    def __call__(self, kind: str) -> Iterator[Writer]:
        """The writers of a kind, the first asked first."""
        for setting, origin in self._settings.writers_of(kind).items():
            yield self._asked(setting, origin.endpoint) if origin.endpoint else self._run(setting, origin.captioner)

    def _asked(self, setting: str, endpoint: Endpoint) -> Writer:
        asked = ChatCaptioner(endpoint)

        def write(images: Images) -> Iterator[tuple[str, str | None]]:
            yield from asked.write(images)
            self._ran(setting, asked.identity())  # once more: the server has said by which name it answers

        self._ran(setting, asked.identity())
        return Writer(asked.name, write)

    def _run(self, setting: str, model: Model | None) -> Writer:
        assert model is not None  # who writes is one of the two
        captioner = self._models.load(model)

        def write(images: Images) -> Iterator[tuple[str, str | None]]:
            for ids, texts in run_batches(images, captioner, self._compute, self._stats):
                yield from zip(ids, map(str, texts), strict=True)
            self._output.note_halved(self._stats.halved)

        self._ran(setting, captioner.identity())
        return Writer(captioner.name, write)

    def _ran(self, setting: str, identity: dict[str, str | None]) -> None:
        self._output.facts.setdefault("models", {})[setting] = identity


def _told(output: Output, chunks: Iterator[pl.DataFrame] | list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The chunks of `captions`; the output tells who wrote them, and of every kind how many are valid and why not."""
    writers, kinds = Counter[str](), dict[str, Counter[str]]()
    for chunk in chunks:
        writers.update(dict(chunk["captioner"].drop_nulls().value_counts().iter_rows()))
        for kind, counts in valid_and_not(chunk).items():
            kinds.setdefault(kind, Counter()).update(counts)
        yield chunk
    output.rows_of_models = bool(writers.keys() - {SOURCE_TEXT})
    output.facts |= {f"captions by {name}": count for name, count in sorted(writers.items())}
    output.facts["kinds"] = {kind: dict(sorted(counts.items())) for kind, counts in sorted(kinds.items())}


def first_captions(captions: pl.LazyFrame) -> pl.DataFrame:
    """``image_id`` and ``words`` of nine images: their captions, and who wrote them where it is not the source."""
    others = pl.when(pl.col("captioner") == SOURCE_TEXT).then(pl.lit("")).otherwise(pl.lit(" (") + "captioner" + ")")
    return captions.select("image_id", words=pl.col("caption") + others).head(9).collect()
