"""Whole runs in a few seconds: small pictures of every kind, cheap networks, all assets and the real storage."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from paris_assets.config import Profile
from paris_assets.profiles import load_profile

HOST = "pictures.example"
CHEAP = "paris_assets_tests.models.cheap"
SIDE = 64


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE), quality: int = 90) -> bytes:
    """A JPEG of soft colour patches; every seed another picture."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 256, (6, 6, 3), np.uint8)
    grain = generator.integers(0, 24, (size[1], size[0], 3), np.uint8)
    soft = np.asarray(Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)) // 10 * 9
    file = io.BytesIO()
    Image.fromarray(soft + grain).save(file, "JPEG", quality=quality)
    return file.getvalue()


def rows(count: int, first: int = 0) -> list[tuple[str, bytes | None, str]]:
    """(name, bytes, text) of pictures; some are copies, re-encoded, too small, too wide, broken or absent."""
    found: list[tuple[str, bytes | None, str]] = []
    for number in range(first, first + count):
        text = f"picture number {number}" if number % 3 else ""
        match number % 20:
            case 5:
                data = picture(number - 3)
            case 9:
                data = picture(number - 8, quality=60)
            case 11:
                data = picture(number, (24, 24))
            case 13:
                data = picture(number, (240, 40))
            case 15:
                data = b"<html>not found</html>"
            case 17:
                data = None
            case 19:
                data = picture(number)[:400]
            case _:
                data = picture(number)
        found.append((f"{number:05d}.jpg", data, text))
    return found


def embedded(path: Path, count: int, first: int = 0) -> Path:
    """A Parquet table that embeds its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names, images, texts = zip(*rows(count, first), strict=True)
    pl.DataFrame({"uid": names, "image": pl.Series(images, dtype=pl.Binary), "text": texts}).write_parquet(path)
    return path


def web(folder: Path, count: int, first: int = 0, name: str = "list.parquet") -> Path:
    """A url list in ``folder``, and beside it the folder ``site`` for the loopback server."""
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    behaviours = site / "server.json"
    misbehaving = json.loads(behaviours.read_text()) if behaviours.exists() else {}
    urls, texts = [], []
    for file, data, text in rows(count, first):
        if data is not None:
            (site / file).write_bytes(data)
        if int(file[:5]) % 20 == 7:
            misbehaving[f"/{file}"] = {"fail_first": 1, "status": 503}
        urls.append(f"http://{HOST}/{file}")
        texts.append(text)
    behaviours.write_text(json.dumps(misbehaving))
    pl.DataFrame({"URL": urls, "TEXT": texts}).write_parquet(folder / name)
    return folder / name


def profile(source: str | Path, **overrides: Any) -> Profile:
    """Settings for small pictures and cheap networks; ``section__key=value`` overrides."""
    site = Path(source).parent / "site"
    serve = {"ingest.serve": str(site), "ingest.resolve": {HOST: "serve"}} if site.is_dir() else {}
    small = {
        "name": "small",
        "source.path": str(source),
        "source.rows_per_shard": 20,
        "ingest.serve": None,
        "ingest.backoff_s": 0.01,
        "ingest.timeout_s": 5.0,
        "scores": {"redness": {"implementation": f"{CHEAP}:Redness"}},
        "curation.signal_rules": [
            {"name": "short_side", "column": "short_side", "min": 32},
            {"name": "aspect", "column": "aspect", "max": 3.0},
        ],
        "curation.score_rules": [{"name": "redness", "column": "redness", "max": 0.9}],
        "captions.captioner": {"implementation": f"{CHEAP}:Namer"},
        "text.encoder": {"implementation": f"{CHEAP}:Letters"},
        "text.tokens": 24,
        "embedder": {"implementation": f"{CHEAP}:Colours"},
        "clusters.k": 3,
        "clusters.restarts": 2,
        "clusters.stability_seeds": 2,
        "latents.codec": {"implementation": f"{CHEAP}:Blocks", "batch_size": 4},
        "latents.resolutions": [SIDE],
        "latents.report_images": 4,
        "experts.validation_fraction": 0.2,
        "checks.min_psnr_db": 1.0,
    }
    return load_profile(
        "demo", {**small, **serve, **{key.replace("__", "."): value for key, value in overrides.items()}}
    )


def contents(root: Path) -> dict[str, str]:
    """sha256 of every file under a local root but Dagster's own and what is in the making."""
    names = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(names.items())
        if not name.startswith((".dagster", ".scratch"))
    }
