"""Pictures beside the photos that watermarks are laid on in training: stamps, surfaces and screenshots of packages."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from tools.degradation.photos import reduced
from tools.degradation.scenes import Scenes
from tools.small_vae.photos import unpack

PACKAGES = {  # of Debian 12; GPL-2 and later, and GFDL
    "gimp-help-en": "2.10.34-2",
    "nexuiz-textures": "2.5.2-12",
    "openarena-081-textures": "0.8.5split-14",
    "tuxpaint-stamps-default": "2022.06.04-1",
}
SUFFIXES = (".jpg", ".png")
NOT_SEEN = ("_norm", "_gloss", "_glow", "_luma", "_bump", "_local")
"""In names of files that hold no colours."""
MOST, SHORTEST, LONGEST = 500, 150, 560
SHORTEST_PHOTO = 768
FLATTEST = 12.0
NEAR = 10
"""Distance of pHashes up to which two pictures are near copies."""


def collect_grounds(work: Path, held_out: Sequence[np.ndarray]) -> None:
    """Download the packages and keep at most `MOST` pictures of each in `work/grounds`; what is there is not fetched
    again, and near copies of held-out photos, (H, W, 3) uint8 each, are left out.

    Raises RuntimeError when apt-get or dpkg-deb fails.
    """
    hashes = [imagehash.phash(Image.fromarray(photo)) for photo in held_out]
    for package, version in PACKAGES.items():
        kept = work / "grounds" / package
        if not kept.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                unpack(package, version, Path(folder))
                found = sorted(_unzipped(Path(folder)))
                kept.mkdir(parents=True)
                for number, image in enumerate(_usable(found, hashes)):
                    image.save(kept / f"{number:04}.png")
        print(f"{package} {version}: {len(list(kept.iterdir()))} pictures")


def scenes(photos: Sequence[np.ndarray], work: Path) -> Scenes:
    """Photos, (H, W, 3) uint8 each, with a short side of at most 768, and what was collected.

    Raises RuntimeError where nothing was.
    """
    files = sorted((work / "grounds").rglob("*.png"))
    if not files:
        raise RuntimeError(f"no pictures below {work / 'grounds'}: run `python -m tools.degradation collect`")
    found = [np.asarray(Image.open(file)) for file in files]
    smaller = [np.asarray(reduced(Image.fromarray(photo), SHORTEST_PHOTO)) for photo in photos]
    surfaces, stamps = ([each for each in found if each.shape[2] == planes] for planes in (3, 4))
    return Scenes(smaller, surfaces, stamps)


def _unzipped(folder: Path) -> Iterator[Path]:
    """Every picture below a folder; Quake's .pk3 is a zip file."""
    for number, bundle in enumerate(sorted(folder.rglob("*.pk3"))):
        with zipfile.ZipFile(bundle) as content:
            content.extractall(folder / f"bundle{number}")
    yield from (path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def _usable(files: Sequence[Path], held_out: Sequence[imagehash.ImageHash]) -> Iterator[Image.Image]:
    """At most `MOST`, evenly spread over those that are large, colourful and like no held-out photo."""
    wanted = [file for file in files if not any(word in file.stem for word in NOT_SEEN)]
    fine = [file for file in wanted if _large(file)]
    for file in fine[:: max(1, len(fine) // MOST)][:MOST]:
        with Image.open(file) as opened:
            clear = opened.mode in ("RGBA", "LA", "P") and np.asarray(opened.convert("RGBA"))[..., 3].min() < 128
            image = opened.convert("RGBA" if clear else "RGB")
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        plain = image.convert("RGB")
        if np.asarray(plain).std((0, 1)).max() >= FLATTEST and _new(imagehash.phash(plain), held_out):
            yield image


def _large(file: Path) -> bool:
    with Image.open(file) as image:
        return min(image.size) >= SHORTEST


def _new(found: imagehash.ImageHash, held_out: Iterable[imagehash.ImageHash]) -> bool:
    return all(found - other > NEAR for other in held_out)
