"""What runs in the environment of mosaicml-streaming; nothing of this project can be imported here.

python library.py read '{"local": FOLDER, "remote": URL or null, "ranks": 2, "shuffle": true, "hash": null}'
    prints a JSON list per rank: [image_id, sha256 of each column's bytes] of every sample, in the order it came
python library.py write FOLDER
    writes the samples of ``samples`` with MDSWriter
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = {
    "id": "str",
    "latent": "ndarray:uint8:1,2,2",
    "n": "uint16",
    "text": "ndarray:float16",
    "u": "ndarray:float16:2",
    "half": "float16",
    "count": "int",
    "minus": "int32",
    "said": "json",
    "raw": "bytes",
}


def samples() -> list[dict[str, Any]]:
    """Of every encoding that the project uses: arrays of one shape and of any, empty texts, alphabets."""
    generator = np.random.default_rng(0)
    said = ["", "é", "日本語 🙂", "a" * 300]
    return [
        {
            "id": said[i % 4],
            "latent": generator.integers(0, 256, (1, 2, 2), np.uint8),
            "n": i,
            "text": generator.standard_normal((1 + i * 37 % 300, 3)).astype(np.float16),
            "u": generator.standard_normal(2).astype(np.float16),
            "half": np.float16(i / 7),
            "count": -i,
            "minus": -1,
            "said": {"a": [1, None, "é"], "b": i / 3},
            "raw": bytes(range(i % 5)),
        }
        for i in range(40)
    ]


def fingerprint(sample: dict[str, Any]) -> dict[str, str]:
    """Column -> hash of its value."""
    values = {
        name: value.tobytes() if isinstance(value, np.ndarray) else json.dumps(np.asarray(value).tolist()).encode()
        for name, value in sample.items()
    }
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(values.items())}


def write(folder: str) -> None:
    """With a limit that cuts several files."""
    from streaming import MDSWriter  # pyright: ignore[reportAttributeAccessIssue]

    with MDSWriter(columns=COLUMNS, out=folder, hashes=["sha256", "xxh64"], size_limit=1 << 14) as writer:
        for sample in samples():
            writer.write(sample)


def written(folder: str, count: int, text: tuple[int, int], hashes: list[str]) -> None:
    """Print the seconds in which MDSWriter writes and syncs so many samples of latents and text."""
    from streaming import MDSWriter  # pyright: ignore[reportAttributeAccessIssue]

    columns = {"id": "str", "latent": "ndarray:float16:4,32,32", "text": f"ndarray:float16:{text[0]},{text[1]}"}
    generator = np.random.default_rng(0)
    texts = generator.standard_normal((64, *text)).astype(np.float16)
    latents = generator.standard_normal((64, 4, 32, 32)).astype(np.float16)
    start = time.perf_counter()
    with MDSWriter(columns=columns, out=folder, hashes=hashes) as writer:
        for i in range(count):
            writer.write({"id": f"{i:032x}", "latent": latents[i % 64], "text": texts[i % 64]})
    for path in Path(folder).iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    print(time.perf_counter() - start)


def read(given: dict[str, Any]) -> None:
    """One process per rank, as a launcher starts them."""
    import streaming  # noqa: F401  (loaded once, before the processes are forked)

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_rank, args=(given, rank, queue)) for rank in range(given["ranks"])]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=200) for _ in processes)
    for process in processes:
        process.join()
    print(json.dumps([found[rank] for rank in range(given["ranks"])]))


def _rank(given: dict[str, Any], rank: int, queue: Any) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(given["ranks"]),
        "LOCAL_WORLD_SIZE": str(given["ranks"]),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(given["port"]),
    }
    from streaming import StreamingDataset  # pyright: ignore[reportAttributeAccessIssue]

    dataset = StreamingDataset(
        local=given["local"],
        remote=given["remote"],
        batch_size=1,
        shuffle=given["shuffle"],
        validate_hash=given["hash"],
        num_canonical_nodes=1,
    )
    queue.put((rank, [(str(sample["image_id"]), fingerprint(sample)) for sample in dataset]))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    elif sys.argv[1] == "time":
        written(sys.argv[2], *json.loads(sys.argv[3]))
    else:
        read(json.loads(sys.argv[2]))
