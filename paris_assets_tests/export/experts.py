"""A root whose experts are published, with a manifest that describes their samples."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.experts.format import described
from paris_assets.experts.router import ARRAYS
from paris_assets.storage.tar_members import members
from paris_assets.verification.manifest_checks import MANIFEST
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot
from paris_assets_tests.verification.published import edit_manifest, publish_two_shards, seal

ROOTS: dict[str, dict[str, Any]] = {
    "mixed": {},
    "apart": {"experts.split_tars": True, "text.stored": "true_tokens", "text.pooled": "masked_mean"},
    "coded": {**made_up.SIZES, "experts.codec": {"latents": {}, "text": {}}},
}
"""Name -> settings: tars that hold both sides of the split; one side and true tokens; sizes in buckets, as uint8."""
Samples = dict[str, dict[str, Any]]
"""image_id -> member -> content: arrays as arrays, JSON as values, captions as text."""


def published(folder: Path, **settings: Any) -> MadeUpRoot:
    """Two experts of twelve samples each, in two shards; a third of them is held out."""
    store = publish_two_shards(folder, **settings)
    codec = json.loads((folder / MANIFEST).read_text())["format"].get("codec")
    arrays = {f"router_training/{name}.npy": folder / f"router_training/{name}.npy" for name in ARRAYS}
    factors = {"scaling_factor": 0.5, "shift_factor": 0.0}
    empty = folder / "expert_shards/empty_prompt.npy"
    found = {path: file for path, file in arrays.items() if file.exists()}
    form = described(store.profile, factors, {}, {}, found, empty, codec, {})
    edit_manifest(folder, lambda manifest: manifest.update(format=form))
    if codec:
        (folder / "expert_shards/codec.json").write_text(json.dumps(codec))
        told = {"path": "expert_shards/codec.json", "samples": None}
        edit_manifest(folder, lambda manifest: manifest["files"].append(told))
    seal(folder)
    return store


def samples(root: Path) -> Samples:
    """All samples of the tars of a root's experts."""
    found: Samples = {}
    for tar in sorted(root.glob("expert_shards/*/*.tar")):
        data = tar.read_bytes()
        for member in members(data):
            content = data[member.offset : member.offset + member.size]
            found.setdefault(member.key, {})[member.name.partition(".")[2]] = _value(member.name, content)
    return found


def _value(name: str, content: bytes) -> Any:
    if name.endswith(".npy"):
        return np.load(io.BytesIO(content), allow_pickle=False)
    return json.loads(content) if name.endswith(".json") else content.decode()
