"""The source's text where it is a caption, else a captioner's."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.config import Captions
from paris_assets.models.batches import BatchStats, Images, run_batches
from paris_assets.models.protocols import Captioner

SOURCE_TEXT = "source_text"
_EXTENSION = r"(?i)\.(jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|raw|cr2|nef|psd|pdf|mp4|mov)$"
_CAMERA = (
    r"(?i)^(img|image|dsc[a-z]?|dscn|dscf|pict?|picture|photo|foto|scan|screen[ _-]?shot|untitled|unnamed|pxl|gopr|mvi"
    r"|vid|wp|p|fb_img|whatsapp[ _-]image)([ _().,:@#+~-]|at|am|pm|copy|\d)*$"
)
_IDENTIFIER = r"(?i)^([0-9a-f-]{16,}|\S*[_%]\S*|\S*[a-z]\S*\d{4,}\S*)$"


def is_caption(text: pl.Expr, min_words: int) -> pl.Expr:
    """Whether a source's text can be a caption.

    It is one when all of these hold, after joining white space and cutting it at both ends:

    - it has at least ``min_words`` words; a word is a run without white space that holds a letter of any script, so
      numbers and punctuation alone count for nothing;
    - it is no file name, which means that it neither ends in the extension of a picture or film ("sunset.jpg"), nor is
      a camera's or program's prefix followed by nothing but numbers and separators ("IMG_1234", "dsc 00012",
      "Screenshot 2020-01-02 at 10.11.12"), nor is one run without white space that looks made by a machine (at least
      16 hexadecimal digits, an underscore or a percent sign, or letters with four digits in a row).

    Returns:
        Boolean, never null: a missing text is no caption.
    """
    words = tidy(text).str.count_matches(r"\S*\p{L}\S*")
    named = pl.any_horizontal(*(tidy(text).str.contains(rule) for rule in (_EXTENSION, _CAMERA, _IDENTIFIER)))
    return ((words >= min_words) & ~named).fill_null(False)


def tidy(text: pl.Expr) -> pl.Expr:
    """Text with every run of white space as one blank, none at the ends."""
    return text.str.replace_all(r"\s+", " ").str.strip_chars(" ")


def without_caption(rows: pl.DataFrame, min_words: int) -> list[str]:
    """image_ids of the rows (image_id, text) whose text is no caption, in their order: only these are decoded."""
    return rows.filter(~is_caption(pl.col("text"), min_words))["image_id"].to_list()


def caption(
    rows: pl.DataFrame,
    images: Images,
    captioner: Captioner | None,
    settings: Captions,
    threads: int = 0,
    stats: BatchStats | None = None,
) -> Iterator[pl.DataFrame]:
    """A caption for every row.

    Args:
        rows: image_id and text, sorted by image_id.
        images: (image_id, file bytes), sorted; at least those of ``without_caption``. Others are skipped undecoded.
        captioner: captions the images whose text is no caption; may be None where there are none.
        settings: ``min_words``.
        threads: decode threads; 0: one per core.
        stats: counts and out-of-memory halvings are added here.

    Yields:
        image_id, caption (white space tidied; empty where a captioner has nothing to say: such an image goes into no
        sample), captioner (``source_text`` or the captioner's name), source_text (as it
        was); one frame.

    Raises:
        Undecodable: names the image.
        ValueError: an image without caption has no captioner, or is not among ``images``.
    """
    wanted = set(without_caption(rows, settings.min_words))
    made: dict[str, str] = {}
    if captioner is not None:
        for ids, captions in run_batches((image for image in images if image[0] in wanted), captioner, threads, stats):
            made.update(zip(ids, (str(text).strip() for text in captions), strict=True))
    name = captioner.name if captioner else "no captioner"
    lacking = sorted(wanted - made.keys())
    if lacking:
        raise ValueError(f"{name} has no caption for {len(lacking)} images, first {lacking[0]}")
    schema = {"image_id": pl.String, "made": pl.String}
    generated = pl.DataFrame({"image_id": list(made), "made": list(made.values())}, schema)
    yield (
        rows.select("image_id", source_text="text")
        .join(generated, on="image_id", how="left", maintain_order="left")
        .select(
            "image_id",
            caption=pl.coalesce("made", tidy(pl.col("source_text"))),
            captioner=pl.when(pl.col("made").is_null()).then(pl.lit(SOURCE_TEXT)).otherwise(pl.lit(name)),
            source_text="source_text",
        )
        .cast(pl.String)
    )
