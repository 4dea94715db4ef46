from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.captions.captioning import captioned
from paris_assets.captions.choice import caption, is_caption, without_caption
from paris_assets.config import Captions
from paris_assets.images.decode import Undecodable
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.models.registry import Models
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.models.fakes import Namer
from paris_assets_tests.models.photos import photos

UNSEEN = "\ufeffa\x00red\u202e \x1b\x85barn\u2066\r\n\tat\ufffddusk\x9f"


def _is_caption(text: str | None, min_words: int = 3) -> bool:
    frame = pl.DataFrame({"text": [text]}, schema={"text": pl.String})
    return frame.select(is_caption(pl.col("text"), min_words)).item()


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
def test_the_verdict_is_never_null_and_blanks_around_change_nothing(text: str, least: int) -> None:
    assert _is_caption(text, least) is _is_caption(f" {text}\n", least)


def _rows() -> pl.DataFrame:
    texts = ["a  red\nbarn ", None, "IMG_0001.jpg", "the sea at night", ""]
    return pl.DataFrame({"image_id": [image_id for image_id, _ in photos()[:5]], "text": texts})


def test_each_row_says_where_its_caption_comes_from() -> None:
    captioner, rows = Namer(batch_size=2), _rows()
    table = pl.concat(caption(rows, photos()[:5], captioner, Captions(min_words=3)))
    assert table["image_id"].to_list() == rows["image_id"].to_list()
    assert table["captioner"].to_list() == ["source_text", "mean-colour", "mean-colour", "source_text", "mean-colour"]
    assert table["caption"][0] == "a red barn"
    assert table["caption"][3] == "the sea at night"
    assert table["source_text"].to_list() == rows["text"].to_list()
    assert table.filter(pl.col("captioner") == "mean-colour")["caption"].str.starts_with("a picture of ").all()
    assert len(captioner.sides) == 3, "only images without usable text are decoded"


def test_images_with_text_need_not_be_read() -> None:
    rows = _rows()
    needed = without_caption(rows, 3)
    few = [image for image in photos()[:5] if image[0] in needed]
    assert needed == [rows["image_id"][index] for index in (1, 2, 4)]
    whole, partly = (pl.concat(caption(rows, images, Namer(), Captions())) for images in (photos()[:5], few))
    assert whole.equals(partly)


def test_a_missing_or_undecodable_image_stops_and_is_named() -> None:
    rows = _rows()
    with pytest.raises(ValueError, match=f"no caption for 3 images, first {rows['image_id'][1]}"):
        list(caption(rows, [], Namer(), Captions()))
    with pytest.raises(Undecodable, match=rows["image_id"][1]):
        list(caption(rows, [(rows["image_id"][1], b"\xff\xd8\xff")], Namer(), Captions()))


def test_no_rows_give_the_columns() -> None:
    table = pl.concat(caption(_rows().clear(), [], Namer(), Captions()))
    assert table.schema == dict.fromkeys(("image_id", "caption", "captioner", "source_text"), pl.String)
    assert table.height == 0


def test_the_captioner_is_built_only_for_images_without_caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, models = made_up.flat_root(tmp_path), Models()
    made_up.publishable(store)
    store.replace("curated_images", text=pl.lit("a red barn at dusk"))
    monkeypatch.setattr(models, "load", lambda settings: pytest.fail("the captioner was built"))
    images = ImageTars(store.files).of(SHARD, pl.LazyFrame(schema=RAW_IMAGES.polars()))
    curated = store.scan("curated_images", [SHARD])
    record = store.commit("captions", SHARD, captioned(curated, images, store.profile.captions, models))
    assert store.read("captions", SHARD)["captioner"].to_list() == ["source_text"] * 24
    assert "models" not in record.facts


def test_no_unseen_character_reaches_a_caption_whoever_wrote_it() -> None:
    rows, captioner = _rows(), Namer()
    rows = rows.with_columns(text=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(UNSEEN)).otherwise("text"))
    captioner.run = lambda batch: np.array([UNSEEN + "\ud83d!"] * len(batch))  # type: ignore[method-assign]
    table = pl.concat(caption(rows, photos()[:5], captioner, Captions()))
    assert table["caption"][0] == "a red barn at dusk"
    assert set(table.filter(captioner=captioner.name)["caption"]) == {"a red barn at dusk !"}
    assert table["source_text"].to_list() == rows["text"].to_list()


def test_a_captioner_with_nothing_to_say_leaves_an_empty_caption() -> None:
    silent = Namer()
    silent.run = lambda batch: np.array([" "] * len(batch))  # type: ignore[method-assign]
    rows = pl.concat(caption(_rows(), photos()[:5], silent, Captions()))
    assert rows.filter(captioner=silent.name)["caption"].to_list() == ["", "", ""]
    assert "" not in rows.filter(captioner="source_text")["caption"].to_list()


def test_without_captioner_an_image_without_text_stops() -> None:
    with pytest.raises(ValueError, match="no captioner has no caption for 3 images"):
        list(caption(_rows(), photos()[:5], None, Captions()))
