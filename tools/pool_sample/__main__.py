"""A pool in the shape of DataComp's, made from the sample's photos.

`python -m tools.pool_sample data/sample` reads `images/` and `credits.jsonl` and writes `pool/`: `images/` (views and
near copies), `metadata/` (`HASH.parquet` with `HASH.npz` beside each) and `labels.parquet` (what each row was made as).
The same rows and pictures every time; vectors differ in their last bits between processors.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tools.pool_sample.photos import read_photos
from tools.pool_sample.pictures import write_pictures
from tools.pool_sample.rows import pool_rows
from tools.pool_sample.scores import held_out_scores
from tools.pool_sample.vectors import arrays

FILES = 2
COLUMNS = {
    "uid": pl.String,
    "url": pl.String,
    "text": pl.String,
    "original_width": pl.Int64,
    "original_height": pl.Int64,
    "clip_b32_similarity_score": pl.Float32,
    "clip_l14_similarity_score": pl.Float32,
    "face_bboxes": pl.List(pl.List(pl.Float64)),
    "sha256": pl.String,
}
"""DataComp's columns and types."""


def make_pool(sample: Path) -> pl.DataFrame:
    """Write `pool/` below the sample's folder, but for its README; all rows with scores and labels."""
    torch.set_num_threads(1)  # sums in one order
    photos = read_photos(sample)
    write_pictures(sample, photos)
    rows = pool_rows(sample, photos)
    vectors = arrays(sample, rows["file"].to_list(), rows["text"].to_list())
    rows = with_scores(rows, vectors)
    folder = sample / "pool" / "metadata"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, part in parts(rows.height).items():
        rows[part].select(pl.col(key).cast(kind) for key, kind in COLUMNS.items()).write_parquet(
            folder / f"{name}.parquet", compression="zstd"
        )
        stored: dict[str, Any] = {key: values[part] for key, values in vectors.items()}
        np.savez_compressed(folder / f"{name}.npz", **stored)
    labels = rows.select("uid", "kind", photo=photo_of())
    labels.write_parquet(sample / "pool" / "labels.parquet", compression="zstd")
    return rows


def parts(rows: int) -> dict[str, slice]:
    """Stem of a file, 32 hex digits -> its rows."""
    names = sorted(hashlib.sha256(f"pool {number}".encode()).hexdigest()[:32] for number in range(FILES))
    size = -(-rows // FILES)
    return {name: slice(number * size, (number + 1) * size) for number, name in enumerate(names)}


def photo_of() -> pl.Expr:
    """The photo that the picture of a row is made of, by its name."""
    return pl.col("file").str.extract(r"([^/]+?)(?:-(?:v\d|again|small|trimmed))?\.\w+$")


def with_scores(rows: pl.DataFrame, vectors: dict[str, np.ndarray]) -> pl.DataFrame:
    """The rows with both scores, and no faces: none were looked for."""
    photos = rows.select(photo_of().rank("dense")).to_series().to_numpy()
    clean = (rows["kind"] == "clean").to_numpy()
    scores = {
        f"clip_{name}_similarity_score": held_out_scores(
            vectors[f"{name}_img"].astype(np.float32), vectors[f"{name}_txt"].astype(np.float32), photos, clean
        )
        for name in ("b32", "l14")
    }
    return rows.with_columns(**scores, face_bboxes=pl.lit([], COLUMNS["face_bboxes"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.pool_sample", description=__doc__)
    parser.add_argument("folder", type=Path, help="the sample's folder")
    made = make_pool(parser.parse_args().folder)
    scores = made.group_by("kind").agg(pl.len(), pl.col("^clip_.*$").median()).sort("kind")
    print(scores)
