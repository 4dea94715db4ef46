"""Weights that are one file: where it lies that a profile names by `path`, on this machine or on the hub.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError, sha256
from paris_assets.models.hub import hub_problem

NONE_SHIPPED: Mapping[str, Path] = {}
SSCD_FILES = (".safetensors", ".pt")
"""SSCD's in safetensors, and in TorchScript."""


def is_on_hub(path: str, endings: Sequence[str]) -> bool:
    """Whether a ``path`` reads as ``owner/name`` on the hub: a file has an ending of its own."""
    return path.count("/") == 1 and path[0] not in "./~" and not path.endswith(tuple(endings))


def weight_file(model: Model, endings: Sequence[str], shipped: Mapping[str, Path] = NONE_SHIPPED) -> Path:
    """The file; on the hub ``options.file``, by default ``model.safetensors``, from its cache or fetched.

    Args:
        endings: of the files that the implementation reads.
        shipped: files that come with this package, by the name that a profile gives as ``path``.

    Raises:
        WeightsError: it is not there.
    """
    problem = weight_file_problem(model, endings, shipped)
    if problem or not model.path:
        raise WeightsError(problem)
    if not is_on_hub(model.path, endings):
        return _local(model.path, shipped)
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(model.path, _name_on_hub(model), revision=model.revision))


def weight_file_problem(model: Model, endings: Sequence[str], shipped: Mapping[str, Path] = NONE_SHIPPED) -> str | None:
    """What stands in the way of ``weight_file``, without reading the file."""
    if not model.path:
        return f"{model.implementation} needs `path`: its file ({', '.join(endings)}), or a hub name (owner/name)"
    if is_on_hub(model.path, endings):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model.path, _name_on_hub(model), revision=model.revision)
        return None if isinstance(found, str) else hub_problem(model)
    local = _local(model.path, shipped)
    if not local.is_file():
        return f"{model.implementation}: there is no file {model.path!r}: put the weights there, or set `path`"
    if not local.name.endswith(tuple(endings)):
        return f"{model.implementation}: {model.path!r} is none of {', '.join(endings)}"
    return None


def file_identity(model: Model, file: Path, endings: Sequence[str], precision: str) -> dict[str, str | None]:
    """The manifest's entry for a network read from a file; no folder enters it."""
    assert model.path is not None
    hub = is_on_hub(model.path, endings)
    return {
        "implementation": model.implementation,
        "source": model.path if hub else file.name,
        "revision": model.revision if hub else None,
        "sha256": sha256(file),
        "precision": precision,
    }


def _local(path: str, shipped: Mapping[str, Path]) -> Path:
    return shipped.get(path) or Path(path).expanduser()


def _name_on_hub(model: Model) -> str:
    return str(model.options.get("file") or "model.safetensors")
