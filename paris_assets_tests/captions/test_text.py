from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from paris_assets.captions.text import encode
from paris_assets.models.prompt import empty_prompt
from paris_assets.models.protocols import TextEmbeddings
from paris_assets_tests.models.fakes import Letters

ROWS = pl.DataFrame({"image_id": ["a", "b", "c", "d", "e"], "caption": ["barn", "sea", "a", "windmills", "no"]})


def test_the_table_has_the_contracts_columns() -> None:
    table = pl.concat(encode(ROWS, Letters(), 6))
    assert table.schema == {
        "image_id": pl.String,
        "caption": pl.String,
        "embedding": pl.Array(pl.Float16, (6, 2)),
        "pooled": pl.Array(pl.Float16, 1),
        "tokens": pl.Int32,
    }
    assert table["tokens"].to_list() == [4, 3, 1, 6, 2]
    assert table["embedding"].to_numpy()[1, :, 0].tolist() == [*map(ord, "sea"), 0, 0, 0]
    assert pl.concat(encode(ROWS.clear(), Letters(), 6)).schema == table.schema


def test_batch_size_changes_nothing_and_every_batch_is_full() -> None:
    tables = []
    for size in (1, 2, 5, 16):
        encoder = Letters(size)
        tables.append(pl.concat(encode(ROWS, encoder, 6)))
        assert set(encoder.sizes) == {size}
    assert all(table.equals(tables[0]) for table in tables)


def test_an_empty_caption_is_encoded_as_the_empty_prompt() -> None:
    rows = ROWS.with_columns(caption=pl.when(image_id="c").then(pl.lit("")).otherwise("caption"))
    table = pl.concat(encode(rows, Letters(), 6))
    assert np.array_equal(table.filter(image_id="c")["embedding"].to_numpy()[0], empty_prompt(Letters(), 6))
    assert table.filter(pl.col("image_id") != "c").equals(
        pl.concat(encode(ROWS, Letters(), 6)).filter(pl.col("image_id") != "c")
    )


def test_values_beyond_float16_are_an_error_with_their_image() -> None:
    class Loud(Letters):
        def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
            result = super().encode(texts, tokens)
            return result._replace(embedding=result.embedding * (1e6 if "windmills" in texts else 1))

    with pytest.raises(ValueError, match="not finite in float16, first d"):
        list(encode(ROWS, Loud(1), 6))


def test_the_empty_prompt_is_the_embedding_of_the_empty_text() -> None:
    class Offset(Letters):
        def encode(self, texts: Sequence[str], tokens: int) -> TextEmbeddings:
            result = super().encode(texts, tokens)
            return result._replace(embedding=result.embedding + 7)

    prompt = empty_prompt(Offset(), 6)
    assert (prompt.shape, prompt.dtype) == ((6, 2), np.float16)
    assert (prompt == 7).all()
