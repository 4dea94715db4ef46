"""Each kind of defect in a published folder is named by its own line, and a sound folder by none."""

import json
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.dag.s3 import open_location
from paris_assets.verification.findings import Findings, made_again
from paris_assets.verification.manifest_checks import MANIFEST, parse_manifest
from paris_assets.verification.published import verify_published
from paris_assets.verification.router_files import open_array
from paris_assets.verification.sample_shapes import Shapes
from paris_assets.verification.tar_samples import array_start
from paris_assets_tests.verification.published import edit_manifest, publish_two_shards, seal

TAR = "expert_shards/cluster_0/00000-00000.tar"
OTHER = "expert_shards/cluster_1/00000-00000.tar"
Member = tuple[str, bytes]


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "root"))


def problems(folder: Path) -> list[str]:
    findings = Findings()
    root = open_location(folder)
    verify_published(root, parse_manifest(root.read(MANIFEST), MANIFEST), findings)
    return [str(problem) for problem in findings.problems]


def members(path: Path) -> list[Member]:
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def rewrite_tar(path: Path, contents: list[Member]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in contents:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, BytesIO(data))


def change_member(folder: Path, kind: str, change: Callable[[bytes], bytes], path: str = TAR) -> str:
    """Change one member of the first sample and seal the folder; returns its key."""
    contents = members(folder / path)
    key = contents[0][0].split(".")[0]
    rewrite_tar(folder / path, [(name, change(data) if name == f"{key}.{kind}" else data) for name, data in contents])
    seal(folder)
    return key


def changed_metadata(**values: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **values}).encode()


def npy(array: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


def rewrite_arrays(
    folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray], also_joined: bool = True
) -> None:
    """Change the first shard's array, and the consolidated one alike."""
    path = folder / f"router_arrays/00000/{name}.npy"
    changed = change(np.load(path))
    np.save(path, changed)
    if also_joined:
        joined = folder / f"router_training/{name}.npy"
        np.save(joined, np.concatenate([changed, np.load(folder / f"router_arrays/00001/{name}.npy")]))
    seal(folder)


def assert_named(folder: Path, *parts: str, count: int | None = None) -> None:
    """One line holds all parts (file, expectation, finding); ``count`` lines in all when it is given."""
    said = problems(folder)
    assert any(all(part in line for part in parts) for line in said), said
    assert count is None or len(said) == count, said


def test_a_sound_folder_has_no_problem_and_everything_was_read(folder: Path) -> None:
    findings, manifest = Findings(), json.loads((folder / MANIFEST).read_text())
    verify_published(open_location(folder), manifest, findings)
    assert findings.problems == []
    assert findings.checked["files"] == len(manifest["files"]) == 4 + 12 + 6 + 1
    assert findings.checked["bytes"] == sum(file["size_bytes"] for file in manifest["files"])
    assert findings.checked["samples"] == 24
    assert findings.checked["joined values"] == 24 * (3 + 6)


def test_numbered_router_files_are_joined_too(tmp_path: Path) -> None:
    publish_two_shards(tmp_path / "root", max_bytes=5 * 8192)
    assert (tmp_path / "root/router_training/latents-00004.npy").exists()
    assert problems(tmp_path / "root") == []
    path = tmp_path / "root/router_training/labels-00003.npy"
    np.save(path, 1 - np.load(path))
    seal(tmp_path / "root")
    assert_named(
        tmp_path / "root",
        "router_training/labels-00003.npy: expected row 3 of router_arrays/00001/labels.npy as row 0, found another",
        count=1,
    )
    (tmp_path / "root/router_training/index.json").write_text("[]")
    seal(tmp_path / "root")
    assert_named(tmp_path / "root", "router_training/index.json: expected rows of every part", count=1)


# Files


def test_one_byte_of_a_tar(folder: Path) -> None:
    data = bytearray((folder / TAR).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / TAR).write_bytes(data)
    assert_named(folder, f"{TAR}: expected sha256", "paris run --force --select expert_shards --shards 00000")


@pytest.mark.parametrize(
    "path", [TAR, "router_arrays/00001/clip.npy", "router_training/latents.npy", "expert_shards/empty_prompt.npy"]
)
def test_a_deleted_file(folder: Path, path: str) -> None:
    (folder / path).unlink()
    assert_named(folder, f"{path}: expected", "found no such file; bring it back: paris run")


@pytest.mark.parametrize("path", ["router_arrays/00000/latents.npy", "router_training/embeddings.npy", TAR])
def test_a_truncated_file(folder: Path, path: str) -> None:
    data = (folder / path).read_bytes()
    (folder / path).write_bytes(data[: len(data) // 2])
    assert_named(folder, f"{path}: expected {len(data)} bytes, found {len(data) // 2} bytes")
    assert_named(folder, path, "cut off" if path == TAR else "cannot be read")
    (folder / path).write_bytes(b"")
    assert_named(folder, f"{path}: expected {len(data)} bytes, found 0 bytes")


@pytest.mark.parametrize(
    "path", ["expert_shards/cluster_7/00000-00000.tar", "router_training/old.npy", "router_arrays/00009/clip.npy"]
)
def test_a_stray_file(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(b"x")
    assert_named(folder, f"{path}: expected only files that {MANIFEST} lists", "delete it", count=1)


def test_a_path_that_leads_out_of_the_folder_is_not_read(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(b"secret")
    for path in ("../secret", str(secret), f"file://{secret}"):
        entry = {"path": path, "size_bytes": 6, "sha256": "", "samples": None}
        edit_manifest(folder, lambda manifest, entry=entry: manifest["files"].append(entry))
    said = [line for line in problems(folder) if "leads out of it" in line]
    assert len(said) == len(problems(folder)) == 3


# The manifest


def test_an_edited_version(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(version="0" * 16), version=False)
    assert_named(folder, f"{MANIFEST}: expected version", "found 0000000000000000", count=1)


@pytest.mark.parametrize(
    ("asset", "side", "said"),
    [
        ("latents", "out", "counts.latents: in = out + rejects, found 24 in, 23 + 0"),
        ("captions", "out", "counts.captions.out = counts.curated_images.out = 24, found 23"),
        ("cluster_assignments", "out", "counts.cluster_assignments.out = counts.image_embeddings.out = 24, found 23"),
        ("router_arrays", "out", "images_per_cluster to add up to counts.router_arrays.out = 23, found 24"),
    ],
)
def test_an_edited_count(folder: Path, asset: str, side: str, said: str) -> None:
    edit_manifest(folder, lambda manifest: manifest["counts"][asset].update({side: 23}))
    assert_named(folder, f"{MANIFEST}: expected {said}")


def test_edited_cluster_counts(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["images_per_cluster"].update({"0": 13, "1": 11}))
    assert_named(folder, f"{MANIFEST}: expected images_per_cluster.0 = 12, as the tars hold, found 13")


def test_files_and_shards_that_disagree(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["shards"].remove("00001"))
    assert_named(folder, f"{MANIFEST}: expected files of the shards 00000, found files of shard 00001")
    edit_manifest(folder, lambda manifest: manifest.update(shards=["00000", "00001", "00002"]))
    assert_named(folder, f"{MANIFEST}: expected router_arrays/00002/clip.npy listed, found not listed")
    edit_manifest(folder, lambda manifest: manifest["shards_missing"].append("00000"))
    assert_named(folder, "shard 00000 either in shards or in shards_missing, found in both")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1}', "\xff"])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(ValueError, match="give the path of a pipeline_manifest"):
        parse_manifest(text.encode("latin1"), "x.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held["counts"].update(latents=5), "counts.latents is not in, out and rejects by reason, 5"),
        (lambda held: held["counts"]["latents"].pop("rejects"), "counts.latents is not in, out and rejects"),
        (lambda held: held["counts"]["latents"].update({"in": None}), "counts.latents is not in, out and rejects"),
        (lambda held: held["files"][0].update(samples="x"), "samples of .* is no whole number, 'x'"),
        (lambda held: held["images_per_cluster"].update({"0": "x"}), "images_per_cluster has other values"),
        (lambda held: held["settings"].pop("latents"), "settings.latents.resolutions is not whole numbers, None"),
        (lambda held: held["settings"]["latents"].update(resolutions=[]), "settings.latents.resolutions is not"),
        (lambda held: held["settings"].pop("experts"), "settings.experts.validation_fraction is not a share"),
        (lambda held: held["settings"].update(text=None), "settings.text.tokens is not a whole number, None"),
        (lambda held: held["shards"].append(7), "shards holds what is no name of a shard, 7"),
        (lambda held: held["shards"].append("../00000"), "shards holds what is no name of a shard, '../00000'"),
        (lambda held: held["shards_missing"].append(".."), "shards_missing holds what is no name of a shard"),
        (lambda held: held["shards_missing"].append("a\0"), "shards_missing holds what is no name of a shard"),
        (lambda held: held.update(profile="\ud800"), "is no JSON .*surrogates"),
    ],
)
def test_a_manifest_of_other_types(folder: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    edit_manifest(folder, change, version=False)
    with pytest.raises(ValueError, match=f"{said}.*: give the path of a pipeline_manifest"):
        parse_manifest((folder / MANIFEST).read_bytes(), "x.json")


def test_a_manifest_nested_too_deeply() -> None:
    with pytest.raises(ValueError, match="is no JSON"):
        parse_manifest(b"[" * 100_000 + b"]" * 100_000, "x.json")


def test_a_path_with_a_nul(folder: Path) -> None:
    entry = {"path": "expert_shards/a\0", "size_bytes": 6, "sha256": "", "samples": None}
    edit_manifest(folder, lambda manifest: manifest["files"].append(entry))
    assert_named(folder, "expert_shards/a\\0: expected a path below the manifest's folder", "a NUL", count=1)


# Samples


def test_a_missing_member(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / TAR, contents[1:])
    seal(folder)
    key = contents[0][0].split(".")[0]
    assert_named(
        folder, f"{TAR}: expected the members caption.txt, clip_emb.npy", "found clip_emb.npy", f"sample: {key};"
    )


def test_members_that_are_not_adjacent(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / TAR, [*contents[1:], contents[0]])
    seal(folder)
    assert_named(folder, f"{TAR}: expected every sample once, found a sample repeated or split", contents[0][0][:32])


def test_a_sample_twice_in_a_tar(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / TAR, contents[:4] + contents)
    seal(folder)
    assert_named(folder, f"{TAR}: expected the members", "found caption.txt, caption.txt,", contents[0][0][:32])
    rewrite_tar(folder / TAR, contents + contents[:4])
    seal(folder)
    assert_named(folder, f"{TAR}: expected every sample once", contents[0][0][:32])
    assert_named(folder, f"{TAR}: expected 6 samples, found 7")


def test_a_sample_in_the_tars_of_two_experts(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / OTHER, contents[:4] + members(folder / OTHER))
    seal(folder)
    key = contents[0][0][:32]
    assert_named(folder, f"{OTHER}: expected cluster in metadata.json as the sample has it", key)
    assert_named(folder, f"{TAR}: expected every image in one tar, found an image of another tar too", key)


def test_a_sample_in_two_shards(folder: Path) -> None:
    path = "expert_shards/cluster_0/00001-00000.tar"
    contents = members(folder / TAR)
    rewrite_tar(folder / path, contents[:4] + members(folder / path))
    seal(folder)
    assert_named(folder, "expert_shards: expected every image in one shard", contents[0][0][:32])
    assert_named(folder, f"{path}: expected samples of router_arrays/00001/image_ids.npy", contents[0][0][:32])


def test_samples_out_of_order(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / TAR, contents[4:8] + contents[:4] + contents[8:])
    seal(folder)
    assert_named(folder, f"{TAR}: expected samples sorted by image_id", contents[0][0][:32], count=1)


def test_a_key_that_is_no_image_id(folder: Path) -> None:
    contents = members(folder / TAR)
    rewrite_tar(folder / TAR, [(name.replace(contents[0][0][:32], "../up"), data) for name, data in contents])
    seal(folder)
    assert_named(folder, f"{TAR}: expected 32 hex digits as key")


def test_a_tar_that_is_none(folder: Path) -> None:
    data = (folder / TAR).read_bytes()
    for damaged, said in (
        (b"no tar at all" * 100, "a damaged header at byte 0"),
        (data[:512].replace(b"ustar", b"vstar") + data[512:], "a damaged header at byte 0"),
        (data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512), "no end of archive"),
        (data + b"x" * 512, "data after the end of the archive"),
    ):
        (folder / TAR).write_bytes(damaged)
        seal(folder)
        assert_named(folder, f"{TAR}: expected a whole tar of plain members", said)


def test_a_link_in_a_tar(folder: Path) -> None:
    with tarfile.open(folder / TAR, "w") as tar:
        link = tarfile.TarInfo("0" * 32 + ".caption.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    seal(folder)
    assert_named(folder, f"{TAR}: expected a whole tar of plain members", "of type '2'")


SHAPED = "latent.npy readable, float16, finite, of one shape"


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("latent.npy", lambda data: data[:-2], "latent.npy that cannot be read"),
        ("latent.npy", lambda data: npy(np.zeros((4, 32, 32), np.float32)), "latent.npy of float32"),
        ("latent.npy", lambda data: npy(np.zeros((4, 16, 64), np.float16)), "shape (4, 16, 64), not (4, 32, 32)"),
        ("latent.npy", lambda data: npy(np.full((4, 32, 32), np.nan, np.float16)), "values that are not finite"),
        ("latent.npy", lambda data: npy(np.full((4, 32, 32), -np.inf, np.float16)), "values that are not finite"),
        ("latent.npy", lambda data: npy(np.array([print], object)), "latent.npy that cannot be read"),
        ("clip_emb.npy", lambda data: npy(np.zeros((4, 3), np.float16)), "clip_emb.npy of shape (4, 3), not (5, 3)"),
        ("metadata.json", lambda data: b"{", "no JSON"),
        ("metadata.json", lambda data: b"[]", "no JSON object"),
        ("metadata.json", changed_metadata(tokens="7"), "missing or of another type: tokens"),
        ("metadata.json", lambda data: b"[" * 100_000, "no JSON"),
        ("metadata.json", changed_metadata(url="\ud800"), "missing or of another type: url"),
        ("metadata.json", changed_metadata(tokens=2**63), "missing or of another type: tokens"),
        ("metadata.json", changed_metadata(aesthetic=10**400), "missing or of another type: aesthetic"),
        ("metadata.json", changed_metadata(cluster=1), "another cluster"),
        ("metadata.json", changed_metadata(image_id="f" * 32), "another image_id"),
        ("metadata.json", changed_metadata(split=2), "another split"),
        ("caption.txt", lambda data: b"another caption", "another caption"),
        ("caption.txt", lambda data: b"\xff", "another caption"),
    ],
)
def test_a_damaged_member(folder: Path, kind: str, change: Callable[[bytes], bytes], said: str) -> None:
    key = change_member(folder, kind, change)
    assert_named(folder, f"{TAR}: expected", said, f"in 1 sample: {key};")


def test_a_float16_of_largest_value_is_finite(folder: Path) -> None:
    change_member(folder, "clip_emb.npy", lambda data: npy(np.full((5, 3), -65504, np.float16)))
    assert problems(folder) == []


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """True tokens alone, and no pooled vectors."""
    folder = tmp_path_factory.mktemp("ragged")
    settings: dict[str, Any] = {"text.stored": "true_tokens"}
    publish_two_shards(folder, **settings)
    assert problems(folder) == []
    return folder


def test_true_tokens_that_are_not_as_many_as_the_metadata_says(ragged: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ragged, tmp_path / "root"))
    tokens = json.loads(next(data for name, data in members(folder / TAR) if name.endswith("metadata.json")))["tokens"]
    change_member(folder, "clip_emb.npy", lambda data: npy(np.ones((tokens + 1, 3), np.float16)))
    assert_named(folder, f"clip_emb.npy of shape ({tokens + 1}, 3), not ({tokens}, 3)", count=1)
    change_member(folder, "clip_emb.npy", lambda data: npy(np.ones((tokens, 4), np.float16)))
    assert_named(folder, f"clip_emb.npy of shape ({tokens}, 4), not ({tokens}, 3)", count=1)
    change_member(folder, "clip_emb.npy", lambda data: npy(np.ones((tokens, 3), np.float16)))
    assert problems(folder) == [], "another array is what only the tables tell"


def test_an_empty_prompt_without_tokens(ragged: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ragged, tmp_path / "root"))
    np.save(folder / "expert_shards/empty_prompt.npy", np.zeros((0, 3), np.float16))
    seal(folder)
    assert_named(folder, "expert_shards/empty_prompt.npy: expected a finite float16 .npy of shape (1 to 5, dim)")


def test_pooled_vectors_that_the_format_describes_are_missed(ragged: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ragged, tmp_path / "root"))
    edit_manifest(folder, lambda held: held["format"]["router"]["arrays"].update(clip={}))
    assert_named(folder, f"{MANIFEST}: expected router_arrays/00000/clip.npy listed", "not listed")


# Router arrays


def test_two_rows_exchanged_in_all_arrays_but_one(folder: Path) -> None:
    rewrite_arrays(folder, "latents", lambda array: array[[1, 0, *range(2, 12)]])
    assert_named(
        folder, "router_arrays/00000/latents.npy: expected the latent in the sample's tar", "2 samples", count=1
    )


def test_a_wrong_label(folder: Path) -> None:
    rewrite_arrays(folder, "labels", lambda array: np.concatenate([1 - array[:1], array[1:]]))
    assert_named(folder, "router_arrays/00000/labels.npy: expected the expert whose tar holds the sample", count=1)


def test_a_wrong_split(folder: Path) -> None:
    rewrite_arrays(folder, "split", lambda array: np.concatenate([1 - array[:1], array[1:]]))
    assert_named(folder, "router_arrays/00000/split.npy: expected the split in the sample's metadata.json", count=1)


def test_ids_out_of_order_and_unknown(folder: Path) -> None:
    rewrite_arrays(folder, "image_ids", lambda array: array[[1, 0, *range(2, 12)]])
    assert_named(folder, "router_arrays/00000/image_ids.npy: expected ids rising from row to row", "row 1;")
    rewrite_arrays(folder, "image_ids", lambda array: np.sort(np.append(array[1:], b"f" * 32)))
    assert_named(folder, "router_arrays/00000/image_ids.npy: expected ids of the shard's tars", "f" * 32)
    assert_named(folder, ".tar: expected samples of router_arrays/00000/image_ids.npy, found an id that is not there")


@pytest.mark.parametrize("name", ["latents", "labels", "embeddings", "clip", "image_ids", "split"])
def test_another_row_in_the_consolidated_array(folder: Path, name: str) -> None:
    path = folder / f"router_training/{name}.npy"
    array = np.load(path)
    changed = array.copy()
    changed.view(np.uint8).reshape(24, -1)[20, -1] ^= 1
    np.save(path, changed)
    seal(folder)
    expected = f"row 8 of router_arrays/00001/{name}.npy as row 20"
    assert_named(folder, f"router_training/{name}.npy: expected {expected}, found another row", count=1)
    for wrong, said in ((array[:20], "20"), (np.concatenate([array, array[:1]]), "25")):
        np.save(path, wrong)
        seal(folder)
        assert_named(folder, f"router_training/{name}.npy: expected 24 rows in all", f"found {said}", count=1)


def test_arrays_of_another_kind(folder: Path) -> None:
    rewrite_arrays(folder, "labels", lambda array: array.astype(np.int32))
    assert_named(folder, "router_arrays/00000/labels.npy: expected an .npy file of <i8 with 1 axes, found <i4")
    rewrite_arrays(folder, "clip", lambda array: array * np.float16(np.nan))
    assert_named(folder, "router_arrays/00000/clip.npy: expected finite values")


def test_a_short_array(folder: Path) -> None:
    rewrite_arrays(folder, "clip", lambda array: array[:-1], also_joined=False)
    assert_named(folder, "router_arrays/00000/: expected arrays of equal length", "clip 11")
    assert_named(folder, "router_arrays/00000/clip.npy: expected 12 rows, found 11")


@pytest.mark.parametrize("path", ["router_arrays/00000/clip.npy", "router_arrays/00000/labels.npy"])
def test_a_shard_without_an_array_is_not_held_against_later_shards(folder: Path, path: str) -> None:
    (folder / path).unlink()
    assert_named(folder, f"{path}: expected", "found no such file", count=1)


def test_a_flipped_bit_of_an_array_header_is_a_finding_or_harmless(tmp_path: Path) -> None:
    path, latent = tmp_path / "latents.npy", np.zeros((4, 32, 32), np.float16)
    named = 0
    for bit in range(8 * 128):
        for array in (latent[None], latent):
            data = bytearray(npy(array))
            data[bit // 8] ^= 1 << bit % 8
            if array.ndim == 4:
                path.write_bytes(data)
                findings = Findings()
                read = open_array("latents.npy", path, "latents", findings)
                assert (read is None) == bool(findings.problems)
                named += read is None
            else:
                named += bool(array_start(bytes(data), "latent.npy", Shapes(latent.shape))[1])
    assert named > 1000


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"\x93NUMPY\x01\x00\x02\x00((", b"", "archive"])
def test_files_that_only_begin_like_arrays(folder: Path, data: bytes | str) -> None:
    archive = BytesIO()
    np.savez(archive, labels=np.zeros(12, np.int64))
    content = data if isinstance(data, bytes) else archive.getvalue()
    for path in ("router_arrays/00000/labels.npy", "expert_shards/empty_prompt.npy"):
        (folder / path).write_bytes(content)
    change_member(folder, "latent.npy", lambda _: content)
    for path in ("router_arrays/00000/labels.npy", "expert_shards/empty_prompt.npy", TAR):
        assert_named(folder, f"{path}: expected", "cannot be read")


def test_an_empty_prompt_of_another_shape(folder: Path) -> None:
    np.save(folder / "expert_shards/empty_prompt.npy", np.zeros((4, 3), np.float16))
    seal(folder)
    assert_named(folder, "expert_shards/empty_prompt.npy: expected a finite float16 .npy of shape (5, dim)", count=1)


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("expert_shards/cluster_12/00003-00001.tar", "--select expert_shards --shards 00003"),
        ("router_arrays/00003/clip.npy", "--select router_arrays --shards 00003"),
        ("router_training/latents-00001.npy", "--select pipeline_manifest"),
        ("expert_shards/empty_prompt.npy", "--select expert_summary"),
        ("captions/00003.parquet", "--select captions --shards 00003"),
        ("raw_images/00003.tar", "--select raw_images --shards 00003"),
        ("cluster_model/all.parquet", "--select cluster_model"),
        ("analysis/cluster_0_grid.png", "--select cluster_report"),
        ("analysis/curation_report.html", "--select curation_report"),
        ("analysis/concept_sweep.html", "--select concept_model"),
        ("subsets/basic-random-0.npy", "--select subset_files"),
    ],
)
def test_what_to_do(file: str, command: str) -> None:
    assert made_again(file) == f"make it again: paris run --force {command}"
