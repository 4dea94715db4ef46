"""Where weights lie that a profile names by `path`, and which ones they are.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError, sha256
from paris_assets.models.hub import cached, hub_problem, in_cache, is_hub_name, listed_parts

SMALL_VAE = Path(__file__).parent / "weights" / "small_vae"
_SHIPPED_FOLDERS = {"small-vae": SMALL_VAE}
_WEIGHTS = ("model*.safetensors", "diffusion_pytorch_model*.safetensors")
_VARIANTS = (".fp16.", ".bf16.", ".non_ema.")
_TEXT_FILES = ("*.json", "*.txt", "*.model")
_HUB_FILES = (*_TEXT_FILES, *_WEIGHTS)
SENTENCEPIECE = ("spiece.model", "tokenizer.model")
"""Names of tokenizers that are models of sentencepiece."""
_TOKENIZER = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model")


def folder_problem(model: Model, subfolder: str = "", files: Sequence[str] = ()) -> str | None:
    """What stands in the way of ``pretrained_folder``, without loading anything.

    Args:
        files: names that must be there beside configuration and weights.
    """
    path = model.path
    if not path:
        return f"{model.implementation} needs `path`: a hub name (owner/name) or a local folder"
    if is_hub_name(path):
        return None if cached(path, model.revision, subfolder, files) else hub_problem(model)
    folder = _local(path) / subfolder
    weights = [] if weight_files(folder) else [" or ".join(_WEIGHTS)]
    indices = [] if weights else sorted(folder.glob("*.safetensors.index.json"))
    split = [index for index in indices if not index.with_name(index.name.removesuffix(".index.json")).is_file()]
    needed = ("config.json", *files, *(part for index in split for part in sorted(listed_parts(index))))
    lacking = [name for name in needed if not (folder / name).is_file()] + weights
    where = f"folder {path!r} holds no {subfolder + '/' if subfolder else ''}"
    return f"{model.implementation}: {where}{', no '.join(lacking)}" if lacking else None


def pretrained_folder(model: Model, subfolder: str = "") -> Path:
    """The folder with config and safetensors of ``model.path``; a hub name is fetched or read from the hub's cache.

    Raises:
        WeightsError: absent, with what to do.
    """
    problem = folder_problem(model, subfolder)
    if problem or not model.path:
        raise WeightsError(problem)
    if not is_hub_name(model.path):
        return _local(model.path) / subfolder
    from huggingface_hub import snapshot_download

    prefix = f"{subfolder}/" if subfolder else ""
    patterns = [prefix + pattern for pattern in _HUB_FILES]
    return Path(snapshot_download(model.path, revision=model.revision, allow_patterns=patterns)) / subfolder


def tokenizer_problem(model: Model) -> str | None:
    """What stands in the way of ``tokenizer_folder``, where a model of sentencepiece is as good as a `tokenizer.json`;
    nothing is loaded."""
    path, subfolder = model.path or "", _tokenizer_subfolder(model)
    if is_hub_name(path):
        here = {name for name in ("tokenizer.json", *SENTENCEPIECE) if in_cache(path, model.revision, subfolder, name)}
        if not here:
            return hub_problem(model)
    else:
        folder = _local(path) / subfolder
        here = {name for name in ("tokenizer.json", *SENTENCEPIECE) if (folder / name).is_file()}
    where = f"{model.implementation}: {path!r} holds {subfolder + '/' if subfolder else ''}"
    if not here:
        return f"{where}no tokenizer.json, no {', no '.join(SENTENCEPIECE)}: put the tokenizer's files there"
    if "tokenizer.json" in here or find_spec("sentencepiece"):
        return None
    return (
        f"{where}{min(here)} and no tokenizer.json, so it takes the package sentencepiece: pip install "
        "'paris_assets[sentencepiece]', or put the tokenizer.json there that transformers makes of it elsewhere"
    )


def tokenizer_folder(model: Model) -> Path:
    """The folder with the tokenizer of ``model.path``: that of the weights, or ``options.tokenizer_subfolder``.

    Raises:
        WeightsError: absent, with what to do.
    """
    problem, subfolder = tokenizer_problem(model), _tokenizer_subfolder(model)
    if problem or not model.path:
        raise WeightsError(problem)
    if not is_hub_name(model.path):
        return _local(model.path) / subfolder
    from huggingface_hub import snapshot_download

    patterns = [f"{subfolder}/{pattern}" if subfolder else pattern for pattern in _TEXT_FILES]
    return Path(snapshot_download(model.path, revision=model.revision, allow_patterns=patterns)) / subfolder


def tokenizer_sha256(folder: Path) -> str:
    """sha256 of the lines ``name sha256`` of a tokenizer's files."""
    return _combined_sha256(_files(folder, _TOKENIZER))


def _tokenizer_subfolder(model: Model) -> str:
    return model.options.get("tokenizer_subfolder") or model.options.get("subfolder", "")


def folder_identity(model: Model, folder: Path, precision: str, subfolder: str = "") -> dict[str, str | None]:
    """The manifest's entry for a network read from ``folder``; no absolute path enters it."""
    assert model.path is not None
    hub = is_hub_name(model.path)
    snapshot = folder.parent if subfolder else folder
    return {
        "implementation": model.implementation,
        "source": model.path if hub or ships_here(model) else Path(model.path).resolve().name,
        "revision": snapshot.name if hub else None,
        "sha256": weights_sha256(folder),
        "precision": precision,
    }


def weights_sha256(folder: Path) -> str:
    """sha256 of a folder's weight file, or of the lines ``name sha256`` where there are several."""
    return _combined_sha256(weight_files(folder))


def require_whole(network: str, folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse a network whose file lacks parameters: its library warns and fills them with random numbers.

    Args:
        found: what ``from_pretrained(output_loading_info=True)`` tells beside the network.
    """
    lacking = sorted({*found.get("missing_keys", ()), *map(str, found.get("mismatched_keys", ()))})
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        said = f"the weights in {folder.name} lack {', '.join(lacking[:3])}{more} of {network}"
        raise WeightsError(f"{said}: they are of another network, or of another version of its library")


def require_known(network: str, folder: Path, found: Mapping[str, Any], unused: Sequence[str]) -> None:
    """Refuse a file that holds parameters which the network would leave aside, other than those that it may.

    Args:
        found: as of ``require_whole``.
        unused: beginnings of the names of those that it may hold.
    """
    strange = sorted(name for name in found.get("unexpected_keys", ()) if not name.startswith(tuple(unused)))
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        said = f"the weights in {folder.name} hold {', '.join(strange[:3])}{more}, of which {network} makes no use"
        raise WeightsError(f"{said}: they are of another network")


def require_kind(folder: Path, model_types: Sequence[str]) -> None:
    """Refuse a checkpoint of another kind, whose weights its library would fill with random numbers."""
    found = json.loads((folder / "config.json").read_text()).get("model_type")
    if found not in model_types:
        raise WeightsError(f"config.json in {folder.name} is of a {found!r}; {' or '.join(model_types)} is expected")


def ships_here(model: Model) -> bool:
    """Whether the weights come with this package."""
    return model.path in _SHIPPED_FOLDERS


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that ``from_pretrained`` reads, sorted by name; no other format is opened."""
    return _files(folder, _WEIGHTS)


def local_model_sha256(model: Model) -> str | None:
    """Hash of weights, configuration and tokenizer in the local or shipped folder (or, for a network of your own, of
    the file) that ``model`` names; None for a hub name or a package, which do not change under their name and
    revision."""
    if not model.path or is_hub_name(model.path):
        return None
    folder = _local(model.path) / model.options.get("subfolder", "")
    texts = _local(model.path) / _tokenizer_subfolder(model)
    files = [folder] if folder.is_file() else _files(folder, _HUB_FILES)
    files += _files(texts, _TOKENIZER) if texts != folder else []
    return _combined_sha256(files) if files else None


def _files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    return sorted(file for file in files if not any(variant in file.name for variant in _VARIANTS))


def _combined_sha256(files: Sequence[Path]) -> str:
    hashes = [_file_sha256(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    if len(files) == 1:
        return hashes[0]
    lines = "".join(f"{file.name} {digest}\n" for file, digest in zip(files, hashes, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


@lru_cache
def _file_sha256(path: str, size_bytes: int, mtime_ns: int) -> str:
    """Size and time of change make the cache see a file that was replaced."""
    return sha256(Path(path))


def _local(path: str) -> Path:
    return _SHIPPED_FOLDERS.get(path) or Path(path).expanduser()
