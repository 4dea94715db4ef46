"""Captions of every kind that a profile names, each judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.captions.schema import CAPTION_KINDS
from paris_assets.captions.validity import NO_ANSWER, TOO_LONG, reasons
from paris_assets.config import Captions
from paris_assets.models.decoding import Images
from paris_assets.settings.captions import SIGNALLED
from paris_assets.texts.words import tidy, valid

SOURCE_TEXT, TEXT_SIGNAL = "source_text", "text_signal"
Read = Callable[[pl.Series], Images]
Count = Callable[[Sequence[str]], np.ndarray]


class Writer(NamedTuple):
    """Who captions images: its name, and a function that gives for each image its text, or None without an answer."""

    name: str
    write: Callable[[Images], Iterator[tuple[str, str | None]]]


def kind_rows(
    wanted: pl.DataFrame,
    read: Read,
    settings: Captions,
    writers: Callable[[str], Iterable[Writer]],
    count: Count | None = None,
    before: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `caption_kinds`: a caption of each kind for every image, or for those without a valid one of the kinds
    that make it superfluous.

    Args:
        wanted: distinct image_ids, sorted, with the columns of the source that kinds are taken from.
        read: image_ids -> (image_id, file bytes), asked only for images that somebody has to look at.
        settings: the kinds, and the rules on captions.
        writers: kind -> who writes it, the first asked first; each is asked only for images to which those before gave
            no valid caption, and made only where there are any.
        count: texts -> (N,) tokens, special ones included; needed for ``settings.max_tokens``.
        before: rows made before under the same settings: what networks wrote for the same image is taken over.

    Raises:
        Undecodable: names the image.
        ValueError: an image got no row from its writer.
    """
    made: dict[str, pl.DataFrame] = {}
    for kind, origin in settings.all_kinds.items():
        done = [made[other].filter(pl.col("reason").is_null()).select("image_id") for other in origin.unless]
        images = wanted.join(pl.concat(done), on="image_id", how="anti", maintain_order="left") if done else wanted
        judged = partial(_judged, kind=kind, settings=settings, by_source=origin.column is not None, count=count)
        if origin.column:
            who = TEXT_SIGNAL if origin.column == SIGNALLED else SOURCE_TEXT
            rows = images.select("image_id", written=origin.column, captioner=pl.lit(who))
            made[kind] = judged(rows, pl.lit(True))
        else:
            kept = _kept(kind, images, before)
            missing = images.join(kept, on="image_id", how="anti", maintain_order="left")["image_id"]
            answered = partial(judged, answered=pl.col("written").is_not_null())
            parts = [answered(kept), *_by_chain(missing, read, writers(kind), answered)]
            made[kind] = pl.concat(parts).sort("image_id")
    return pl.concat(made.values()).sort("image_id", "kind")


def with_texts(curated: pl.LazyFrame, sources: pl.LazyFrame | None, signals: pl.LazyFrame | None) -> pl.LazyFrame:
    """`curated_images` with the texts that kinds may be taken from: those of `source_rows`, and of `image_signals` what
    was read in the picture; None where no kind is."""
    texts = ("short_text", "long_text", "tags", "ocr")
    if sources is not None:
        curated = curated.join(sources.select("source_row", *texts), on="source_row", how="left")
    if signals is not None:
        curated = curated.join(signals.select("image_id", SIGNALLED), on="image_id", how="left")
    return curated


def _kept(kind: str, images: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """What networks wrote before for these images; whoever had no answer is asked again."""
    rows = CAPTION_KINDS.frame() if before is None else before
    answered = rows.filter((pl.col("kind") == kind) & (pl.col("reason") != NO_ANSWER).fill_null(True))
    return answered.join(images, on="image_id", how="semi").select("image_id", "captioner", written="caption")


def _by_chain(
    image_ids: pl.Series, read: Read, writers: Iterable[Writer], judged: Callable[[pl.DataFrame], pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """Rows of `caption_kinds`: of each image the first valid caption, else what was written last."""
    chain = iter(writers)
    rows: pl.DataFrame | None = None
    while not image_ids.is_empty() and (who := next(chain, None)) is not None:
        if rows is not None:  # those that go on have another row to come
            yield rows.filter(pl.col("reason").is_null())
        rows = judged(_written(image_ids, read, who))
        image_ids = rows.filter(pl.col("reason").is_not_null())["image_id"]
    if rows is not None:
        yield rows


def _written(image_ids: pl.Series, read: Read, who: Writer) -> pl.DataFrame:
    texts = {name: None if text is None else valid(text) for name, text in who.write(read(image_ids))}
    if lacking := [name for name in image_ids if name not in texts]:
        raise ValueError(f"{who.name} has no caption for {len(lacking)} images, first {lacking[0]}")
    names = {"image_id": list(texts), "captioner": [who.name] * len(texts), "written": list(texts.values())}
    return pl.DataFrame(names, dict.fromkeys(names, pl.String))


def _judged(
    rows: pl.DataFrame, answered: pl.Expr, kind: str, settings: Captions, by_source: bool, count: Count | None
) -> pl.DataFrame:
    """Rows of `caption_kinds` from ``image_id``, ``captioner`` and what was ``written``."""
    plain = rows.with_columns(caption=tidy(pl.col("written")).fill_null(""), kind=pl.lit(kind))
    reason = pl.when(answered).then(reasons(pl.col("caption"), settings, kind, by_source)).otherwise(pl.lit(NO_ANSWER))
    table = plain.with_columns(reason=reason)
    if settings.max_tokens is not None and count is not None:
        texts = table.filter(pl.col("reason").is_null()).select("image_id", "caption")
        tokens = pl.Series(count(texts["caption"].to_list()) if texts.height else [], dtype=pl.Int64)
        long = texts.filter(tokens > settings.max_tokens)["image_id"]
        too_long = pl.col("image_id").is_in(long.implode())
        table = table.with_columns(reason=pl.when(too_long).then(pl.lit(TOO_LONG)).otherwise("reason"))
    return table.select(CAPTION_KINDS.select())
