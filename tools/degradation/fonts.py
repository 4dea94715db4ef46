"""The fonts that watermarks and captions are trained with, out of Debian packages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.small_vae.photos import unpack

PACKAGES = {  # of Debian 12; OFL-1.1, Apache-2.0, ParaType's, MIT, public domain, or GPL (ADF's and Beteckna)
    "fonts-adf-accanthis": "0.20190904-2",
    "fonts-adf-gillius": "0.20190904-2",
    "fonts-adf-libris": "0.20190904-2",
    "fonts-allerta": "2.01+dfsg1-4",
    "fonts-anonymous-pro": "1.003-4",
    "fonts-averia-sans-gwf": "1.00-2.1",
    "fonts-averia-serif-gwf": "1.00-2.1",
    "fonts-b612": "1.008-3",
    "fonts-bebas-neue": "3.0-2",
    "fonts-beteckna": "0.5-3",
    "fonts-cabin": "1.5-3",
    "fonts-cabinsketch": "1.02-3",
    "fonts-cantarell": "0.303.1-1",
    "fonts-clear-sans": "1.00-2",
    "fonts-comfortaa": "3.001-3",
    "fonts-comic-neue": "2.51-4",
    "fonts-courier-prime": "0+git20190115-3",
    "fonts-crosextra-caladea": "20200211-1",
    "fonts-crosextra-carlito": "20220224-1",
    "fonts-dancingscript": "1.2-2",
    "fonts-dosis": "1.7-3",
    "fonts-ebgaramond": "0.016+git20210310.42d4f9f2-1",
    "fonts-essays1743": "2.100-4",
    "fonts-fanwood": "1.1-7",
    "fonts-goudybookletter": "2010.07.03-6",
    "fonts-inter": "4.0~beta7+ds-1",
    "fonts-jetbrains-mono": "2.242+ds-3",
    "fonts-junction": "20110525.18de841-1.1",
    "fonts-jura": "5.103-3",
    "fonts-karla": "20201218-1",
    "fonts-kaushanscript": "1.02-2.1",
    "fonts-kristi": "20101220-1",
    "fonts-lato": "2.0-2.1",
    "fonts-league-spartan": "2.210-1",
    "fonts-liberation": "1:1.07.4-11",
    "fonts-linuxlibertine": "5.3.0-6",
    "fonts-lobster": "2.0-2.1",
    "fonts-open-sans": "1.11-2",
    "fonts-paratype": "20181108-3",
    "fonts-play": "1.002+20150307.1-0.1",
    "fonts-prociono": "2.3-6",
    "fonts-quicksand": "0.2016-2.1",
    "fonts-roboto-unhinted": "2:0~20170802-3",
    "fonts-sil-andika": "6.101-2",
    "fonts-sil-gentium-basic": "1.102-1.1",
    "fonts-tomsontalks": "1.1-9",
    "fonts-vollkorn": "4.105-2",
    "fonts-yanone-kaffeesatz": "2.0+git20211102+ds-1",
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
