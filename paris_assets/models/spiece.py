"""Tokenizers that are kept as a model of sentencepiece alone, as those of T5 and pile-t5 are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import LlamaTokenizer, T5Tokenizer

from paris_assets.models.carried import WeightsError
from paris_assets.models.weights import SENTENCEPIECE

TOKENIZERS: dict[str, Any] = {"LlamaTokenizer": LlamaTokenizer, "T5Tokenizer": T5Tokenizer}
PROBES = (
    "a red barn by the river at night",
    "Two hammers, on a bench (1998).",
    "Zwei Hämmer und ein kleines Boot",
    "море, 海の写真",
    "x",
)
"""What a converted tokenizer has to cut as sentencepiece itself does."""


def load_spiece(folder: Path) -> Any:
    """The tokenizer of a folder without `tokenizer.json`, padding on the right.

    Its class is that of `tokenizer_config.json`: by the kind of the network the library would take one that leaves out
    the space before the first word, and cut the first words of Llama's tokenizer otherwise.

    Raises:
        WeightsError: a class that is not read here, or one that cuts texts otherwise than sentencepiece.
    """
    # An extra, which is not in every installation.
    import sentencepiece  # pyright: ignore[reportMissingImports]

    config = folder / "tokenizer_config.json"
    said = json.loads(config.read_text()).get("tokenizer_class") if config.is_file() else None
    name = (said or "T5Tokenizer").removesuffix("Fast")
    if name not in TOKENIZERS:
        raise WeightsError(f"{folder.name} has a {name}, of which a tokenizer.json is needed: put it there")
    tokenizer = TOKENIZERS[name].from_pretrained(folder, local_files_only=True, padding_side="right")
    model = next(folder / file for file in SENTENCEPIECE if (folder / file).is_file())
    processor: Any = sentencepiece.SentencePieceProcessor()
    processor.Load(str(model))
    for text in PROBES:
        found, expected = tokenizer(text, add_special_tokens=False)["input_ids"], processor.encode(text)
        if found != expected:
            raise WeightsError(
                f"{name} cuts {text!r} into {found}, and sentencepiece by {model.name} of {folder.name} into "
                f"{expected}: put a tokenizer.json there, made where both agree"
            )
    return tokenizer
