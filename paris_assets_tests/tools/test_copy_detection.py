"""The copy detector's split, edits, views, loss and figures, and that the shipped weights do what their card says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from paris_assets.models import carried, efficientnet
from paris_assets.models.copy_detector_network import DIM, FINE_BLOCKS, HEAD_CHANNELS, CopyDetectorNetwork
from paris_assets.models.registry import SMALL_COPY_COSINE
from tools.copy_detection import edits, methods, photos, train
from tools.copy_detection.evaluate import ALL, Counts, Method, chosen_threshold, compared, counted, edited, table
from tools.copy_detection.network import CPU, pretrained_network, save, whiten
from tools.copy_detection.train import Batch, loss_of, trained
from tools.copy_detection.views import SIDE, Picture, View, Views, view_of
from tools.degradation.drawing import test_drawing as held_out_drawing
from tools.small_vae.photos import SAMPLE

CARD = carried.COPY_DETECTOR.path.parent / "model_card.md"


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return random(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_no_photo_that_chooses_or_measures_trains() -> None:
    splits = (photos.training, photos.validation, photos.held_out, photos.held_out_large)
    groups = [[photo["group"] for photo in split()] for split in splits]
    assert [len(group) for group in groups] == [195, 56, 46, 17]
    assert len({group for split in groups for group in split}) == 195 + 56 + 46 + 17
    assert {photo["group"] for photo in photos.guests()} <= set(groups[0])


def test_edits_do_what_they_say() -> None:
    picture = noise(60, 90)
    assert edits.cropped(picture, (0.7, 0.5), random()).shape == (42, 45, 3)
    assert np.array_equal(edits.mirrored(edits.mirrored(picture)), picture)
    assert np.array_equal(edits.coloured(picture, 1, 1, 1, 0), picture)
    framed = edits.bordered(picture, (0.1, 0.2, 0.0, 0.5), np.array([1, 2, 3]))
    assert framed.shape == (60 + 6 + 12, 90 + 30, 3)
    assert np.array_equal(framed[6:66, :90], picture)
    assert (framed[:6] == [1, 2, 3]).all()
    assert (edits.covered(picture, np.zeros((5, 5, 3), np.uint8), 0.25, random()) == 0).all(2).mean() >= 0.24
    assert edits.scaled(picture, 0.5).shape == (30, 45, 3)
    assert edits.blurred(picture, 0.1).std() < picture.std() / 4


def test_a_collage_holds_the_whole_picture_beside_the_others() -> None:
    picture, black = noise(60, 90), np.zeros((10, 10, 3), np.uint8)
    below = edits.beside(picture, [black], random())
    assert below.shape == (120, 90, 3)
    assert any(np.array_equal(half, picture) for half in (below[:60], below[60:]))
    four = edits.beside(picture, [black] * 3, random())
    assert four.shape == (120, 180, 3)
    assert (four == 0).all(2).sum() == pytest.approx(3 * 60 * 90, abs=3)


def test_a_turned_picture_has_corners_of_a_colour_or_none() -> None:
    white = np.full((60, 90, 3), 255, np.uint8)
    assert (edits.rotated(white, 20, (0, 0, 0)) == 0).all(2).any()
    whole = edits.rotated(white, 20, None)
    assert (whole > 250).all()
    assert whole.shape < (60, 90, 3)


def test_the_measured_edits_are_twelve_and_seeded() -> None:
    photo, others = noise(120, 160), [noise(50, 50, 1)]
    made = edits.measured_edits(held_out_drawing(), others)
    assert len(made) == 12
    before = photo.copy()
    for name, edit in made.items():
        (first,), (again,) = edited([photo], edit), edited([photo], edit)
        assert np.array_equal(first, again), name
        assert not np.array_equal(first, photo), name
    assert np.array_equal(photo, before)


def test_a_view_is_seeded_and_names_the_groups_it_shows() -> None:
    pictures = [Picture(np.full((80, 100, 3), 60 * group, np.uint8), group) for group in range(4)]

    def made(seed: int, light: bool = False) -> View:
        return view_of(pictures, 1, held_out_drawing(), random(seed), light)

    views = [made(seed) for seed in range(40)]
    assert all(np.array_equal(view.pixels, made(seed).pixels) for seed, view in enumerate(views[:5]))
    assert {view.pixels.shape for view in views} == {(SIDE, SIDE, 3)}
    guests = {int(group) for view in views for group in view.guests}
    assert -1 in guests
    assert guests - {-1} <= set(range(4))
    assert len(guests) > 2
    light = [made(seed, light=True) for seed in range(10)]
    assert all((view.guests == -1).all() and abs(view.pixels.astype(int) - 60).max() < 3 for view in light)


def by_hand(vectors: Tensor, mates: dict[int, int], others: dict[int, list[int]]) -> float:
    """The loss by its definition: cross entropy of each copy among what is not of its group, less the logarithm of the
    distance to the nearest of these."""
    against, nearest = list[float](), list[float]()
    for row, vector in enumerate(vectors):
        logits = vectors @ vector / train.TEMPERATURE
        nearest.append(float((vectors[others[row]] - vector).norm(dim=1).min().log()))
        if row in mates:
            rivals = logits[[mates[row], *others[row]]]
            against.append(float(rivals.logsumexp(0) - logits[mates[row]]))
    return float(np.mean(against) - train.APART * np.mean(nearest))


@pytest.mark.parametrize("seen_in", [0, 4, None])
def test_the_loss_is_as_defined_and_pairs_that_show_one_group_count_for_nothing(seen_in: int | None) -> None:
    """Pictures 0 and 1 twice, picture 2 of a third group once; row 0 may show group 2, or row 4 group 0."""
    vectors = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    guests = torch.full((5, 3), -1)
    others = {0: [2, 3, 4], 1: [2, 3, 4], 2: [0, 1, 4], 3: [0, 1, 4], 4: [0, 1, 2, 3]}
    if seen_in == 0:
        guests[0, 1] = 2
        others |= {0: [2, 3], 4: [1, 2, 3]}
    if seen_in == 4:
        guests[4, 2] = 0
        others |= {0: [2, 3], 1: [2, 3], 4: [2, 3]}
    numbers = torch.tensor([0, 0, 1, 1, 2])
    batch = Batch(torch.zeros(0), numbers, numbers, guests)
    expected = by_hand(vectors, {0: 1, 1: 0, 2: 3, 3: 2}, others)
    assert float(loss_of(vectors, batch)) == pytest.approx(expected, rel=1e-4)


def test_whitened_vectors_have_deviation_one_and_no_correlation() -> None:
    pooled = torch.rand(600, HEAD_CHANNELS, generator=torch.Generator().manual_seed(0))
    pooled[:, 1] = pooled[:, 0] + 0.1 * pooled[:, 1]
    network = CopyDetectorNetwork()
    whiten(network, pooled)
    with torch.no_grad():
        covariance = torch.cov(network.linear(pooled).T)
    torch.testing.assert_close(covariance, torch.eye(DIM), atol=0.01, rtol=0)


def test_before_training_the_network_is_a_part_of_efficientnet_lite0() -> None:
    ours = pretrained_network()
    source: Any = efficientnet.load(CPU)
    pixels = torch.from_numpy(noise(64, 96)[None].copy()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        maps = source._swish(source._bn0(source._conv_stem((pixels - 127) / 128)))
        for index, block in enumerate(source._blocks[: len(ours.blocks)], 1):
            maps = block(maps)
            if index == FINE_BLOCKS:
                torch.testing.assert_close(ours.fine_maps(pixels), maps, rtol=1e-3, atol=1e-3)
        following = source._blocks[len(ours.blocks)]
        last = following._swish(following._bn0(following._expand_conv(maps)))
        expected = last.clamp_min(1e-6).pow(3).mean((2, 3)).pow(1 / 3)
        torch.testing.assert_close(ours.pooled(ours.fine_maps(pixels)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.extended
def test_training_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.rand(6, 4, 80, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    views = [Views(part, torch.full((4, 3), -1)) for part in maps]
    torch.manual_seed(0)
    start = CopyDetectorNetwork()
    monkeypatch.setattr(train, "SAVE_EVERY", 1)

    def run(name: str) -> dict[str, Tensor]:
        network = CopyDetectorNetwork()
        network.load_state_dict(start.state_dict())
        return trained(network, views, range(6), 3, tmp_path / name).state_dict()

    whole, drawn = run("whole.pt"), train.drawn

    def stopping(views, groups, random):
        if (tmp_path / "parts.pt").is_file():
            raise KeyboardInterrupt
        return drawn(views, groups, random)

    monkeypatch.setattr(train, "drawn", stopping)
    with pytest.raises(KeyboardInterrupt):
        run("parts.pt")
    monkeypatch.setattr(train, "drawn", drawn)
    again = run("parts.pt")
    assert whole.keys() == again.keys() == start.state_dict().keys()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    changed = {name.split(".")[1] for name, value in whole.items() if not torch.equal(value, start.state_dict()[name])}
    assert not changed & {str(block) for block in range(FINE_BLOCKS)}
    assert {str(FINE_BLOCKS), "weight", "bias"} <= changed


def test_weights_are_saved_in_half_precision(tmp_path: Path) -> None:
    save(CopyDetectorNetwork(), tmp_path / "made" / "model.safetensors")
    assert (tmp_path / "made" / "model.safetensors").stat().st_size < 5_000_000


def test_precision_and_recall_of_known_matrices() -> None:
    alike = np.array([[0.9, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.3]])
    assert counted(alike, 0.5) == Counts(right=2, found=3, copies=3, pairs=9)
    assert counted(alike, 0.5).precision == pytest.approx(2 / 3)
    assert counted(alike, 0.5).recall == pytest.approx(2 / 3)
    assert counted(alike, 0.5).false_per_million == pytest.approx(1e6 / 6)
    assert counted(alike, 2.0).precision == 1.0
    assert chosen_threshold({"one": alike}, 0.9) == 0.61
    assert chosen_threshold({"one": alike}, 0.5) == 0.11


def test_the_table_has_a_row_for_each_edit_and_one_for_all() -> None:
    def means_of(pictures: Iterable[np.ndarray]) -> np.ndarray:
        return np.array([picture.mean() for picture in pictures])

    means = Method("mean", means_of, lambda left, right: -abs(left[:, None] - right), -1)
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in (10, 100, 200)]
    kinds = {"same": lambda pixels, _: pixels, "darker": lambda pixels, _: pixels // 2}
    found = compared([means], pictures, kinds)
    assert list(found) == ["same", "darker", ALL]
    assert found[ALL] == [Counts(right=3, found=4, copies=6, pairs=18)]  # half of 200 is 100
    assert "| all edits | 0.75 / 0.50 |" in table([means], found)
    with pytest.raises(ValueError, match="mean has no threshold yet"):
        compared([Method(means.name, means.describe, means.alike)], pictures, kinds)


def test_the_methods_of_other_packages_are_theirs() -> None:
    pictures = [noise(60, 80, seed) for seed in range(3)]
    bits = methods.imagehash_equal("average_hash").describe(pictures)["phash"]
    expected = [int(str(imagehash.average_hash(Image.fromarray(picture))), 16) for picture in pictures]
    assert bits.tolist() == expected
    alike = methods.imagededup_phash()
    distances = -alike.alike(alike.describe(pictures), alike.describe(pictures))
    own = np.stack([methods.imagededup_bits(picture) for picture in pictures])
    assert np.array_equal(distances, (own[:, None] != own[None]).sum((2, 3)))
    assert own.reshape(3, -1)[:, 1:].sum(1).tolist() == [32, 32, 32]  # of 63, with the median


@pytest.mark.extended
def test_the_shipped_weights_do_what_the_card_says() -> None:
    seen = photos.pixels(photos.held_out(), SAMPLE)
    kinds = edits.measured_edits(held_out_drawing(), photos.pixels(photos.guests(), SAMPLE))
    chosen = {name: kinds[name] for name in ("mirrored", "cropped by 30 %", "text", "rotated")}
    ours = methods.small_copy_detector(carried.COPY_DETECTOR.path, SMALL_COPY_COSINE)
    found = compared([ours, methods.phash()], seen, chosen)
    card = CARD.read_text(encoding="utf-8")
    for name in ("mirrored", "cropped by 30 %"):
        assert found[name][0].precision >= 0.95
        assert found[name][0].recall >= 0.9 > 0.1 > found[name][1].recall
    for name in chosen:
        (said,) = re.findall(rf"^\| {name} \| [\d.]+ / ([\d.]+) ", card, re.MULTILINE)
        assert found[name][0].recall == pytest.approx(float(said), abs=0.08)  # there also on large photos
