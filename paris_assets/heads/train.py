"""Train a head on the stored vectors of an encoder: ``python -m paris_assets.heads.train --help``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from safetensors.torch import save
from torch import nn

from paris_assets.errors import UsageError, UserError, explained
from paris_assets.heads.fit import Part, calibrate, fit_layers, fit_linear, outputs
from paris_assets.heads.labelled import SHARES, LabelError, Labelled, read_labelled, read_labels
from paris_assets.heads.measures import classifier_metrics, confounds, regressor_metrics, threshold_at
from paris_assets.models.head_card import METADATA, Encoder, HeadCard
from paris_assets.models.heads import unit

FEWEST = 5
TELLING = 0.9


class Trained(NamedTuple):
    """A head and what its file says of it."""

    network: nn.Sequential
    card: HeadCard


def train(
    data: Labelled, normalisation: str, hidden: Sequence[int], max_false_positives: float, seed: int, words: str
) -> Trained:
    """A head of labelled images. Labels of 0 and 1 make a classifier with a calibrated probability, others a regressor.

    It is fitted on one part, its size of penalty, stop, calibration and threshold come from a second, and what the card
    tells is of a third that nothing else has seen.

    Args:
        hidden: widths of the layers before the last; empty: one linear layer.
        max_false_positives: share of images with label 0 that may lie above the threshold.
        words: of what the images are.

    Raises:
        LabelError: a part has too few images of a class.
    """
    vectors = unit(data.vectors) if normalisation == "l2" else data.vectors
    classifies = set(data.rows["label"].unique()) <= {0.0, 1.0}
    _require_enough(data.rows, classifies)

    def fit(rows: pl.DataFrame, chosen: np.ndarray) -> nn.Sequential:
        known, held_out = (_part(rows, chosen, name) for name in ("train", "validation"))
        if hidden:
            network = fit_layers(known, held_out, classifies, hidden, seed)
        else:
            network = fit_linear(known, held_out, classifies)
        return calibrate(network, held_out) if classifies else network

    network = fit(data.rows, vectors)
    metrics = _metrics(network, data.rows, vectors, max_false_positives if classifies else None)
    if classifies:
        metrics["recall_of_unseen_generators"] = dict(_unseen(fit, data.rows, vectors, max_false_positives))
    card = HeadCard(
        encoder=Encoder.model_validate({name: data.encoder.get(name) for name in Encoder.model_fields}),
        normalisation=normalisation,  # type: ignore[arg-type]
        activation="relu" if hidden else "none",
        output="sigmoid" if classifies else "identity",
        dimension=vectors.shape[1],
        training=_training(data.rows, words),
        metrics=metrics,
    )
    return Trained(network, card)


def write_head(trained: Trained, path: Path) -> None:
    """The head's file, which states what it is; whole, or not there.

    Raises:
        FileError: it cannot be written.
    """
    data, draft = save(trained.network.state_dict(), {METADATA: trained.card.model_dump_json()}), f".{path.name}.draft"
    with explained(path, "written"):
        path.with_name(draft).write_bytes(data)
        path.with_name(draft).replace(path)


def _part(rows: pl.DataFrame, vectors: np.ndarray, name: str) -> Part:
    chosen = (rows["part"] == name).to_numpy()
    return np.ascontiguousarray(vectors[chosen]), rows["label"].to_numpy()[chosen]


def _require_enough(rows: pl.DataFrame, classifies: bool) -> None:
    kinds = (0.0, 1.0) if classifies else (None,)
    for part in SHARES:
        for label in kinds:
            found = rows.filter(pl.col("part") == part, True if label is None else pl.col("label") == label).height
            if found < FEWEST:
                said = "images" if label is None else f"images of label {label:g}"
                raise LabelError(f"the {part} part has {found} {said}, and at least {FEWEST} are needed: label more")


def _training(rows: pl.DataFrame, words: str) -> str:
    counts = {part: rows.filter(pl.col("part") == part) for part in SHARES}
    said = ", ".join(
        f"{part} {found.height} images of {found['group'].n_unique()} groups" for part, found in counts.items()
    )
    return f"{words} ({said})" if words else said


def _metrics(
    network: nn.Sequential, rows: pl.DataFrame, vectors: np.ndarray, max_false_positives: float | None
) -> dict[str, Any]:
    """Figures of the test part; those of a regressor where there is no share of false positives to keep."""
    found, tested = outputs(network, vectors), (rows["part"] == "test").to_numpy()
    if max_false_positives is None:
        return {"test": regressor_metrics(rows["label"].to_numpy()[tested], found[tested])}
    scored = rows.with_columns(pl.Series("score", 1 / (1 + np.exp(-found))))
    held_out = scored.filter(pl.col("part") == "validation")
    threshold = threshold_at(held_out["score"].to_numpy(), held_out["label"].to_numpy(), max_false_positives)
    return {
        "max_false_positives": max_false_positives,
        "test": classifier_metrics(scored.filter(pl.col("part") == "test"), threshold),
        "file_alone": confounds(scored),
    }


def _unseen(
    fit: Callable[[pl.DataFrame, np.ndarray], nn.Sequential], rows: pl.DataFrame, vectors: np.ndarray, share: float
) -> Iterator[tuple[str, float | None]]:
    """The recall of each generator by a head that was trained without its images: what a new one has to expect."""
    for generator in sorted(rows["generator"].drop_nulls().unique()):
        others = rows["generator"].ne_missing(generator).to_numpy()
        kept = rows.filter(others)
        counts = kept.filter(pl.col("label") == 1).group_by("part").len()["len"]
        if len(counts) < len(SHARES) or int(counts.min() or 0) < FEWEST:  # type: ignore[call-overload]
            continue
        network = fit(kept, vectors[others])
        asked = rows.filter((pl.col("label") == 0) | (pl.col("generator") == generator))
        used = ((rows["label"] == 0) | rows["generator"].eq_missing(generator)).to_numpy()
        yield generator, _metrics(network, asked, vectors[used], share)["test"]["recall"]


def require_place(out: Path) -> None:
    """Refuse a file that no head could be written to or read from, before minutes of work.

    Raises:
        UsageError: says what is wrong.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"--out {out}: a head is a .safetensors file")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}: make it first")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when a head was written, 2 where it cannot be."""
    given = _parser().parse_args(arguments)
    try:
        require_place(Path(given.out))
        data = read_labelled(given.root, given.on, read_labels(given.labels), given.seed)
        trained = train(data, given.normalisation, given.hidden, given.max_false_positives, given.seed, given.training)
        write_head(trained, given.out)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(trained.card.model_dump(exclude_none=True), indent=2))
    for name, value in trained.card.metrics.get("file_alone", {}).items():
        if value is not None and value > TELLING:
            print(
                f"warning: {name} of the files alone tells the labels apart (ROC-AUC {value:.3f}): the head may have "
                "learned that; take images of both kinds in the same sizes and formats",
                file=sys.stderr,
            )
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share from 0 to 1, without 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m paris_assets.heads.train", description=__doc__)
    parser.add_argument("--root", action="append", required=True, help="a finished root with vectors; may be repeated")
    parser.add_argument("--on", required=True, help="the encoder, a name in its picture_embeddings")
    parser.add_argument(
        "--labels",
        required=True,
        help="Parquet or CSV: image_id, label (0 and 1, or numbers), and if you have it generator, group",
    )
    parser.add_argument("--out", type=Path, required=True, help="the head's file, .safetensors")
    parser.add_argument("--normalisation", choices=["l2", "none"], default="l2", help="of the vectors (l2)")
    parser.add_argument("--hidden", type=int, nargs="*", default=[], help="widths of hidden layers (none: linear)")
    parser.add_argument(
        "--max-false-positives", type=_share, default=0.01, help="at the threshold that is reported (0.01)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split by group, and of hidden layers (0)")
    parser.add_argument("--training", default="", help="what the images are, in words, for the card")
    return parser


if __name__ == "__main__":
    sys.exit(main())
