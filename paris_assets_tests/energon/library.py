"""What runs in the environment of Megatron-Energon; nothing of this project can be imported here.

python library.py read DATA_SET train|val
    prints a JSON object: key of every sample -> [times it came, sha256 of its latent, its split, number of its expert]
python library.py prepare FOLDER
    makes the side files of the tars in a copy of a data set anew, as `energon prepare` does
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from megatron.energon import (  # pyright: ignore[reportMissingImports]
    Cooker,
    DefaultTaskEncoder,
    WorkerConfig,
    basic_sample_keys,
    get_loader,
    get_train_dataset,
    get_val_dataset,
    stateless,
)
from megatron.energon.flavors.webdataset.prepare import WebdatasetPreparator  # pyright: ignore[reportMissingImports]


@stateless
def cook(sample: dict[str, Any]) -> dict[str, Any]:
    told, latent = sample["metadata.json"], hashlib.sha256(sample["latent.npy"].tobytes()).hexdigest()
    return {**basic_sample_keys(sample), "latent": latent, "split": told["split"]}


class Encoder(DefaultTaskEncoder):
    cookers = [Cooker(cook)]


def read(place: str, part: str) -> None:
    workers = WorkerConfig(rank=0, world_size=1, num_workers=0)
    how: dict[str, Any] = {"worker_config": workers, "batch_size": None, "task_encoder": Encoder()}
    if part == "train":
        order = {"shuffle_buffer_size": None, "max_samples_per_sequence": None, "repeat": False}
        data = get_train_dataset(place, split_part=part, **how, **order)
    else:
        data = get_val_dataset(place, split_part=part, **how)
    found: dict[str, list[Any]] = {}
    for sample in get_loader(data):
        told = found.setdefault(
            sample["__key__"], [0, sample["latent"], sample["split"], sample["__subflavors__"]["expert"]]
        )
        told[0] += 1
    print(json.dumps(found))


def prepare(folder: Path) -> None:
    tars = list(json.loads((folder / ".nv-meta/.info.json").read_text())["shard_counts"])
    sides = [(name, f"{name}/.*") for name in ("train", "val")]
    WebdatasetPreparator.prepare_dataset(folder, tars, split_parts_patterns=sides, workers=1)


if __name__ == "__main__":
    if sys.argv[1] == "read":
        read(sys.argv[2], sys.argv[3])
    else:
        prepare(Path(sys.argv[2]))
