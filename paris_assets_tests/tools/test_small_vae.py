"""The shipped small VAE does what its model card says, on photos that it never saw; its trainer trains."""

import hashlib
import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file

from paris_assets.config import Model
from paris_assets.models.registry import build
from tools.small_vae import photos
from tools.small_vae.crops import CropSampler, centre_crop, to_tensor, versions_of
from tools.small_vae.evaluate import reconstruct
from tools.small_vae.network import decoded, export, fold_affine, new_network, posterior_of
from tools.small_vae.photos import SAMPLE, WEIGHTS, collect, listed, read, used
from tools.small_vae.train import Trainer

WEIGHT_FILE = "diffusion_pytorch_model.safetensors"


def test_weights_are_small_and_float16() -> None:
    assert (WEIGHTS / WEIGHT_FILE).stat().st_size <= 6_000_000
    assert {weight.dtype for weight in load_file(WEIGHTS / WEIGHT_FILE).values()} == {torch.float16}


def test_split_follows_the_sha256_of_the_shipped_files() -> None:
    sample = [photo for photo in listed() if photo["package"] == "sample"]
    assert {photo["path"] for photo in sample} == {f"images/{file.name}" for file in (SAMPLE / "images").iterdir()}
    for photo in sample:
        assert hashlib.sha256((SAMPLE / photo["path"]).read_bytes()).hexdigest() == photo["sha256"]
        native = min(photo["width"], photo["height"]) >= 256
        assert (photo["split"] == "held_out") == (native and int(photo["sha256"][:8], 16) % 2 == 0)
    held_out = [photo for photo in listed() if photo["split"] == "held_out"]
    assert len(held_out) == 46
    assert all(photo["package"] == "sample" for photo in held_out)


def test_no_photo_used_in_training_is_near_a_held_out_one() -> None:
    held_out = [imagehash.hex_to_hash(photo["phash"]) for photo in listed() if photo["split"] == "held_out"]
    seen = used("train") + used("validation")
    assert len(seen) == 424 + 11
    for photo in seen:
        assert min(imagehash.hex_to_hash(photo["phash"]) - other for other in held_out) > 10


def test_listed_phashes_are_those_of_the_shipped_files() -> None:
    for photo in listed():
        if photo["package"] == "sample":
            with Image.open(SAMPLE / photo["path"]) as image:
                assert str(imagehash.phash(image.convert("RGB"))) == photo["phash"], photo["path"]


def test_every_photo_names_a_licence_that_allows_changes_and_trade() -> None:
    kinds = ("CC0-1.0", "CC-BY-2", "CC-BY-3", "CC-BY-4", "CC-BY ", "CC-BY-SA", "GPL-2+", "LGPL-2.1+", "LGPL-3")
    for photo in listed():
        licence = photo["licence"]
        assert licence.startswith(kinds) or licence.lower() == "public domain", photo
        assert "NC" not in licence, photo
        assert "ND" not in licence, photo


def test_the_model_card_counts_what_is_listed() -> None:
    card = (WEIGHTS / "model_card.md").read_text()
    training = used("train")
    assert f"lists all {len(listed())} files" in card
    assert f"{len(training)} files, {len({photo['group'] for photo in training})} distinct photos" in card
    assert {photo["package"] for photo in listed()} == {"sample", *photos.PACKAGES}
    for package, version in photos.PACKAGES.items():
        assert package.removeprefix("lomiri-wallpapers") in card
        assert version in card


@pytest.mark.extended
def test_held_out_photos_come_back_with_the_psnr_and_the_moments_of_the_model_card() -> None:
    codec = build(Model(implementation="autoencoder-kl", path=str(WEIGHTS), precision="fp32"))
    values, latents = reconstruct(codec, [centre_crop(read(photo)) for photo in used("held_out")])
    assert np.mean(values) == pytest.approx(22.83, abs=0.05)
    assert min(values) == pytest.approx(16.47, abs=0.1)
    assert latents.shape == (46, 4, 32, 32)
    assert latents.var() == pytest.approx(1.11, abs=0.02)
    assert latents.mean((0, 2, 3)) == pytest.approx([-0.20, -0.08, -0.18, -0.12], abs=0.02)


def test_photos_are_found_in_a_package_and_told_by_their_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, bundled, other = (np.random.default_rng(seed).integers(0, 255, (9, 7, 3), np.uint8) for seed in range(3))
    Image.fromarray(plain).save(tmp_path / "plain.png")
    for name, pixels in (("bundled", bundled), ("other", other)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.webp", quality=50)
    first, second = ((tmp_path / f"{name}.webp").read_bytes() for name in ("other", "bundled"))

    def unpack(package: str, version: str, folder: Path) -> None:
        (folder / "usr").mkdir()
        (folder / "usr" / "a.png").write_bytes((tmp_path / "plain.png").read_bytes())
        (folder / "a.rcc").write_bytes(b"qres" + len(first).to_bytes(4, "big") + first + b"\0\0\1\2" + second + b"end")

    def line(package: str, path: str, content: bytes) -> dict[str, str]:
        return {"package": package, "path": path, "sha256": hashlib.sha256(content).hexdigest()}

    rows = [line("p", "usr/a.png", (tmp_path / "plain.png").read_bytes()), line("p", "in/the/bundle.webp", second)]
    monkeypatch.setattr(photos, "PACKAGES", {"p": "1.0"})
    monkeypatch.setattr(photos, "unpack", unpack)
    monkeypatch.setattr(photos, "listed", lambda: rows)
    work = tmp_path / "work"
    collect(work)
    assert {path.name for path in work.iterdir()} == {row["sha256"] for row in rows}
    assert read(rows[1], work) == second
    (work / rows[1]["sha256"]).write_bytes(first)
    with pytest.raises(RuntimeError, match=f"{rows[1]['sha256']} is not the listed photo"):
        read(rows[1], work)
    (work / rows[1]["sha256"]).unlink()
    with pytest.raises(RuntimeError, match=r"is missing: run `python -m tools\.small_vae collect`"):
        read(rows[1], work)
    rows.append(line("p", "gone.jpg", b"gone"))
    with pytest.raises(RuntimeError, match=f"p 1.0 lacks 1 listed photos, such as sha256 {rows[2]['sha256']}"):
        collect(work)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_crops_are_native() -> None:
    row, column = np.indices((230, 250), np.uint8)
    places = np.stack([row, column, np.full_like(row, 7)], 2)  # each pixel says where it is
    drawn = CropSampler([_png(places)]).draw(20, 64).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    mirrored = 0
    for crop in drawn:
        top, left, right = crop[0, 0, 0], crop[0, 0, 1], crop[0, -1, 1]
        mirrored += left > right
        expected = places[top : top + 64, min(left, right) : max(left, right) + 1]
        assert np.array_equal(crop[:, ::-1] if left > right else crop, expected)
    assert 3 < mirrored < 17
    assert len(np.unique(drawn[:, 0, 0], axis=0)) > 15
    assert centre_crop(_png(np.pad(places, ((20, 20), (10, 10), (0, 0)))))[128, 128].tolist() == [115, 125, 7]
    with pytest.raises(ValueError, match="a 250x230 photo has no native 256-pixel crop"):
        centre_crop(_png(places))


@pytest.mark.parametrize(
    ("shape", "versions"),
    [((300, 400), [(300, 400)]), ((768, 800), [(768, 800), (512, 533)]), ((1300, 1201), [(1108, 1024), (554, 512)])],
)
def test_large_photos_are_cropped_reduced_too(shape: tuple[int, int], versions: list[tuple[int, int]]) -> None:
    assert [version.shape[:2] for version in versions_of(_png(np.zeros((*shape, 3), np.uint8)))] == versions


@pytest.mark.extended
def test_a_few_steps_lower_the_loss_and_what_is_exported_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = to_tensor(centre_crop(read(photo))[::8, ::8] for photo in used("held_out")[:4])
    trainer = Trainer(new_network())
    losses = [trainer.step(images, 0.3) for _ in range(25)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    network = trainer.averaged_network()
    crops = images.repeat(2, 1, 2, 2)
    with torch.no_grad():
        before = decoded(network, posterior_of(network, crops).mode())
    export(network, crops, tmp_path)
    assert {weight.dtype for weight in load_file(tmp_path / WEIGHT_FILE).values()} == {torch.float16}
    loaded = AutoencoderKL.from_pretrained(tmp_path, use_safetensors=True)
    with torch.no_grad():
        latents = posterior_of(loaded, crops).mode()
        after = decoded(loaded, latents)
    assert (latents * loaded.config["scaling_factor"]).std().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(after, before, atol=0.02, rtol=0.02)


def test_folding_an_affine_map_keeps_decoded_images() -> None:
    torch.manual_seed(0)
    network, images = new_network().eval(), torch.rand(2, 3, 64, 64) * 2 - 1
    mean, std = torch.tensor([0.3, -1.0, 2.0, 0.0]), torch.tensor([0.5, 2.0, 1.0, 4.0])
    with torch.inference_mode():
        posterior = posterior_of(network, images)
        before = decoded(network, posterior.mode())
        fold_affine(network, mean, std)
        folded = posterior_of(network, images)
        after = decoded(network, folded.mode())
    expected = (posterior.mode() - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(folded.mode(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(folded.std, posterior.std / std[:, None, None], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
