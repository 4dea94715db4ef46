"""The fonts that watermarks and captions are trained with, out of Debian packages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.small_vae.photos import unpack

PACKAGES = {  # of Debian 12; all OFL-1.1 or Apache-2.0
    "fonts-comfortaa": "3.001-3",
    "fonts-lato": "2.0-2.1",
    "fonts-liberation": "1:1.07.4-11",
    "fonts-linuxlibertine": "5.3.0-6",
    "fonts-open-sans": "1.11-2",
    "fonts-roboto-unhinted": "2:0~20170802-3",
}


def collect_fonts(work: Path) -> None:
    """Download the packages and keep their fonts in `work/fonts`; what is there is not fetched again.

    Raises RuntimeError when apt-get or dpkg-deb fails.
    """
    for package, version in PACKAGES.items():
        kept = work / "fonts" / package
        if not kept.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                unpack(package, version, Path(folder))
                found = [file for file in sorted(Path(folder).rglob("*")) if file.suffix in (".ttf", ".otf")]
                kept.mkdir(parents=True)
                for file in found:
                    (kept / file.name).write_bytes(file.read_bytes())
        print(f"{package} {version}: {len(list(kept.iterdir()))} fonts")
