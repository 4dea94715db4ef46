"""The proof of docs/training.md on more photos and several numbers of experts, with controls; docs/proof.md has it.

    python -m tools.proof --publish            # fetch photos, run the pipeline, all experiments, write docs/proof.md
    python -m tools.proof --photos FOLDER --work OUT   # photos of your own; the page is OUT/proof.md

What is done lies in the folder `--work` and is not done again. The same photos and seed give the same figures on one
machine. About half an hour of a core; Debian 12 is needed for the photos (`collect` of `tools.small_vae` and
`tools.more_photos`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from threadpoolctl import threadpool_limits

from paris_assets.models.threads import one_thread
from paris_assets.settings.training_probe import TrainingProbe
from tools.proof.base import Base, clustered, make_root, read_base
from tools.proof.experiments import against_random, at_random, probed, pruned
from tools.proof.kept import Kept, rounded, short
from tools.proof.page import page
from tools.proof.pieces import collect, listed_photos, photos_of, whole_photos, write_pieces
from tools.small_vae.photos import PROJECT

FIGURES, PAGE = Path(__file__).with_name("figures.json"), PROJECT / "docs" / "proof.md"
EXPERTS = (2, 4, 8, 16)
MOST_PIECES = 16_384
PRUNED_AT, PRUNED_STEPS = 8, 240
QUICK = TrainingProbe(patches=4, width=16, depth=1, batch=8, steps=8, expert_steps=2, router_steps=4, pictures=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = _parser().parse_args(arguments)
    work: Path = options.work
    settings = QUICK if options.quick else TrainingProbe(images=MOST_PIECES, pictures=0)
    known, photos = _pieces(options.photos, work)
    make_root(work / "pieces.parquet", work / "root", options.set)
    base = read_base(work / "root", known, settings, options.seed)
    inputs = {
        "manifest": base.written.version,
        "settings": settings.model_dump(),
        "seed": options.seed,
        "groups": base.written.groups,
    }
    with one_thread(), threadpool_limits(1):
        found = _experiments(base, Kept(work / "figures", inputs), options, settings)
    figures = {
        "photos": photos,
        "pieces": known.height,
        "samples": len(base.written.image_ids),
        "groups": len(set(base.written.groups)),
        "held_out": len(base.held_out),
        "seed": options.seed,
        "settings": settings.model_dump(),
        **found,
    }
    written, shown = (FIGURES, PAGE) if options.publish else (work / "proof.json", work / "proof.md")
    written.write_text(json.dumps(rounded(figures)) + "\n")
    shown.write_text(page(json.loads(written.read_text())))
    print(f"{shown} and {written}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    work = Path(tempfile.gettempdir()) / "paris_proof"
    parser.add_argument("--work", type=Path, default=work, help=f"folder of the root and of what is done ({work})")
    parser.add_argument(
        "--photos",
        type=Path,
        help="folder of photos (those of `tools.small_vae` and `tools.more_photos`, which are fetched)",
    )
    parser.add_argument("--k", type=int, nargs="+", default=EXPERTS, help="numbers of experts (2 4 8 16)")
    parser.add_argument("--seed", type=int, default=0, help="of splits, fits and networks (0)")
    parser.add_argument(
        "--set", action="append", default=[], help="a setting of the run, as `paris run --set` takes it"
    )
    parser.add_argument("--quick", action="store_true", help="networks of a moment, to see that all is in place")
    parser.add_argument("--publish", action="store_true", help="write docs/proof.md and the figures beside this tool")
    return parser


def _pieces(folder: Path | None, work: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    """What is known of all pieces, whose table lies in ``work`` then, and of photos: their number and licences."""
    if folder is None:
        collect()
    known = write_pieces(listed_photos() if folder is None else photos_of(folder), work / "pieces.parquet")
    licences = dict[str, dict[str, int]]()
    for photo in whole_photos() if folder is None else ():
        counts = licences.setdefault(photo["package"], {})
        counts[photo["licence"]] = counts.get(photo["licence"], 0) + 1
    return known, {"count": known["photo"].n_unique(), "licences": licences}


def _experiments(base: Base, kept: Kept, options: argparse.Namespace, settings: TrainingProbe) -> dict[str, Any]:
    found, seed = dict[str, dict[str, Any]](), options.seed
    for k in options.k:
        began = time.monotonic()
        labels = clustered(base, k, seed)["cluster"].to_numpy()
        clusters = kept.probed(f"clusters_{k}", lambda labels=labels: probed(base, labels, settings, seed))
        mixed = at_random(labels, seed)
        random = kept.probed(f"random_{k}", lambda mixed=mixed: probed(base, mixed, settings, seed))
        found[str(k)] = {
            "clusters": short(clusters[1]),
            "random": short(random[1]),
            "below_random": against_random(clusters, random, seed),
        }
        print(f"K = {k}: {time.monotonic() - began:.0f} s", flush=True)
    k, steps = min(PRUNED_AT, max(options.k)), min(PRUNED_STEPS, 5 * settings.steps)
    rows = clustered(base, k, seed)
    less = kept.figures(f"pruned_{k}_{steps}", lambda: pruned(base, rows, settings, steps, seed))
    return {"experts": found, "pruned": less}


if __name__ == "__main__":
    main()
