from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from paris_assets.captions import text
from paris_assets.captions.text import encode
from paris_assets.config import Text
from paris_assets.models.prompt import empty_prompt
from paris_assets.models.protocols import TextEmbeddings
from paris_assets.models.texts import PaddingSeen
from paris_assets.vectors.true_tokens import unpacked
from paris_assets_tests.models.fakes import Letters, TrueLetters

SIX = Text(tokens=6)
ROWS = pl.DataFrame({"image_id": ["a", "b", "c", "d", "e"], "caption": ["barn", "sea", "a", "windmills", "no"]})


def test_the_table_has_the_contracts_columns() -> None:
    table = pl.concat(encode(ROWS, Letters(), SIX))
    assert table.schema == {
        "image_id": pl.String,
        "caption": pl.String,
        "embedding": pl.Array(pl.Float16, (6, 2)),
        "pooled": pl.Array(pl.Float16, 1),
        "tokens": pl.Int32,
        "truncated": pl.Int32,
    }
    assert table["tokens"].to_list() == [4, 3, 1, 6, 2]
    assert table["embedding"].to_numpy()[1, :, 0].tolist() == [*map(ord, "sea"), 0, 0, 0]
    assert pl.concat(encode(ROWS.clear(), Letters(), SIX)).schema == table.schema


def test_batch_size_changes_nothing_and_every_batch_is_full() -> None:
    tables = []
    for size in (1, 2, 5, 16):
        encoder = Letters(size)
        tables.append(pl.concat(encode(ROWS, encoder, SIX)))
        assert set(encoder.sizes) == {size}
    assert all(table.equals(tables[0]) for table in tables)


def test_an_empty_caption_is_encoded_as_the_empty_prompt() -> None:
    rows = ROWS.with_columns(caption=pl.when(image_id="c").then(pl.lit("")).otherwise("caption"))
    table = pl.concat(encode(rows, Letters(), SIX))
    assert np.array_equal(table.filter(image_id="c")["embedding"].to_numpy()[0], empty_prompt(Letters(), SIX))
    assert table.filter(pl.col("image_id") != "c").equals(
        pl.concat(encode(ROWS, Letters(), SIX)).filter(pl.col("image_id") != "c")
    )


def test_values_beyond_float16_are_an_error_with_their_image() -> None:
    class Loud(Letters):
        def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
            result = super().encode(texts, tokens)
            return result._replace(embedding=result.embedding * (1e6 if "windmills" in texts else 1))

    with pytest.raises(ValueError, match="not finite in float16, first d"):
        list(encode(ROWS, Loud(1), SIX))


def test_the_empty_prompt_is_the_embedding_of_the_empty_text() -> None:
    class Offset(Letters):
        def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
            result = super().encode(texts, tokens)
            return result._replace(embedding=result.embedding + 7)

    prompt = empty_prompt(Offset(), SIX)
    assert (prompt.shape, prompt.dtype) == ((6, 2), np.float16)
    assert (prompt == 7).all()


CAPTIONS = ["barn", "", "windmills", "sea", "a", "hammers", "no", "eightlet", "three words", "x"]
MANY = pl.DataFrame({"image_id": [f"{row:02d}" for row in range(10)], "caption": CAPTIONS})
TRUE = Text(tokens=10, stored="true_tokens")


def test_true_tokens_are_bytes_of_each_captions_own_length() -> None:
    encoder = TrueLetters(4)
    table = pl.concat(encode(MANY, encoder, TRUE))
    assert table.columns == ["image_id", "caption", "embedding", "tokens", "truncated"], "no pooled vector, no column"
    assert table.schema["embedding"] == pl.Binary
    assert table["image_id"].is_sorted()
    assert table["tokens"].to_list() == [min(max(len(text), 1), 10) for text in CAPTIONS]
    assert table["truncated"].to_list() == [0] * 8 + [1, 0]
    states = unpacked(table["embedding"], table["tokens"])
    assert states[3][:, 0].tolist() == [*map(ord, "sea")]
    assert np.array_equal(states[1], empty_prompt(encoder, TRUE))
    assert pl.concat(encode(MANY.clear(), encoder, TRUE)).schema == table.schema


def test_batches_are_of_one_length_that_the_captions_decide_and_full() -> None:
    encoder = TrueLetters(2)
    list(encode(MANY, encoder, TRUE))
    # Of ten tokens at most: 6 captions take 4, two take 8, two take 10 and not 12.
    assert encoder.lengths == [4, 4, 4, 8, 10]
    assert set(encoder.sizes) == {2}


@pytest.mark.parametrize("size", [1, 3, 16])
def test_neither_batches_nor_windows_change_true_tokens(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pl.concat(encode(MANY, TrueLetters(4), TRUE))
    assert pl.concat(encode(MANY, TrueLetters(size), TRUE)).equals(whole)
    monkeypatch.setattr(text, "WINDOW_BYTES", 50)
    parts = list(encode(MANY, TrueLetters(size), TRUE))
    assert pl.concat(parts).equals(whole)
    assert len(parts) > (2 if size < 16 else 1), "an empty frame, and one for each window"


def test_the_mean_of_true_tokens_stands_in_for_a_pooled_vector() -> None:
    mean = TRUE.model_copy(update={"pooled": "masked_mean"})
    table = pl.concat(encode(MANY, TrueLetters(4), mean))
    assert table.schema["pooled"] == pl.Array(pl.Float16, 2)
    assert table["pooled"][3].to_list() == [np.float16(np.mean([*map(ord, "sea")])), 1.0]
    padded = pl.concat(encode(MANY, Letters(4), Text(tokens=10, pooled="masked_mean")))
    assert padded["pooled"].equals(table["pooled"]), "padding is no part of it"


def test_true_tokens_of_an_encoder_that_sees_padding_are_refused() -> None:
    with pytest.raises(PaddingSeen, match=r"text\.stored is true_tokens, but the states of letters may depend"):
        list(encode(MANY, Letters(), TRUE))


def test_padded_rows_of_an_encoder_that_counts_say_what_was_cut() -> None:
    table = pl.concat(encode(MANY, TrueLetters(4), Text(tokens=6)))
    assert table["truncated"].to_list() == [max(len(caption) - 6, 0) for caption in CAPTIONS]
    assert table.schema["embedding"] == pl.Array(pl.Float16, (6, 2))
    assert pl.concat(encode(ROWS, Letters(), SIX))["truncated"].to_list() == [None] * 5, "others cannot tell"
