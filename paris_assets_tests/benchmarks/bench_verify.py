"""`paris verify` on 20,000 made-up samples against `sha256sum` of the same bytes.

python -m paris_assets_tests.benchmarks.bench_verify [FOLDER] [SAMPLES]
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from webdataset.writer import TarWriter

from paris_assets.experts.router import ARRAYS, consolidate
from paris_assets.verification.manifest_checks import ACCOUNTED, MANIFEST, version_of

SHARDS, CLUSTERS = 4, 8
TEXT, LATENT, DIM = (77, 384), (4, 32, 32), 1280


def make(folder: Path, samples: int) -> None:
    """Publish random samples of the demo's shapes."""
    arrays, files, per_cluster = [], [], dict.fromkeys(map(str, range(CLUSTERS)), 0)
    for number in range(SHARDS):
        shard, count = f"{number:05d}", samples // SHARDS
        ids = sorted(hashlib.sha256(f"{number} {row}".encode()).hexdigest()[:32] for row in range(count))
        generator = np.random.default_rng(number)
        latents = generator.standard_normal((count, *LATENT), np.float32).astype(np.float16)
        labels = np.arange(count) % CLUSTERS
        tars = {}
        for cluster in range(CLUSTERS):
            path = f"expert_shards/cluster_{cluster}/{shard}-00000.tar"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            tars[cluster] = TarWriter(str(folder / path), user="", group="", mode=0o644, mtime=0)
            files.append({"path": path, "samples": int((labels == cluster).sum())})
            per_cluster[str(cluster)] += files[-1]["samples"]
        text = generator.standard_normal(TEXT, np.float32).astype(np.float16)
        for row, name in enumerate(ids):
            tars[int(labels[row])].write(_members(name, int(labels[row]), np.roll(text, row), latents[row]))
        for tar in tars.values():
            tar.close()
        values = {
            "latents": latents,
            "labels": labels.astype(np.int64),
            "embeddings": generator.standard_normal((count, DIM), np.float32).astype(np.float16),
            "clip": generator.standard_normal((count, TEXT[1]), np.float32).astype(np.float16),
            "image_ids": np.array(ids, "S32"),
            "split": np.zeros(count, np.uint8),
        }
        (folder / "router_arrays" / shard).mkdir(parents=True)
        arrays.append({name: folder / "router_arrays" / shard / f"{name}.npy" for name in ARRAYS})
        for name, path in arrays[-1].items():
            np.save(path, values[name], allow_pickle=False)
            files.append({"path": str(path.relative_to(folder)), "samples": count})
    (folder / "router_training").mkdir()
    written = consolidate(arrays, folder / "router_training", 2 * 10**9)
    np.save(folder / "expert_shards/empty_prompt.npy", np.zeros(TEXT, np.float16))
    files += [{"path": str(path.relative_to(folder)), "samples": None} for path in written.values()]
    files.append({"path": "expert_shards/empty_prompt.npy", "samples": None})
    _seal(folder, files, per_cluster, samples)


def _members(name: str, cluster: int, text: np.ndarray, latent: np.ndarray) -> dict[str, Any]:
    size = {"original_width": 640, "original_height": 480, "crop_top": 0, "crop_left": 43, "upscaled": False}
    place = {"cluster": cluster, "fine_cluster": None, "distance": 0.5, "second_distance": 0.75, "split": 0}
    said = {"caption": "a photo of a dog", "captioner": "source_text", "source_text": "a photo of a dog", "tokens": 7}
    said |= {"truncated": 0}
    said |= {"caption_kind": "source"}
    origin = {"image_id": name, "group_id": name, "url": f"http://photos.example/{name}.jpg", "aesthetic": None}
    metadata = {**origin, **size, **place, **said}
    arrays = {"clip_emb.npy": text, "latent.npy": latent}
    return {"__key__": name, "caption.txt": metadata["caption"], **arrays, "metadata.json": metadata}


def _seal(folder: Path, files: list[dict[str, Any]], per_cluster: dict[str, int], samples: int) -> None:
    for file in files:
        data = (folder / file["path"]).read_bytes()
        file |= {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest: dict[str, Any] = {
        "counts": {
            asset: {"in": samples, "out": samples, "rejects": {}}
            for asset in (*ACCOUNTED, "expert_shards", "router_arrays")
        },
        "files": files,
        "images_per_cluster": per_cluster,
        "settings": {
            "text": {"tokens": TEXT[0]},
            "latents": {"resolutions": [256]},
            "experts": {"validation_fraction": 0.05},
        },
        "shards": [f"{number:05d}" for number in range(SHARDS)],
        "shards_missing": [],
    }
    (folder / MANIFEST).write_text(json.dumps({**manifest, "version": version_of(manifest)}))


def main() -> None:
    """Print seconds of both, best of three, alternating."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    make(folder, samples)
    manifest, ours, theirs = json.loads((folder / MANIFEST).read_text()), [], []
    paths = [str(folder / file["path"]) for file in manifest["files"]]
    size = sum(file["size_bytes"] for file in manifest["files"])
    command = [sys.executable, "-m", "paris_assets.cli", "verify", str(folder / MANIFEST)]
    for _ in range(3):
        for run, seconds in ((["sha256sum", *paths], theirs), (command, ours)):
            start = time.perf_counter()
            subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{samples} samples, {len(paths)} files, {size / 1e9:.2f} GB; largest process {peak:.2f} GiB")
    for name, seconds in (("sha256sum", min(theirs)), ("paris verify", min(ours))):
        print(f"{name:14} {seconds:6.2f} s  {size / seconds / 1e6:7.0f} MB/s  {samples / seconds:7.0f} samples/s")
    print(f"ratio {min(ours) / min(theirs):.2f}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
