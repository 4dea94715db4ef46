"""Words of every script, and what a caption may hold."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.texts.words import tidy, valid, word_count


def _words(text: str) -> int:
    return pl.select(word_count(pl.lit(text))).item()


def _tidy(text: str) -> str:
    return pl.select(tidy(pl.lit(text))).item()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("猫", 1),
        ("红猫", 1),
        ("红色猫", 2),
        ("红色的猫", 2),
        ("木 木 木", 3),
        ("红、白、黑", 3),
        ("𠮷𠮷𠮷", 2),
        ("人々", 1),
        ("コーヒー", 1),
        ("ｶﾞｯｺｳ", 2),
        ("か\u3099き", 1),
        ("iPhone手机壳", 3),
        ("カメラNikonカメラ", 5),
        ("2019年", 1),
        ("แมว", 1),
        ("ก็ดี", 1),
        ("สวัสดี", 2),
        ("สวัส\u200bดี", 2),
        ("ກ ກ", 2),
        ("ឆ្មា", 1),
        ("မြန်မာ", 1),
        ("བཀྲ་ཤིས", 2),
        ("été", 1),
        ("e\u0301te\u0301 rouge", 2),
        ("고양이가 있다", 2),
        ("- 12 -", 0),
        ("、。・ＡＢＣ", 1),
        ("๑๒๓ ၁၂၃ ༡༢༣", 0),
    ],
)
def test_words(text: str, words: int) -> None:
    assert _words(text) == words


SHARES = [("猫", 2), ("ね", 2), ("ネ", 2), ("ก", 3), ("ກ", 3), ("ཀ", 3), ("က", 3), ("ក", 3)]


@given(letters=st.integers(1, 30), script=st.sampled_from(SHARES))
def test_so_many_letters_are_a_word_begun_ones_included(letters: int, script: tuple[str, int]) -> None:
    letter, share = script
    assert _words(letter * letters) == -(-letters // share)


@given(text=st.text(st.characters(max_codepoint=0x2FF), max_size=30))
def test_scripts_that_set_blanks_are_counted_by_them(text: str) -> None:
    runs = _tidy(text).split()
    assert _words(_tidy(text)) == sum(any(unicodedata.category(sign)[0] == "L" for sign in run) for run in runs)


@given(text=st.text(max_size=60))
def test_a_tidy_text_has_no_unseen_character(text: str) -> None:
    found = _tidy(text)
    assert not {sign for sign in found if unicodedata.category(sign) in ("Cc", "Zl", "Zp")}
    assert not {sign for sign in found if unicodedata.bidirectional(sign) in _STEERING}
    assert "\ufffd" not in found
    assert _tidy(found) == found == found.strip()
    assert "  " not in found


_STEERING = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


def test_what_is_seen_stays() -> None:
    for text in ("نص\u200cعربی", "👩\u200d🚀 in space", "สวัส\u200bดี", "Łódź, naïve — “quoted”", "cafe\u0301"):
        assert _tidy(text) == text


def test_control_characters_part_words_and_steering_ones_do_not() -> None:
    assert _tidy("a\x00b") == "a b"
    assert _tidy("a\u202eb\u202c") == "ab"
    assert _tidy("\ufeff\x00 \ufffd") == ""


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    assert valid("a\ud83db") == "a\ufffdb"
    assert valid("\ud83d\ude00") == "😀"
    assert valid("plain") == "plain"
