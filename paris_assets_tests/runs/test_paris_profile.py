"""The `paris` profile from end to end, on the classes that it names, with small random weights in local folders."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from transformers import AutoTokenizer, Blip2ForConditionalGeneration, Blip2Processor, CLIPTextModel

from paris_assets import cli
from paris_assets.config import Model, Profile
from paris_assets.dag.display import record_metadata
from paris_assets.dag.records import read_record
from paris_assets.images.decode import decode_rgb, read_header
from paris_assets.latents.encode import noise
from paris_assets.models.device import place
from paris_assets.models.registry import Models
from paris_assets.models.resolve import profile_models
from paris_assets.models.threads import side_by_side
from paris_assets.profiles import load_profile
from paris_assets.runs import command
from paris_assets.runs.run import Request, RunReport
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import direct
from paris_assets_tests.models import tiny
from paris_assets_tests.models.photos import photos

pytestmark = [pytest.mark.long, pytest.mark.extended]

SIDE, SMALL, LARGE = 256, 2, 46
FOLDERS = {
    "scores.nsfw": "nsfw_image_detection",
    "captions.captioner": "blip2-opt-2.7b",
    "text.encoder": "clip-vit-large-patch14",
    "embedder": "dinov2-base",
    "latents.codec": "sd-vae-ft-mse",
}
"""Setting -> name of the local folder that takes the place of the hub's repository."""
IMAGE_COUNT = {"source.rows_per_shard": (SMALL + LARGE) // 2}
NEED_MORE_IMAGES = {
    f"cluster_report {name}" for name in ("embeddings_tell_clusters", "latents_tell_clusters", "clusters_not_confused")
}
MEANINGLESS_FOR_RANDOM_WEIGHTS = {
    "clusters.min_images": 1,
    "clusters.min_caption_diversity": 0.0,
    "checks.min_psnr_db": 1.0,
    "checks.max_latent_mean": 10.0,
    "checks.min_latent_std": 1e-4,
    "checks.max_latent_std": 10.0,
    "checks.min_silhouette": -1.0,
    "checks.min_share": 0.0,
    "checks.max_boundary": 1.0,
    "checks.max_top_caption": 1.0,
    "checks.min_embedding_std": 1e-9,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Setting -> folder with a network of the class that the profile names."""
    base = tmp_path_factory.mktemp("models")
    places = {setting: base / name for setting, name in FOLDERS.items()}
    tiny.vit_classifier(places["scores.nsfw"])
    tiny.blip2(places["captions.captioner"])
    tiny.clip_text(places["text.encoder"], width=768, layers=1)
    tiny.dinov2(places["embedder"], width=768, layers=1)
    tiny.autoencoder(places["latents.codec"], scaling_factor=0.18215)
    return places


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list as LAION-Aesthetic's, with the images in it; a third of the texts are no captions."""
    large = [(key, data) for key, data in photos() if _short_side(data) >= SIDE][:LARGE]
    small = [(key, data) for key, data in photos() if _short_side(data) < SIDE][:SMALL]
    rows = [
        {
            "image": data,
            "TEXT": f"photo number {number} of the list" if number % 3 else "IMG_0001.jpg",
            "AESTHETIC_SCORE": 5.0 + number / 20,
            "punsafe": 0.01,
            "pwatermark": None if number % 2 else 0.1,
            "hash": number,
        }
        for number, (_, data) in enumerate(large + small)
    ]
    path = tmp_path_factory.mktemp("list") / "laion_aesthetic.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def _short_side(data: bytes) -> int:
    header = read_header(data)
    return min(header.width, header.height)


def _profile(source: Path, folders: dict[str, Path]) -> Profile:
    paths = {f"{setting}.path": str(folder) for setting, folder in folders.items()}
    return load_profile("paris", {"source.path": str(source), **paths, **IMAGE_COUNT, **MEANINGLESS_FOR_RANDOM_WEIGHTS})


@pytest.fixture(scope="module")
def root(source: Path, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a finished run, all of whose checks passed at the profile's other bounds."""
    root, reports = tmp_path_factory.mktemp("runs") / "paris", list[RunReport]()
    with mock.patch.object(command, "print_summary", lambda catalog, report, console: reports.append(report)):
        assert command.run_command(_profile(source, folders), str(root), Request(), dry_run=False) == 0
    failed = [check for task in reports[0].tasks for check in task.failed_checks]
    # A probe of few images in clusters of random vectors learns nothing, and may not even be taught.
    assert [check for check in failed if check.partition(":")[0] not in NEED_MORE_IMAGES] == []
    return root


def _table(root: Path, asset: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(file) for file in sorted((root / asset).glob("*.parquet"))])


def _manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / "pipeline_manifest.json").read_text())


def test_every_image_of_the_resolution_becomes_a_sample(root: Path) -> None:
    filtered = _table(root, "filtered_images")
    assert filtered.filter(reason="short_side").height == SMALL
    manifest = _manifest(root)
    samples, curated = (manifest["counts"][asset]["out"] for asset in ("expert_shards", "curated_images"))
    # Of which images a random captioner has nothing to say depends on the CPU: they go into no sample.
    silent = _table(root, "captions").filter(pl.col("caption") == "").height
    assert samples == curated - silent
    assert curated >= LARGE - 4
    assert samples > LARGE / 2
    keys: set[str] = set()
    for file in root.glob("expert_shards/cluster_*/*.tar"):
        with tarfile.open(file) as tar:
            names = tar.getnames()
            keys |= {name.partition(".")[0] for name in names}
            key = names[0].partition(".")[0]
            latent, text = (
                np.load(io.BytesIO(tar.extractfile(f"{key}.{part}.npy").read()))  # type: ignore[union-attr]
                for part in ("latent", "clip_emb")
            )
            assert (latent.shape, latent.dtype, text.shape, text.dtype) == (
                (4, 32, 32),
                "float16",
                (77, 768),
                "float16",
            )
    assert len(keys) == samples


def test_text_embeddings_are_77_by_768_and_clips_own(root: Path, folders: dict[str, Path]) -> None:
    table = _table(root, "text_embeddings")
    assert table.schema["embedding"] == pl.Array(pl.Float16, (77, 768))
    assert table.schema["pooled"] == pl.Array(pl.Float16, 768)
    prompt = np.load(root / "expert_shards/empty_prompt.npy", allow_pickle=False)
    assert (prompt.shape, prompt.dtype) == ((77, 768), "float16")
    texts = ["", *table["caption"][:3]]
    folder = folders["text.encoder"]
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    )
    with torch.no_grad():
        expected = CLIPTextModel.from_pretrained(folder).eval()(input_ids=tokens["input_ids"]).last_hidden_state
    stored = np.stack([prompt, *table["embedding"].to_numpy()[:3]]).astype(np.float32)
    # bf16 keeps eight bits.
    np.testing.assert_allclose(stored, expected.numpy(), atol=0.06)


def test_latents_are_diffusers_own_times_the_scaling_factor(root: Path, folders: dict[str, Path]) -> None:
    table = _table(root, "latents").sort("image_id")
    assert table.schema["latent_256"] == pl.Array(pl.Float16, (4, 32, 32))
    assert not table["upscaled"].any()
    record = read_record(Location(root), "latents", "00000")
    assert record is not None
    assert record.facts["scaling_factor"] == 0.18215
    vae = AutoencoderKL.from_pretrained(folders["latents.codec"]).eval()  # type: ignore[attr-defined]
    files = dict(photos())
    for image_id, top, left, latent in table.select("image_id", "crop_top", "crop_left", "latent_256").head(4).rows():
        picture = Image.fromarray(decode_rgb(files[image_id]))
        ratio = SIDE / min(picture.size)
        size = [side if side == SIDE else int(side * ratio) for side in picture.size]
        square = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            posterior = vae.encode(pixels).latent_dist  # type: ignore[union-attr]
        drawn = torch.from_numpy(noise(0, image_id, (4, 32, 32), SIDE))
        expected = 0.18215 * (posterior.mean + posterior.std * drawn)[0].numpy()
        np.testing.assert_allclose(np.asarray(latent, np.float32), expected, atol=0.01)


def test_captions_are_the_lists_or_blip2s(root: Path, folders: dict[str, Path]) -> None:
    table = _table(root, "captions").sort("image_id")
    assert set(table["captioner"]) == {"source_text", "blip-2"}
    given = table.filter(captioner="source_text")
    assert given["caption"].equals(given["source_text"])
    made = table.filter(captioner="blip-2")
    assert set(made["source_text"]) == {"IMG_0001.jpg"}
    assert made["caption"].n_unique() > 1
    folder = folders["captions.captioner"]
    processor: Any = Blip2Processor.from_pretrained(folder)
    dtype = place(load_profile("paris").captions.captioner).dtype
    network: Any = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()
    files = dict(photos())
    # As many images as in the run: bf16 depends on the shape of a batch.
    wanted = [files[image_id] for image_id in made["image_id"][:1]] * 16
    inputs = processor(images=[Image.fromarray(decode_rgb(data)) for data in wanted], return_tensors="pt")
    pixels = inputs["pixel_values"].to(dtype)
    generate = partial(network.generate, max_new_tokens=50, do_sample=False)
    (tokens,) = side_by_side([network], generate, [pixels])
    assert processor.batch_decode(tokens, skip_special_tokens=True)[0].strip() == made["caption"][0]


def test_the_manifest_names_every_folder_and_its_weights_and_no_place_on_this_machine(
    root: Path, folders: dict[str, Path]
) -> None:
    manifest = _manifest(root)
    assert set(manifest["models"]) == set(FOLDERS) == set(profile_models(load_profile("paris")))
    for setting, identity in manifest["models"].items():
        (weights,) = folders[setting].glob("*.safetensors")
        assert identity["source"] == FOLDERS[setting]
        assert identity["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert str(folders["embedder"].parent) not in json.dumps(manifest)
    assert (manifest["profile"], manifest["settings"]["clusters"]["k"]) == ("paris", 8)


def test_without_the_hub_it_stops_before_any_work_and_says_what_to_do(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--profile", "paris", "--source", str(source)]) == 2
    said = capsys.readouterr().err
    assert cli.main(["doctor", "--profile", "paris"]) == 1
    shown = capsys.readouterr().out
    for setting, model in profile_models(load_profile("paris")).items():
        line = f"{setting}: {model.implementation}: {model.path} is not in the hub's cache and HF_HUB_OFFLINE is set"
        advice = f"`hf download {model.path} --revision {model.revision}`"
        for text in (said, shown):
            assert sum(line in row and advice in row and "a local folder" in row for row in text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


FITS = 5
TEXTS_AND_IMAGES = (torch.nn.Conv2d, torch.nn.Embedding)
LOAD = Models.load


def _load_on_a_small_device(models: Models, settings: Model) -> Any:
    """The network, which runs out of memory with more than ``FITS`` rows, as torch says it on a GPU."""
    built = LOAD(models, settings)

    def refuse(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > FITS:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 3 GiB")

    for module in built._network.modules():
        if isinstance(module, TEXTS_AND_IMAGES):
            module.register_forward_pre_hook(refuse)
    return built


@pytest.mark.slow
def test_every_network_halves_its_batch_when_memory_runs_out_and_the_record_says_so(
    root: Path, source: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    few = tmp_path / "few.parquet"
    rows = pl.read_parquet(source).head(12)
    rows.write_parquet(few)
    profile = _profile(few, folders)
    with mock.patch.object(Models, "load", _load_on_a_small_device):
        direct.bring_up_to_date(profile, tmp_path / "root")
    records = direct.records(tmp_path / "root")
    halved = {
        asset: record.facts["halved_batches"]
        for (asset, _), record in records.items()
        if "halved_batches" in record.facts
    }
    assert halved == {
        "content_scores": {"vit-classifier": 4},
        "captions": {"blip-2": 4},
        "text_embeddings": {"clip-text": 4},
        "image_embeddings": {"dinov2": 4},
        "latents": {"autoencoder-kl": 4},
        "latent_report": {"autoencoder-kl": 4},
        "expert_summary": {"clip-text": 4},
    }
    record = records["image_embeddings", "00000"]
    shown = record_metadata(Location(tmp_path / "root"), record)
    assert shown["halved_batches"] == dg.MetadataValue.text("dinov2: 4")
    for asset, column in (
        ("image_embeddings", "embedding"),
        ("latents", "latent_256"),
        ("text_embeddings", "embedding"),
    ):
        whole, halves = (_table(place, asset).sort("image_id") for place in (root, tmp_path / "root"))
        assert halves.height == records["curated_images", "00000"].rows == 12
        same = whole.join(halves.select("image_id"), on="image_id", how="semi")
        np.testing.assert_allclose(
            halves[column].to_numpy().astype(np.float32), same[column].to_numpy().astype(np.float32), atol=0.06
        )
