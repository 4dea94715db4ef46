from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.captions.validity import reasons
from paris_assets.config import Captions
from paris_assets.texts.words import tidy


def reason(text: str | None, kind: str = "source", by_source: bool = True, **settings: Any) -> str | None:
    frame = pl.DataFrame({"text": [text]}, schema={"text": pl.String})
    plain = frame.select(tidy(pl.col("text")).fill_null(""))
    return plain.select(reasons(pl.col("text"), Captions(**settings), kind, by_source)).item()


def _is_caption(text: str | None, min_words: int = 3) -> bool:
    return reason(text, min_words=min_words) is None


@pytest.mark.parametrize(
    "text",
    [
        "一只橘色的猫坐在红色沙发上",
        "红色的猫咪",
        "ソファに座っている猫",
        "かわいいねこ",
        "แมวสีส้มนั่งอยู่บนโซฟาสีแดง",
        "ແມວສີສົ້ມນັ່ງຢູ່ເທິງໂຊຟາ",
        "ឆ្មាពណ៌ទឹកក្រូចអង្គុយលើសាឡុង",
        "လိမ္မော်ရောင်ကြောင်တစ်ကောင်",
        "ཞི་མི་དམར་པོ་ཞིག",
        "고양이가 소파에 앉아 있다",
        "iPhone手机壳",
        "2019年款iPhone12345手机壳",
        "全场降价50%的红色沙发",
        "a red barn",
        "  a \t red\nbarn  ",
        "Дом у реки",
        "Brandenburg Gate (summer 2005)",
        "Mont Saint-Michel IMG 5109",
        "image of a barn",
        "photo taken at dusk",
        "20 cats and dogs",
    ],
)
def test_captions(text: str) -> None:
    assert _is_caption(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "   ",
        "two words",
        "红色的猫",
        "猫",
        "แมว",
        "カメラ",
        "、。・「」！？…",
        "１２３４ ５６ ７８",
        "\x00\x01\x02",
        "日落时的红色谷仓.jpg",
        "Windmill 12 34 56",
        "12 34 56",
        "--- *** !!!",
        "a red barn.jpg",
        "sunset over the sea.PNG",
        "three word name.webp",
    ],
)
def test_texts_that_are_no_captions_of_three_words(text: str | None) -> None:
    assert not _is_caption(text)


@pytest.mark.parametrize(
    "text",
    [
        "IMG_1234.jpg",
        "IMG_1234",
        "img 1234 (2)",
        "dsc 00012",
        "DSCN0042",
        "Screenshot 2020-01-02 at 10.11.12",
        "photo 3",
        "untitled",
        "PXL_20210102_112233",
        "d41d8cd98f00b204e9800998ecf8427e",
        "red_barn_at_dusk",
        "holiday%20snap",
        "P1050123",
        "Tower20050823",
        "image.jpeg",
        "微信图片_20200101123456",
        "屏幕截图 2020-01-02 101112",
        "截屏2021-03-04 下午3.12.45",
        "スクリーンショット 2020-01-02 10.11.12",
        "写真 3",
    ],
)
def test_file_names_are_no_captions_even_of_one_word(text: str) -> None:
    assert not _is_caption(text, min_words=1)


@pytest.mark.parametrize("text", ["barn", "Parthenon", "photograph", "imagine", "dscribe this", "照片墙", "無題の絵"])
def test_words_that_only_look_like_camera_names_are_captions(text: str) -> None:
    assert _is_caption(text, min_words=1)


@given(words=st.lists(st.sampled_from(["barn", "été", "木", "b2"]), max_size=6), least=st.integers(1, 6))
def test_at_least_that_many_words(words: list[str], least: int) -> None:
    assert _is_caption("  ".join(words), least) == (len(words) >= least)


@given(text=st.text(max_size=40), least=st.integers(1, 4))
def test_blanks_around_change_nothing(text: str, least: int) -> None:
    assert reason(text, min_words=least) == reason(f" {text}\n", min_words=least)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "empty"),
        (" \u200f\ufffd ", "empty"),
        ("https://shop.example/p/1", "url"),
        ("Buy a red barn at www.shop.example today", "url"),
        ("12 34 56 78", "no_letters"),
        ("--- *** !!! ???", "no_letters"),
        ("a red barn.jpg", "file_name"),
        ("two words", "few_words"),
        ("Sorry, I cannot describe this picture of a barn", "refusal"),
        ("I\u2019m sorry, but I can\u2019t help with that request", "refusal"),
        ("I am unable to view the image you sent", "refusal"),
        ("As an AI language model I do not see pictures", "refusal"),
        ("I apologize, but I am not able to do this", "refusal"),
        ("Unfortunately, I cannot identify the person shown here", "refusal"),
        ("Please provide the image that you want described", "refusal"),
        ("抱歉，我无法描述这张图片中的内容", "refusal"),
    ],
)
def test_each_rule_gives_its_reason(text: str | None, expected: str) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I can't help falling in love with you",
        "A sorry sight: the barn after the storm",
        "As an airport shuttle passes the barn",
        "Portrait of www, a painter of barns",
        "Amazon.com: blue garden chair",
        "there is no place like home",
    ],
)
def test_captions_that_resemble_what_is_refused(text: str) -> None:
    assert reason(text) is None


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("tags", "barn", None),
        ("tags", "12, 13", "no_letters"),
        ("ocr", "50 % 2024 www.shop.example", None),
        ("ocr", "", "empty"),
        ("ocr", "I'm sorry, I cannot read this", "refusal"),
        ("short", "barn", None),
        ("long", "IMG_1234", None),
    ],
)
def test_rules_by_kind_where_somebody_else_wrote_it(kind: str, text: str, expected: str | None) -> None:
    assert reason(text, kind, by_source=False) == expected


def test_sentences_of_the_source_need_words_whatever_their_kind() -> None:
    assert reason("barn", "long") == reason("barn", "short") == "few_words"
    assert reason("barn", "tags") is None


def test_the_longest_caption_and_further_refusals_are_settings() -> None:
    assert reason("a red barn at dusk", max_chars=17) == "too_long"
    assert reason("a red barn at dusk", max_chars=18) is None
    assert reason("Lo siento, no puedo ver la imagen") is None
    assert reason("Lo siento, no puedo ver la imagen", refusals=["^lo siento"]) == "refusal"
