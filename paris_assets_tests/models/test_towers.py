"""Image-text encoders: their vectors are the reference library's own, whatever a checkpoint's files say or lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer

from paris_assets.config import Model
from paris_assets.images.decode import decode_rgb
from paris_assets.models.batches import run_batches
from paris_assets.models.carried import WeightsError
from paris_assets.models.preprocessing import PREPROCESSOR
from paris_assets.models.registry import ModelError, Models, build, text_tower_class
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos
from paris_assets_tests.models.test_preprocessing import _case

TEXTS = {
    "clip-image": ["a red barn", "", "the sea at night, seen from a very small boat" * 3, "A Dog"],
    "siglip-image": ["a red barn", "", "the sea at night, seen from a very small boat" * 3, "A Dog"],
    "chinese-clip-image": ["一只猫在桌子上", "", "红色的狗" * 30, "狗"],
}
IMAGES = 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("towers")
    return {name: make(base / name) for name, make in tiny.TOWERS.items()}


def _settings(name: str, folder: Path, **options: Any) -> Model:
    return Model(implementation=name, path=str(folder), precision="fp32", batch_size=4, options=options)


def _vectors(model: Model) -> np.ndarray:
    return np.concatenate([rows for _, rows in run_batches(photos()[:IMAGES], build(model))])


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(1) / lengths


@pytest.mark.parametrize("name", tiny.TOWERS)
def test_image_vectors_are_those_of_the_whole_model_and_not_normalised(name: str, folders: dict[str, Path]) -> None:
    case = _case(name, folders[name].parent / f"{name} again")
    reference: Any = AutoModel.from_pretrained(folders[name]).eval()
    fed = np.stack([case.reference(Image.fromarray(decode_rgb(data))) for _, data in photos()[:IMAGES]])
    with torch.no_grad():
        expected = reference.get_image_features(torch.from_numpy(fed)).pooler_output.numpy()
    found = _vectors(_settings(name, folders[name]))
    assert found.shape == (IMAGES, build(_settings(name, folders[name])).dim)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(found, axis=1).std() > 0.01
    between = _cosines(found[:-1], found[1:])
    assert between.max() < 0.999, "pictures that are told apart"


@pytest.mark.parametrize("name", tiny.TOWERS)
def test_text_vectors_are_those_of_the_whole_model(name: str, folders: dict[str, Path]) -> None:
    reference: Any = AutoModel.from_pretrained(folders[name]).eval()
    tower = Models().load_text_tower(_settings(name, folders[name]))
    texts = TEXTS[name]
    spoken = [text.lower() for text in texts] if name == "siglip-image" else texts
    tokens = {"clip-image": 77, "siglip-image": 64, "chinese-clip-image": 52}[name]
    batch = AutoTokenizer.from_pretrained(folders[name])(
        spoken, padding="max_length", truncation=True, max_length=tokens, return_tensors="pt"
    )
    # SigLIP was trained without a mask: its pooled state is that of the last position, mostly padding.
    given = {"input_ids": batch["input_ids"]} | (
        {} if name == "siglip-image" else {"attention_mask": batch["attention_mask"]}
    )
    with torch.no_grad():
        expected = reference.get_text_features(**given).pooler_output.numpy()
    np.testing.assert_allclose(tower.run(texts), expected, rtol=1e-4, atol=1e-4)
    assert tower.identity()["sha256"] == build(_settings(name, folders[name])).identity()["sha256"]


def test_another_activation_gives_other_vectors_and_is_refused_where_the_profile_names_the_right_one(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders["clip-image"]
    other = tmp_path / "gelu"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    assert config["vision_config"]["hidden_act"] == "quick_gelu"
    config["vision_config"]["hidden_act"] = "gelu"
    (other / "config.json").write_text(json.dumps(config))
    right, wrong = _vectors(_settings("clip-image", folder)), _vectors(_settings("clip-image", other))
    # A hundred times what the comparison with the reference allows: the wrong activation could not pass there.
    assert np.abs(right - wrong).max() > 0.01
    named = _settings("clip-image", folder, hidden_act="quick_gelu")
    assert (_vectors(named) == right).all()
    assert build(named).identity()["hidden_act"] == "quick_gelu"
    with pytest.raises(WeightsError, match=r"has the activation 'gelu', and options say .* need 'quick_gelu'"):
        build(_settings("clip-image", other, hidden_act="quick_gelu"))
    assert build(_settings("clip-image", other)).identity()["hidden_act"] == "gelu"


def test_a_checkpoint_of_another_kind_is_refused_by_name(folders: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match="is of a 'clip'; siglip or siglip_vision_model is expected"):
        build(_settings("siglip-image", folders["clip-image"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"do_normalize": False}, "leaves out: normalize"),
        ({"do_center_crop": False}, "resizes the short side to 224 and keeps None"),
        ({"crop_size": {"height": 200, "width": 200}}, "the network takes 224 x 224"),
        ({"size": {"shortest_edge": 100}}, "resizes the short side to 100"),
        ({"size": {"height": 256, "width": 256}}, "resizes to {'height': 256, 'width': 256}"),
        ({"resample": 2}, "only bicubic"),
        ({"rescale_factor": 1.0}, "multiplies pixel values by 1.0"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_preprocessing_that_is_not_done_here_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = tiny.clip(tmp_path / "clip")
    settings = json.loads((folder / PREPROCESSOR).read_text())
    (folder / PREPROCESSOR).write_text(json.dumps({**settings, **change}))
    with pytest.raises(WeightsError) as error:
        build(_settings("clip-image", folder))
    assert said in str(error.value)


def test_files_of_older_libraries_say_the_same_with_one_number(tmp_path: Path) -> None:
    folder = tiny.clip(tmp_path / "clip")
    before = _vectors(_settings("clip-image", folder))
    settings = json.loads((folder / PREPROCESSOR).read_text())
    (folder / PREPROCESSOR).write_text(json.dumps({**settings, "size": 224, "crop_size": 224, "image_std": None}))
    assert (_vectors(_settings("clip-image", folder)) == before).all()


def test_an_encoder_of_images_alone_has_no_text_tower() -> None:
    with pytest.raises(ModelError, match="efficientnet-lite0 has no text tower"):
        text_tower_class(Model(implementation="efficientnet-lite0"))
