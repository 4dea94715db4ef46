"""True tokens: how fast they are encoded by length, against one padded length, and stored as bytes, against lists.

Run: python -m paris_assets_tests.benchmarks.bench_true_tokens
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.captions.text import encode
from paris_assets.config import Model, Text
from paris_assets.models.registry import build
from paris_assets.process import cores
from paris_assets.vectors.true_tokens import packed

CAPTIONS, TOKENS, BATCH = 512, 256, 16
ROWS, DIM = 1000, 2048


def main() -> None:
    """Print both tables."""
    generator = np.random.default_rng(0)
    words = np.clip(generator.poisson(28, CAPTIONS), 1, 200)
    rows = pl.DataFrame(
        {
            "image_id": [f"{row:032x}" for row in range(CAPTIONS)],
            "caption": [" ".join(["barn"] * count) for count in words],
        }
    )
    encoder = build(Model(implementation="small-t5", batch_size=BATCH, precision="fp32"))
    print(f"{CAPTIONS} captions of {words.mean():.0f} words, {TOKENS} tokens at most, {cores()} cores")
    for stored in ("padded", "true_tokens"):
        settings, start = Text(tokens=TOKENS, stored=stored), time.perf_counter()
        size = pl.concat(encode(rows, encoder, settings)).estimated_size() / 2**20
        print(f"  {stored:12} {CAPTIONS / (time.perf_counter() - start):8.0f} captions/s {size:8.1f} MiB")
    tokens = np.clip(generator.poisson(30, ROWS), 1, TOKENS)
    states = [generator.standard_normal((count, DIM), np.float32).astype(np.float16) for count in tokens]
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(states).ravel()), DIM)
    lists = pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], tokens.cumsum()])), values)
    print(f"{ROWS} rows of {tokens.mean():.0f} tokens of {DIM} float16, {tokens.sum() * DIM * 2 / 1e6:.0f} MB")
    for name, column in (("lists", lists), ("bytes", packed(states).to_arrow(compat_level=pl.CompatLevel.oldest()))):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "states.parquet"
            start = time.perf_counter()
            pq.write_table(pa.table({"states": column}), path, compression="none", use_dictionary=False)
            written = time.perf_counter()
            pl.read_parquet(path)
            read = time.perf_counter()
        mb = tokens.sum() * DIM * 2 / 1e6
        print(f"  {name:12} {mb / (written - start):8.0f} MB/s written {mb / (read - written):8.0f} MB/s read")


if __name__ == "__main__":
    main()
