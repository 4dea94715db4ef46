"""The source's text where it is a caption, else a captioner's."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.captions.words import NOT_SPACED, tidy, valid, word_count
from paris_assets.config import Captions
from paris_assets.models.batches import BatchStats, Images, run_batches
from paris_assets.models.protocols import Captioner

SOURCE_TEXT = "source_text"
_EXTENSION = r"(?i)\.(jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|raw|cr2|nef|psd|pdf|mp4|mov)$"
_CAMERA = (
    r"(?i)^(img|image|dsc[a-z]?|dscn|dscf|pict?|picture|photo|foto|scan|screen[ _-]?shot|untitled|unnamed|pxl|gopr|mvi"
    r"|vid|wp|p|fb_img|whatsapp[ _-]image|微信(图片|截图)|(屏幕|螢幕)?(截图|截圖|截屏|快照)|图片|圖片|图像|照片|相片"
    r"|未命名|未标题|无标题|無標題|スクリーンショット|名称未設定|無題|画像|写真|スキャン|ภาพหน้าจอ|รูปภาพ|ไม่มีชื่อ)"
    r"([ _().,:@#+~-]|at|am|pm|copy|上午|下午|午前|午後|副本|のコピー|[年月日时時分秒]|\d)*$"
)
_RUN = rf"[^\s{NOT_SPACED}]*"
_IDENTIFIER = rf"(?i)^([0-9a-f-]{{16,}}|{_RUN}[_%]{_RUN}|{_RUN}[a-z]{_RUN}\d{{4,}}{_RUN})$"


def is_caption(text: pl.Expr, min_words: int) -> pl.Expr:
    """Whether a source's text can be a caption.

    It is one when all of these hold of its ``tidy`` form:

    - it has at least ``min_words`` words (``word_count``: also of scripts that set no blanks);
    - it is no file name, which means that it neither ends in the extension of a picture or film ("sunset.jpg"), nor is
      a camera's or program's prefix followed by nothing but numbers and separators ("IMG_1234", "dsc 00012",
      "Screenshot 2020-01-02 at 10.11.12"), nor is one run without white space that looks made by a machine (at least
      16 hexadecimal digits, an underscore or a percent sign, or letters with four digits in a row) and has no letter
      of a script that sets no blanks.

    Returns:
        Boolean, never null: a missing text is no caption.
    """
    words = word_count(tidy(text))
    named = pl.any_horizontal(*(tidy(text).str.contains(rule) for rule in (_EXTENSION, _CAMERA, _IDENTIFIER)))
    return ((words >= min_words) & ~named).fill_null(False)


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
        image_id, caption (``tidy``; empty where a captioner has nothing to say: such an image goes into no
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
            made.update(zip(ids, (valid(str(text)) for text in captions), strict=True))
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
            caption=tidy(pl.coalesce("made", "source_text")),
            captioner=pl.when(pl.col("made").is_null()).then(pl.lit(SOURCE_TEXT)).otherwise(pl.lit(name)),
            source_text="source_text",
        )
        .cast(pl.String)
    )
