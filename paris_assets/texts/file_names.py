"""Texts that are names of files."""

from __future__ import annotations

import polars as pl

from paris_assets.texts.words import NOT_SPACED

_EXTENSION = r"(?i)\.(jpe?g|jfif|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|raw|cr2|nef|psd|pdf|mp4|mov)$"
_CAMERA = (
    r"(?i)^(img|image|dsc[a-z]?|dscn|dscf|pict?|picture|photo|foto|scan|screen[ _-]?shot|untitled|unnamed|pxl|gopr|mvi"
    r"|vid|wp|p|fb_img|whatsapp[ _-]image|微信(图片|截图)|(屏幕|螢幕)?(截图|截圖|截屏|快照)|图片|圖片|图像|照片|相片"
    r"|未命名|未标题|无标题|無標題|スクリーンショット|名称未設定|無題|画像|写真|スキャン|ภาพหน้าจอ|รูปภาพ|ไม่มีชื่อ)"
    r"([ _().,:@#+~-]|at|am|pm|copy|上午|下午|午前|午後|副本|のコピー|[年月日时時分秒]|\d)*$"
)
_RUN = rf"[^\s{NOT_SPACED}]*"
_IDENTIFIER = rf"(?i)^([0-9a-f-]{{16,}}|{_RUN}[_%]{_RUN}|{_RUN}[a-z]{_RUN}\d{{4,}}{_RUN})$"


def is_file_name(text: pl.Expr) -> pl.Expr:
    """Whether a text, ``tidy``, is the name of a file and no sentence.

    It ends in the extension of a picture or film ("sunset.jpg"); or is a camera's or program's prefix followed by
    nothing but numbers and separators ("IMG_1234", "dsc 00012", "Screenshot 2020-01-02 at 10.11.12"); or is one run
    without white space that looks made by a machine (at least 16 hexadecimal digits, an underscore or a percent sign,
    or letters with four digits in a row) and has no letter of a script that sets no blanks.
    """
    return pl.any_horizontal(*(text.str.contains(pattern) for pattern in (_EXTENSION, _CAMERA, _IDENTIFIER)))
