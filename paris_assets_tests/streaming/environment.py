"""An environment with mosaicml-streaming, whose release asks for an older numpy and transformers than this project.

What the two agree on (torch first of all) is taken from the environment that runs this; so it takes seconds and 70 MB.
"""

from __future__ import annotations

from pathlib import Path

from paris_assets_tests.environments import python_beside

PACKAGES = (
    "mosaicml-streaming==0.13.0",
    "numpy==2.1.3",
    "xxhash==3.8.2",
    "zstd==1.5.7.2",
    "brotli==1.2.1",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "catalogue==2.0.10",
)
STAND_IN = {  # of torchvision, which the library imports for datasets of its own
    "__init__.py": "",
    "datasets.py": "class VisionDataset:\n    pass\n",
    "transforms/__init__.py": "",
    "transforms/functional.py": "to_tensor = None\n",
}


def streaming_python(folder: Path) -> Path:
    """The python of such an environment in a folder; made where it is not there yet, from the package index."""
    return python_beside(folder, PACKAGES, {f"torchvision/{name}": text for name, text in STAND_IN.items()})
