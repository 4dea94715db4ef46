"""Where the photos come from: Debian packages, the photos chosen in them by eye, and their authors and licences.

Drawings, renderings and paintings in the same packages are left out. gcompris names author and licence of each picture
in README files inside its bundles; the other packages do so in `debian/copyright` or `metadata.json`, copied here.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.small_vae.qt_resources import iterate_files

GCOMPRIS = "gcompris-qt-data"
FREE_LICENCES = ("public domain", "cc0", "cc-by ", "cc-by-2", "cc-by-3", "cc-by-4", "cc-by-sa")

# Folders of gcompris that hold photos; the pattern picks the photos among their files.
GCOMPRIS_FOLDERS = {
    "categorization/resource/images/fishes": r"fish\d+",
    "categorization/resource/images/monuments": r"\w+",
    "categorization/resource/images/others": r"\w+",
    "categorization/resource/images/renewable": r"\w+",
    "categorization/resource/images/tools": r"\w+",
    "clickgame/resource": r"sea\d",
    "details/resource/image": r"(?!.*(Gogh|Eglise|Tanguy)).*_background",
    "erase/resource": r"[a-z_0-9]+",
    "explore_farm_animals/resource/animals": r"\w+",
    "explore_monuments/resource": r"\w+/\w+",
    "explore_world_animals/resource/animals": r"\w+",
    "explore_world_music/resource/music": r"\w+",
}

_MATE, _LXQT, _LOMIRI, _PLASMA = (
    "usr/share/backgrounds/mate/nature/",
    "usr/share/lxqt/wallpapers/",
    "usr/share/backgrounds/",
    "usr/share/wallpapers/",
)
# package -> licence -> {path: author}; paths below the folder above.
WALLPAPERS: dict[str, dict[str, dict[str, str]]] = {
    "mate-backgrounds": {
        "GPL-2+": {
            _MATE + "Aqua.jpg": "Charles Barbin",
            _MATE + "Blinds.jpg": "Lennart Poettering, Andrea Cimitan",
            _MATE + "Dune.jpg": "Marco Cogoni, Hylke Bons",
            _MATE + "Garden.jpg": "Charles Barbin",
            _MATE + "GreenMeadow.jpg": "Timothy Schellhase, Lapo Calamandrei",
            _MATE + "LadyBird.jpg": "Charles Barbin",
            _MATE + "RainDrops.jpg": "blackcombwhistler07",
            _MATE + "Storm.jpg": "Sergey Nazarov",
            _MATE + "TwoWings.jpg": "Charles Barbin, Hylke Bons",
            _MATE + "Wood.jpg": "Jean-François Fortin Tam",
            _MATE + "YellowFlower.jpg": "Charles Barbin",
        }
    },
    "lomiri-wallpapers-16.04": {
        "CC-BY-4.0": {
            _LOMIRI + "Picture_0B_by_freespace.jpg": 'Trevor "Freespace"',
            _LOMIRI + "Picture_1A_by_freespace.jpg": 'Trevor "Freespace"',
            _LOMIRI + "Wine_by_Jakkub_Mede.jpg": "Jakub Mede",
            _LOMIRI + "aitzgorri_by_Aitzol_Berasategi.jpg": "Aitzol Berasategi",
            _LOMIRI + "friends_by_Aitzol_Berasategi.jpg": "Aitzol Berasategi",
            _LOMIRI + "life_by_Aitzol_Berasategi.jpg": "Aitzol Berasategi",
            _LOMIRI + "picosdeeuropa_by_Aitzol_Berasategi.jpg": "Aitzol Berasategi",
            _LOMIRI + "sunset_by_Aitzol_Berasategi.jpg": "Aitzol Berasategi",
        },
        "CC-BY-SA-4.0": {
            _LOMIRI + "Bridge_by_Sander_Klootwijk.jpg": "Sander Klootwijk",
            _LOMIRI + "Dragonfly_by_Bolly.jpg": "Bolly",
            _LOMIRI + "free_by_Peter_Nerlich.jpg": "Peter Nerlich",
            _LOMIRI + "greentock_by_Peter_Nerlich.jpg": "Peter Nerlich",
        },
        "CC0-1.0": {_LOMIRI + "seeding_by_Clements_Engelhardt.jpg": "Clemens Engelhardt"},
    },
    "lomiri-wallpapers-20.04": {
        "CC-BY-SA-3.0": {
            _LOMIRI + "Infinite-Sea_by_Aury88.jpg": "Aury88",
            _LOMIRI + "Kleiber_by_Lukas_Baubkus.jpg": "Lukas Baubkus",
        }
    },
    "lxqt-themes": {
        "LGPL-2.1+": {
            _LXQT + name: "LXQt team"
            for name in (
                "Valendas.png",
                "after-the-rain.jpg",
                "appleflower.png",
                "beam.png",
                "butterfly.png",
                "cloud.png",
                "drop.png",
                "flowers.png",
                "fog.jpg",
                "this-is-not-windows.jpg",
            )
        }
    },
    "plasma-workspace-wallpapers": {
        "LGPL-3": {
            f"{_PLASMA}{name}/contents/images/2560x1600.jpg": author
            for name, author in {
                "Autumn": "RJ Quiralta",
                "BytheWater": "Maciej Wiklo",
                "ColdRipple": "Risto Saukonpää",
                "ColorfulCups": "Dmitri Popov",
                "DarkestHour": "Risto Saukonpää",
                "EveningGlow": "Ian Hex",
                "FallenLeaf": "Martin Klapetek",
                "Grey": "Sigi Sagi",
                "Kite": "Risto Saukonpää",
                "OneStandsOut": "Risto Saukonpää",
                "Path": "Risto Saukonpää",
                "summer_1am": "Risto Saukonpää",
            }.items()
        }
    },
}


@dataclass(frozen=True)
class SourcePhoto:
    """One photo file: Debian package (or "sample"), path in it, bytes, author (None: not named) and licence."""

    package: str
    path: str
    content: bytes
    author: str | None
    licence: str


def download_packages(folder: Path) -> None:
    """Download every package with `apt-get download` and unpack it to `folder/<package>`; one already there is kept.

    Raises RuntimeError when apt-get or dpkg is missing, or apt-get fails (its message is in the error).
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise RuntimeError("collecting photos needs apt-get and dpkg: run it in a debian:bookworm container")
    folder.mkdir(parents=True, exist_ok=True)
    for package in (GCOMPRIS, *WALLPAPERS):
        if (folder / package).exists():
            continue
        done = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"apt-get download {package} failed (try `apt-get update`): {done.stderr.strip()}")
        archive = next(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg", "-x", archive.name, package], cwd=folder, check=True)
        archive.unlink()


def wallpaper_photos(folder: Path) -> Iterator[SourcePhoto]:
    """The photos of the wallpaper packages unpacked under `folder`. Raises FileNotFoundError when one is not there."""
    for package, by_licence in WALLPAPERS.items():
        for licence, authors in by_licence.items():
            for path, author in authors.items():
                yield SourcePhoto(package, path, (folder / package / path).read_bytes(), author, licence)


def gcompris_photos(folder: Path) -> Iterator[SourcePhoto]:
    """The gcompris photos whose README names a free licence: Public Domain, CC0, CC-BY or CC-BY-SA, never NC or ND."""
    files: dict[str, bytes] = {}
    for bundle in sorted((folder / GCOMPRIS / "usr/share/gcompris-qt/rcc").glob("*.rcc")):
        for path, content in iterate_files(bundle.read_bytes()):
            files[path.removeprefix("gcompris/src/activities/")] = content
    for resource_folder, pattern in GCOMPRIS_FOLDERS.items():
        credits = parse_credits(files[f"{resource_folder}/README"].decode())
        for path in sorted(files):
            name = path.removeprefix(f"{resource_folder}/")
            if name == path or not re.fullmatch(rf"{pattern}\.(webp|jpg)", name) or name not in credits:
                continue
            author, licence = credits[name]
            if is_free(licence):
                yield SourcePhoto(GCOMPRIS, path, files[path], author, licence)


def is_free(licence: str) -> bool:
    """Whether a licence named in a README allows training and redistribution with credit."""
    words = licence.lower()
    return words.startswith(FREE_LICENCES) and not re.search(r"\b(nc|nd)\b", words)


def parse_credits(readme: str) -> dict[str, tuple[str | None, str]]:
    """{file name: (author, licence)} from a gcompris README: blocks parted by empty lines, one file name on a line."""
    credits: dict[str, tuple[str | None, str]] = {}
    for block in re.split(r"\n\s*\n", readme):
        author = re.search(r"^Copyright:\s*(.+)$", block, re.MULTILINE)
        licence = re.search(r"^Licen[sc]e:\s*(.+)$", block, re.MULTILINE)
        if licence is None:
            continue
        for name in re.findall(r"^(?:Files?:)?\s*(\S+\.(?:webp|jpg))\s*$", block, re.MULTILINE):
            credits[name] = (author.group(1).strip() if author else None, licence.group(1).strip())
    return credits
