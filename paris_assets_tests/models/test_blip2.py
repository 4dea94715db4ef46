from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models.carried import WeightsError
from paris_assets.models.registry import build
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.blip2(tmp_path_factory.mktemp("blip2") / "blip2-opt-2.7b")


def _build(folder: Path, **options: Any) -> Any:
    model = Model(implementation="blip-2", path=str(folder), precision="fp32", batch_size=COUNT, options=options)
    return build(model)


def _batch(captioner: Any) -> np.ndarray:
    return np.stack([captioner.preprocess(decode_rgb(data)) for _, data in photos()[:COUNT]])


def _reference(folder: Path, longest: int, prompt: str | None = None, skipped: int = 0) -> list[str]:
    processor: Any = Blip2Processor.from_pretrained(folder)
    network = Blip2ForConditionalGeneration.from_pretrained(folder).eval()
    images = [Image.fromarray(decode_rgb(data)) for _, data in photos()[:COUNT]]
    inputs = processor(images=images, text=[prompt] * COUNT if prompt else None, return_tensors="pt")
    tokens = network.generate(**inputs, max_new_tokens=longest, do_sample=False)[:, skipped:]
    return [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]


def test_captions_are_those_of_the_reference_pipeline(folder: Path) -> None:
    captioner = _build(folder)
    captions = captioner.run(_batch(captioner)).tolist()
    assert captions == _reference(folder, 50)
    assert len(set(captions)) > 1
    assert all(captions)
    assert captioner.identity()["source"] == "blip2-opt-2.7b"


def test_captions_of_a_network_with_an_encoder_are_whole(tmp_path: Path) -> None:
    folder = tiny.blip2(tmp_path / "blip2-flan-t5-xl", t5=True)
    captioner = _build(folder)
    captions = captioner.run(_batch(captioner)).tolist()
    assert captions == _reference(folder, 50)
    assert all(captions)


def test_the_longest_caption_is_a_setting(folder: Path) -> None:
    captioner = _build(folder, max_new_tokens=3)
    captions = captioner.run(_batch(captioner)).tolist()
    assert captions == _reference(folder, 3)
    assert max(map(len, captions)) <= 3


@pytest.mark.parametrize("t5", [False, True])
def test_a_prompt_leads_to_other_captions_and_is_no_part_of_them(folder: Path, tmp_path: Path, t5: bool) -> None:
    place = tiny.blip2(tmp_path / "blip2-flan-t5-xl", t5=True) if t5 else folder
    captioner = _build(place, prompt="what is this", max_new_tokens=8)
    captions = captioner.run(_batch(captioner)).tolist()
    before = 0 if t5 else 4 + len(captioner._tokenizer("what is this").input_ids)
    assert captions == _reference(place, 8, "what is this", before)
    assert captions != _reference(place, 8)


def test_the_shortest_caption_is_a_setting(folder: Path) -> None:
    captioner = _build(folder, min_new_tokens=12, max_new_tokens=12)
    ends = captioner._tokenizer.eos_token_id
    assert captioner._network.generation_config.eos_token_id in (ends, [ends])
    assert {len(text) for text in captioner.run(_batch(captioner)).tolist()} <= set(range(9, 13))


def test_a_captions_text_does_not_depend_on_its_company(folder: Path) -> None:
    captioner = _build(folder)
    batch = _batch(captioner)
    alone = np.zeros_like(batch)
    alone[0] = batch[3]
    assert captioner.run(alone)[0] == captioner.run(batch)[3]


def test_a_network_that_ends_at_once_gives_an_empty_caption(folder: Path) -> None:
    captioner = _build(folder)
    end = captioner._tokenizer.eos_token_id

    def only_end(module: torch.nn.Module, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(logits).index_fill(-1, torch.tensor([end]), 1.0)

    captioner._network.language_model.lm_head.register_forward_hook(only_end)
    assert captioner.run(_batch(captioner)).tolist() == [""] * COUNT


def test_a_checkpoint_that_names_no_image_token_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["image_token_index"] = None
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="has no image_token_index: use a newer revision"):
        _build(tmp_path)
