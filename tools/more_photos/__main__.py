"""Fetch the further photos: packages of Debian's pool and npm's registry, each file told by its sha256.

    python -m tools.more_photos collect                # into a folder of temporary files, or --work FOLDER

`photos.jsonl` has a line for each photo, as that of the small VAE has: package, version, kind of package, path, sha256,
width, height, author, licence, pHash, group and split. `packages.jsonl` says how large each package is and what its
sha256 is. All were looked at: drawings, renderings, screenshots, cut-outs and marked photos are left out.
Where a package names no author or licence for its photos, those of the package stand there. They are fetched
by apt-get, from four suites of Debian, and by npm.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.more_photos.photos import WORK, collect


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.more_photos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    collecting = commands.add_parser("collect")
    collecting.add_argument("--work", type=Path, default=WORK, help=f"folder of the collected photos ({WORK})")
    collect(parser.parse_args(arguments).work)


if __name__ == "__main__":
    main()
