"""`paris verify`: what the root's tables tell of a published folder, and what is said without them."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import boto3
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from paris_assets.cli import main
from paris_assets.dag.records import FOOTER_KEY
from paris_assets.storage.checksum import seal
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.verification.published import SHARDS, edit_manifest
from paris_assets_tests.verification.published import seal as reseal
from paris_assets_tests.verification.test_published import TAR, change_member, changed_metadata, npy, rewrite_arrays

Verify = Callable[[], tuple[int, str]]


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "root"))


@pytest.fixture
def verify(root: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    def run() -> tuple[int, str]:
        status = main(["verify", str(root / "pipeline_manifest.json")])
        return status, capsys.readouterr().out

    return run


def without_tables(root: Path) -> Path:
    """The published files alone, as somebody would copy them for training."""
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    for path in ["pipeline_manifest.json", *(file["path"] for file in manifest["files"])]:
        target = root.parent / "copy" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, target)
    return root.parent / "copy"


def replace(root: Path, asset: str, shard: str = "00000", **columns: pl.Expr) -> None:
    """Rewrite a table, of the first shard if no other is named, with a record that fits it."""
    store, table = made_up.flat_root(root.parent / "flat"), f"{asset}/{shard}.parquet"
    store.put(asset, pl.read_parquet(root / table).with_columns(**columns), shard)
    (root.parent / "flat" / table).replace(root / table)


def test_a_sound_root_is_checked_against_its_tables(verify: Verify) -> None:
    status, said = verify()
    assert status == 0, said
    assert said.startswith("no problems under")
    joins = 24 * 12 + 24 * (4 + 3 + 2 + 3 + 4) + 24 * 4
    assert f"{joins:,} joined values, 24 samples, {2 * 12 + 2} tables" in said
    assert "not checked" not in said


def test_a_finished_run_is_sound(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["verify", str(finished / "pipeline_manifest.json")])
    assert (status, capsys.readouterr().out.splitlines()[0].split(" under")[0]) == (0, "no problems")


def test_a_change_that_is_not_finished_is_one_problem(root: Path, verify: Verify) -> None:
    registry = pl.read_parquet(root / "shards.parquet")
    made_up.put_registry(root, pl.concat([registry, registry.tail(1).with_columns(shard=pl.lit("00099"))]))
    replace(root, "curated_images", url=pl.lit("http://elsewhere.example"))  # as a half-done run may leave it
    status, said = verify()
    assert status == 1
    assert len(said.splitlines()) == 3
    assert said.startswith(f"pipeline_manifest.json: expected all {registry.height + 1} shards, found those before ")
    assert "00099 came, and that change is not finished (what is published is whole, as it was before)" in said
    (root / "pipeline_manifest.json").unlink()
    assert main(["verify", str(root)]) == 2


def test_published_files_alone_are_checked_and_what_is_missing_is_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = without_tables(root)
    assert main(["verify", str(copy / "pipeline_manifest.json")]) == 0
    said = capsys.readouterr().out
    assert "note: not checked, as no tables of a root (shards.parquet) lie beside the manifest: captions" in said
    assert "24 samples" in said
    assert "tables" not in said.splitlines()[-1]
    (copy / TAR).unlink()
    assert main(["verify", f"file://{copy}/pipeline_manifest.json"]) == 1
    said = capsys.readouterr().out
    assert f"{TAR}: expected 81920 bytes, found no such file; bring it back: paris run" in said
    assert f"--root {copy}" in said


def test_wrong_usage(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, said in (
        (
            root / "absent.json",
            "absent.json is no root and no manifest: give a root, or the path or URL of a pipeline_manifest.json",
        ),
        (root.parent / "absent", "give a root, or the path or URL of a pipeline_manifest.json"),
        (root / "captions", "captions is no root and no manifest"),
        (root / TAR, "is no JSON"),
    ):
        assert main(["verify", str(wrong)]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.chdir(root)
    assert main(["verify", "pipeline_manifest.json"]) == 0
    assert main(["verify", str(root)]) == 0


@pytest.mark.parametrize(
    ("name", "value", "table"),
    [
        ("url", "http://photos.example/other.jpg", "curated_images"),
        ("group_id", "0" * 32, "curated_images"),
        ("original_width", 301, "curated_images"),
        ("original_height", 201, "curated_images"),
        ("aesthetic", 5.5, "curated_images"),
        ("captioner", "blip2", "captions"),
        ("source_text", None, "captions"),
        ("tokens", 1, "text_embeddings"),
        ("crop_top", 1, "latents"),
        ("crop_left", 23, "latents"),
        ("upscaled", True, "latents"),
        ("distance", 0.25, "cluster_assignments"),
        ("second_distance", 0.25, "cluster_assignments"),
        ("fine_cluster", 3, "cluster_assignments"),
    ],
)
def test_another_value_in_metadata(root: Path, verify: Verify, name: str, value: object, table: str) -> None:
    key = change_member(root, "metadata.json", changed_metadata(**{name: value}))
    status, said = verify()
    assert status == 1
    assert f"{TAR}: expected {name} as in {table}/00000.parquet, found another {name} in 1 sample: {key};" in said
    assert said.count("found another") == 1
    assert f"pipeline_manifest.json: expected {TAR} with sha256" in said


def test_another_caption_in_tar_and_metadata(root: Path, verify: Verify) -> None:
    change_member(root, "caption.txt", lambda data: b"another caption")
    key = change_member(root, "metadata.json", changed_metadata(caption="another caption"))
    status, said = verify()
    assert status == 1
    assert f"{TAR}: expected caption as in captions/00000.parquet, found another caption in 1 sample: {key};" in said


def test_another_text_embedding(root: Path, verify: Verify) -> None:
    key = change_member(root, "clip_emb.npy", lambda data: npy(np.ones((5, 3), np.float16)))
    status, said = verify()
    assert status == 1
    expected = "expected embedding of text_embeddings/00000.parquet, found another array"
    assert f"{TAR}: {expected} in 1 sample: {key};" in said


def test_another_latent_in_tar_and_arrays(root: Path, verify: Verify) -> None:
    key = change_member(root, "latent.npy", lambda data: npy(np.ones((4, 32, 32), np.float16)))
    row = [name.decode() for name in np.load(root / "router_arrays/00000/image_ids.npy")].index(key)

    def change(array: np.ndarray) -> np.ndarray:
        array[row] = 1
        return array

    rewrite_arrays(root, "latents", change)
    status, said = verify()
    assert status == 1
    assert f"{TAR}: expected latent_256 of latents/00000.parquet, found another array in 1 sample: {key};" in said
    assert said.count("expected latent_256") == 1


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("embeddings", "embedding of image_embeddings/00000.parquet"),
        ("clip", "pooled of text_embeddings/00000.parquet"),
    ],
)
def test_rows_exchanged_in_array_and_consolidated_array(root: Path, verify: Verify, name: str, column: str) -> None:
    rewrite_arrays(root, name, lambda array: array[[1, 0, *range(2, 12)]])
    status, said = verify()
    assert status == 1
    assert f"router_arrays/00000/{name}.npy: expected {column}, found another row in 2 samples" in said


def test_another_split_than_the_table_has(root: Path, verify: Verify) -> None:
    replace(root, "training_split", "all", split=1 - pl.col("split"))
    _, said = verify()
    assert said.count("expected the split of training_split/all.parquet, found another split") >= 1


def test_a_sample_that_is_not_selected_and_one_that_is_not_published(root: Path, verify: Verify) -> None:
    replace(root, "training_selection", selected=pl.int_range(pl.len()) != 2)
    key = pl.read_parquet(root / "training_selection/00000.parquet")["image_id"][2]
    _, said = verify()
    expected = "images that training_selection/00000.parquet selects and that have a latent and a caption"
    assert f"{TAR}: expected {expected}, found an image that is not among them in 1 sample: {key};" in said
    for shard in SHARDS:
        (root / f"expert_shards/cluster_1/{shard}-00000.tar").unlink()
    _, said = verify()
    assert "training_selection/00000.parquet: expected every selected image with latent and caption in a tar" in said


def test_a_sample_of_an_image_that_a_table_lacks(root: Path, verify: Verify) -> None:
    store = made_up.flat_root(root.parent / "flat")
    store.put("captions", pl.read_parquet(root / "captions/00000.parquet")[1:])
    (root.parent / "flat/captions/00000.parquet").replace(root / "captions/00000.parquet")
    _, said = verify()
    assert "expected samples that captions/00000.parquet has, found an image without a row there in 1 sample" in said


# Records


def test_a_table_whose_rows_are_not_those_of_its_record(root: Path, verify: Verify) -> None:
    path = root / "captions/00001.parquet"
    record = pq.read_metadata(path).metadata[FOOTER_KEY].decode()
    changed = pl.read_parquet(path).with_columns(captioner=pl.lit("someone")).to_arrow()
    with pq.ParquetWriter(path, changed.schema) as writer:
        writer.write_table(changed)
        writer.add_key_value_metadata({FOOTER_KEY.decode(): record})
    with path.open("r+b") as file:
        seal(file)
    _, said = verify()
    assert "captions/00001.parquet: expected rows with hash" in said
    assert "make it again: paris run --force --select captions --shards 00001" in said


@pytest.mark.parametrize("asset", ["latents", "captions", "curated_images"])
def test_a_flipped_byte_in_a_table(root: Path, verify: Verify, asset: str) -> None:
    path = root / asset / "00000.parquet"
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(1)
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 3] ^= 4
    path.write_bytes(data)
    status, said = verify()
    assert status == 1
    assert f"{asset}/00000.parquet: expected rows with hash" in said


def test_a_deleted_and_a_truncated_table(root: Path, verify: Verify) -> None:
    (root / "duplicate_groups/all.parquet").unlink()
    path = root / "image_embeddings/00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    _, said = verify()
    assert "duplicate_groups/all.parquet: expected a table with its record, found no such file; bring it back" in said
    assert "image_embeddings/00001.parquet: expected a table with its record, found one that cannot be read" in said


def test_counts_that_the_tables_do_not_have(root: Path, verify: Verify) -> None:
    edit_manifest(root, lambda manifest: manifest["counts"]["source_rows"].update({"in": 25}))
    status, said = verify()
    assert status == 1
    assert "expected counts.source_rows.in = 24, as its tables record, found 25; publish anew: paris run" in said
    assert said.count("expected") == 1


def test_a_table_whose_counts_the_manifest_leaves_out(root: Path, verify: Verify) -> None:
    edit_manifest(root, lambda manifest: manifest["counts"].pop("training_selection"))
    assert verify()[0] == 0
    (root / "training_selection/00001.parquet").unlink()
    status, said = verify()
    assert status == 1
    assert "training_selection/00001.parquet: expected a table with its record, found no such file" in said


def test_a_manifest_that_was_edited_after_it_was_written(root: Path, verify: Verify) -> None:
    store = made_up.flat_root(root.parent / "flat")
    for name in ("pipeline_manifest.json", "router_training/clip.npy"):
        (root.parent / Path(name).name).write_bytes((root / name).read_bytes())
    files = {name: root.parent / Path(name).name for name in ("pipeline_manifest.json", "router_training/clip.npy")}
    store.put("pipeline_manifest", pl.DataFrame({"path": ["x"]}), files=files)
    shutil.copytree(root.parent / "flat/pipeline_manifest", root / "pipeline_manifest")
    status, said = verify()
    assert status == 0, said
    edit_manifest(root, lambda manifest: manifest.update(seed=-1))
    status, said = verify()
    assert status == 1
    assert "pipeline_manifest.json: expected" in said.splitlines()[0]
    assert "1 problem under" in said
    path = root / "router_training/clip.npy"
    np.save(path, np.load(path)[::-1])
    reseal(root)
    expected = "expected router_training/clip.npy with sha256"
    assert expected in verify()[1]


def test_a_data_file_that_is_not_published(root: Path, verify: Verify) -> None:
    store = made_up.flat_root(root.parent / "flat")
    tar = root.parent / "images.tar"
    tar.write_bytes(b"images")
    rows = pl.read_parquet(root / "raw_images/00000.parquet")
    store.put("raw_images", rows, files={"raw_images/00000.tar": tar})
    shutil.copytree(root.parent / "flat/raw_images", root / "raw_images", dirs_exist_ok=True)
    assert verify()[0] == 0
    (root / "raw_images/00000.tar").write_bytes(b"imagEs")
    _, said = verify()
    assert "raw_images/00000.tar: expected sha256" in said
    assert "paris run --force --select raw_images --shards 00000" in said


@pytest.mark.slow
def test_a_remote_root_is_checked_the_same_way(
    root: Path, s3_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url, bucket = f"{s3_url}/verify", boto3.client("s3")
    for path in root.rglob("*.*"):
        if path.is_file() and ".scratch" not in path.parts:
            bucket.upload_file(str(path), "bucket", f"verify/{path.relative_to(root)}")
    assert main(["verify", f"{url}/pipeline_manifest.json"]) == 0
    assert f"no problems under {url}; checked" in capsys.readouterr().out
    assert not list(tmp_path.glob("paris-verify-*"))
    bucket.delete_object(Bucket="bucket", Key="verify/router_training/clip.npy")
    bucket.put_object(Bucket="bucket", Key=f"verify/{TAR}", Body=(root / TAR).read_bytes()[:-1] + b"x")
    assert main(["verify", f"{url}/pipeline_manifest.json"]) == 1
    said = capsys.readouterr().out
    assert "router_training/clip.npy: expected 272 bytes, found no such file" in said
    assert f"{TAR}: expected sha256" in said
    assert main(["verify", f"{url}/absent.json"]) == 2
