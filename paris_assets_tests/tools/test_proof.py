"""The tool of docs/proof.md: pieces, pruning and pages; and all of it once, on a few photos."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from PIL import Image

from paris_assets.errors import UsageError
from paris_assets.profiles import load_profile
from paris_assets.settings.training_probe import TrainingProbe
from tools.proof.__main__ import FIGURES, PAGE, main
from tools.proof.base import PROFILE, Base
from tools.proof.experiments import at_random, kept_rows, probed
from tools.proof.kept import Kept
from tools.proof.page import page
from tools.proof.pieces import Photo, photos_of, pieces, write_pieces
from tools.small_vae.photos import SAMPLE


def photo(width: int, height: int) -> bytes:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    file = io.BytesIO()
    Image.fromarray(np.stack([across, down, across * 0], 2).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_the_page_tells_the_figures() -> None:
    assert PAGE.read_text() == page(json.loads(FIGURES.read_text())), "run python -m tools.proof --publish"


@pytest.mark.parametrize(
    ("size", "cut"),
    [((320, 213), (1, 1)), ((511, 512), (1, 2)), ((512, 384), (2, 1)), ((800, 790), (2, 2)), ((4000, 1000), (2, 2))],
)
def test_pieces_do_not_overlap(size: tuple[int, int], cut: tuple[int, int]) -> None:
    found = [opened(piece) for piece in pieces(photo(*size))]
    assert len(found) == cut[0] * cut[1]
    factor = min(1, 768 / min(size))
    whole = [round(side * factor) for side in size]
    assert sum(piece.width for piece in found[: cut[0]]) == whole[0]
    assert sum(piece.height for piece in found[:: cut[0]]) == whole[1]
    assert sum(piece.width * piece.height for piece in found) == whole[0] * whole[1]
    starts = [np.asarray(piece)[0, 0] / 255 for piece in found]
    places = [(column / cut[0], row / cut[1]) for row in range(cut[1]) for column in range(cut[0])]
    np.testing.assert_allclose([start[:2] for start in starts], places, atol=0.03)


def test_pieces_are_named_as_a_run_names_them(tmp_path: Path) -> None:
    same = photo(300, 300)
    photos = [Photo("a", "near", photo(520, 300)), Photo("b", "near", same), Photo("c", "far", same)]
    known = write_pieces(photos, tmp_path / "pieces.parquet")
    written = (tmp_path / "pieces.parquet").stat()
    assert write_pieces(photos, tmp_path / "pieces.parquet").equals(known)
    assert (tmp_path / "pieces.parquet").stat().st_mtime_ns == written.st_mtime_ns  # what is made of it stands
    assert [path.name for path in tmp_path.iterdir()] == ["pieces.parquet"]
    table = pl.read_parquet(tmp_path / "pieces.parquet")
    assert table["uid"].to_list() == ["a-0", "a-1", "b-0", "c-0"]
    ids = [hashlib.sha256(image).hexdigest()[:32] for image in table["image"]]
    assert known["image_id"].to_list() == sorted(set(ids))
    assert dict(known.select("image_id", "group").iter_rows()) == {name: "near" for name in ids}


class Written(NamedTuple):
    groups: list[str]


def test_pruning_keeps_as_many_of_each_cluster_near_far_or_at_random() -> None:
    clusters = np.repeat([0, 1], [40, 20]).astype(np.int32)
    distances = np.random.default_rng(0).permutation(60).astype(np.float32)
    names = [f"{row:032x}" for row in range(60)]
    assignments = pl.DataFrame({"image_id": names, "cluster": clusters, "distance": distances})
    base = Base(Written(names), np.zeros((60, 1), np.float32), np.where(np.arange(60) % 5 == 0, 0, -1))  # pyright: ignore[reportArgumentType]
    kept = {keep: kept_rows(base, assignments, 0.25, keep, 0) for keep in ("near", "far", "random")}
    for rows in kept.values():
        assert np.bincount(clusters[rows]).tolist() == [8, 4]
        assert not set(rows.tolist()) & set(base.held_out.tolist())
    assert len({tuple(rows) for rows in kept.values()}) == 3
    for cluster, count in ((0, 8), (1, 4)):
        own = np.sort(distances[base.train][clusters[base.train] == cluster])
        for keep, wanted in (("near", own[:count]), ("far", own[-count:])):
            rows = kept[keep][clusters[kept[keep]] == cluster]
            assert np.sort(distances[rows]).tolist() == wanted.tolist()


def test_random_parts_have_the_sizes_of_the_clusters() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    mixed = at_random(labels, 0)
    assert np.bincount(mixed).tolist() == [50, 30, 20]
    assert 0.2 < (mixed == labels).mean() < 0.6
    assert not (mixed == at_random(labels, 1)).all()


def test_experts_without_anything_to_train_on_are_named() -> None:
    folds = np.array([-1, -1, 0, 0])
    base = Base(Written(list("abcd")), np.zeros((4, 1), np.float32), folds)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="of 2 experts 1 have pieces of held-out photos alone"):
        probed(base, np.array([0, 0, 0, 1]), TrainingProbe(), 0)


def test_the_run_of_the_tool_leaves_the_proof_to_it() -> None:
    assert load_profile(str(PROFILE)).probe is None


def test_what_was_made_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    made = list[int]()

    def make() -> dict[str, int]:
        made.append(len(made))
        return {"number": made[-1]}

    assert [Kept(tmp_path, {"seed": 0}).figures("a", make) for _ in range(2)] == [{"number": 0}] * 2
    assert Kept(tmp_path, {"seed": 1}).figures("a", make) == {"number": 1}
    assert Kept(tmp_path, {"seed": 1}).figures("b", make) == {"number": 2}


@pytest.mark.extended
def test_a_page_of_a_few_photos(tmp_path: Path) -> None:
    chosen = tmp_path / "photos"
    chosen.mkdir()
    for path in sorted((SAMPLE / "images").iterdir())[::4]:
        (chosen / path.name).write_bytes(path.read_bytes())
    arguments = ["--photos", str(chosen), "--work", str(tmp_path / "work"), "--quick", "--k", "2", "3"]
    main([*arguments, "--set", "clusters.k=2"])
    figures = json.loads((tmp_path / "work" / "proof.json").read_text())
    shown = (tmp_path / "work" / "proof.md").read_text()
    assert shown == page(figures)
    assert list(figures["experts"]) == ["2", "3"]
    groups = len(list(photos_of(chosen)))
    assert figures["photos"] == {"count": groups, "licences": {}}
    for k, found in figures["experts"].items():
        assert sorted(found["clusters"]["sizes"]) == sorted(found["random"]["sizes"])
        assert sum(found["clusters"]["sizes"]) == figures["samples"]
        assert len(found["clusters"]["sizes"]) == int(k)
        assert found["clusters"]["held_out"] == found["random"]["held_out"] == figures["held_out"]
        assert found["clusters"]["one_per_photo"]["held_out"] == found["clusters"]["held_out_groups"]
        assert found["clusters"]["finite"]
    sizes = {name: each["images"] for name, each in figures["pruned"]["networks"].items()}
    assert sizes["near 50%"] == sizes["far 50%"] == sizes["random 50%"] < sizes["all"]
    assert figures["pruned"]["networks"]["near 50%"]["below_random"]
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / "figures").iterdir()}
    main([*arguments, "--set", "clusters.k=2"])
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / "figures").iterdir()} == before
    assert (tmp_path / "work" / "proof.md").read_text() == shown
