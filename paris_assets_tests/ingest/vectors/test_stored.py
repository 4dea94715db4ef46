"""Vectors beside a list: the rows of a shard, whatever the file, and a sentence for every fault."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest

from paris_assets.config import Source
from paris_assets.ingest.assets import pool_vectors, source_rows
from paris_assets.ingest.lists.columns import SourceError
from paris_assets.ingest.registered import RegisteredSource
from paris_assets.ingest.sources import entry_of, read_rows, register
from paris_assets.ingest.vectors import pooled
from paris_assets.ingest.vectors.beside import stored_vectors
from paris_assets.models.registry import Models
from paris_assets.profiles import load_profile
from paris_assets.settings.network import Model
from paris_assets.settings.pool_rows import PoolVectors
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures import datacomp

ROWS = 50


@pytest.fixture
def root(tmp_path: Path) -> Location:
    (tmp_path / "root").mkdir()
    return Location(tmp_path / "root")


def made(
    path: Path | str, root: Location, rows_per_shard: int = 20, **settings: Any
) -> tuple[pl.DataFrame, list[Output]]:
    """`pool_vectors` of all shards, and what was said of each."""
    source, chosen = Source(path=str(path), rows_per_shard=rows_per_shard), PoolVectors(**settings)
    registry, tables, outputs = register(source, None, root), [], []
    for shard in registry["shard"]:
        entry = entry_of(registry, shard)
        rows = read_rows(source, entry, root).lazy()

        def stored(entry: Any = entry) -> pooled.Stored:
            return stored_vectors(source, entry, chosen, root)

        outputs.append(pooled.vectors_of(rows, chosen, stored, Models(), entry["file"]))
        assert not callable(outputs[-1].rows)
        tables += list(outputs[-1].rows)
    return pl.concat(tables), outputs


def of(arrays: list[dict[str, np.ndarray]], key: str) -> np.ndarray:
    return np.concatenate([each[key] for each in arrays])


@pytest.mark.parametrize("compressed", [False, True])
def test_each_row_has_its_own_vectors(tmp_path: Path, root: Location, compressed: bool) -> None:
    arrays = datacomp.folder(tmp_path / "pool", ROWS, compressed)
    found, outputs = made(tmp_path / "pool", root)
    assert found["source_row"].to_list() == list(range(2 * ROWS))
    assert found.schema == {"source_row": pl.Int64} | dict.fromkeys(
        ("text", "image"), pl.Array(pl.Float16, datacomp.DIM)
    )
    for ours, key in (("text", "l14_txt"), ("image", "l14_img")):
        assert np.array_equal(found[ours].to_numpy(), of(arrays, key))
    assert [output.rows_in for output in outputs] == [20, 20, 10] * 2
    assert outputs[0].facts == {"vectors": "npz", "without_vector": {"text": 0, "image": 0}}


def test_the_same_from_a_remote_file_system(tmp_path: Path, root: Location) -> None:
    arrays = datacomp.folder(tmp_path / "pool", ROWS)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "pool"), "/vectors_of_a_pool", recursive=True)
    found, _ = made("memory://vectors_of_a_pool", root)
    assert np.array_equal(found["text"].to_numpy(), of(arrays, "l14_txt"))
    memory.rm("/vectors_of_a_pool", recursive=True)


def test_npy_files_and_columns_hold_them_as_well(tmp_path: Path, root: Location) -> None:
    arrays = datacomp.folder(tmp_path / "pool", ROWS)
    for stem, held in zip(datacomp.STEMS, arrays, strict=True):
        np.save(tmp_path / "pool" / f"{stem}.txt32.npy", held["l14_txt"].astype(np.float32))
        (tmp_path / "pool" / f"{stem}.npz").unlink()
    found, _ = made(tmp_path / "pool", root, origin="npy", text="txt32", image=None)
    assert found.columns == ["source_row", "text"]
    assert np.array_equal(found["text"].to_numpy(), of(arrays, "l14_txt"))
    listed = pl.Series("lists", of(arrays, "l14_txt").astype(np.float32)).arr.to_list()
    columns = {"lists": listed, "arrays": pl.Series(of(arrays, "l14_img").astype(np.float32))}
    wide = pl.DataFrame({"url": ["u"] * 2 * ROWS, **columns})
    missing = pl.when(pl.int_range(pl.len()) != 7).then("lists")
    wide.with_columns(missing).write_parquet(tmp_path / "wide.parquet", row_group_size=15)
    found, outputs = made(tmp_path / "wide.parquet", root, origin="columns", text="lists", image="arrays")
    assert found["text"].is_null().arg_true().to_list() == [7]
    assert outputs[0].facts["without_vector"] == {"text": 1, "image": 0}
    expected = of(arrays, "l14_txt")
    assert np.array_equal(found["text"].drop_nulls().to_numpy(), np.delete(expected, 7, 0))
    assert np.array_equal(found["image"].to_numpy(), of(arrays, "l14_img"))


def test_a_vector_of_zeros_is_none(tmp_path: Path, root: Location) -> None:
    datacomp.folder(tmp_path / "pool", ROWS)
    rewrite(tmp_path / "pool", l14_txt=lambda values: values * (np.arange(len(values)) % 10 != 3)[:, None])
    found, outputs = made(tmp_path / "pool", root)
    assert found["text"].is_null().arg_true().to_list() == [3, 13, 23, 33, 43]
    assert outputs[0].facts["without_vector"] == {"text": 2, "image": 0}


def rewrite(folder: Path, stem: str = datacomp.STEMS[0], **changes: Any) -> None:
    """Change arrays of an `.npz`; None leaves one out."""
    path = folder / f"{stem}.npz"
    arrays = dict(np.load(path))
    arrays |= {name: change(arrays[name]) for name, change in changes.items() if change}
    np.savez(path, **{name: values for name, values in arrays.items() if changes.get(name, True)})


def not_finite(value: float) -> Any:
    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[12, 3] = value
        return values

    return change


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"l14_txt": lambda values: values[1:]}, "npz has 49 rows of l14_txt, and .*parquet has 50"),
        ({"l14_img": None}, "has no array 'l14_img', but b32_img, b32_txt, l14_txt"),
        ({"l14_txt": not_finite(np.nan)}, "source row 12 has values that are NaN"),
        ({"l14_img": not_finite(np.inf)}, "image of .*source row 12 has values that are NaN, infinite"),
        ({"l14_txt": lambda values: values.astype(object)}, "holds Python objects, which are never read"),
        ({"l14_txt": lambda values: values[:, 0]}, r"shape \(50,\): a matrix of floats by rows is needed"),
        ({"l14_txt": lambda values: np.asfortranarray(values)}, "by columns"),
        ({"l14_txt": lambda values: (values * 9).astype(np.int8)}, "holds int8"),
        ({"l14_txt": lambda values: values[::-1], "l14_img": lambda values: values[::-1]}, "are those of other rows"),
    ],
)
def test_faults_are_named(tmp_path: Path, root: Location, changes: dict[str, Any], said: str) -> None:
    datacomp.folder(tmp_path / "pool", ROWS)
    rewrite(tmp_path / "pool", **changes)
    with pytest.raises(SourceError, match=said) as error:
        made(tmp_path / "pool", root, rows_per_shard=ROWS)
    assert datacomp.STEMS[0] in str(error.value)


def test_swapped_files_are_found_by_scores(tmp_path: Path, root: Location) -> None:
    datacomp.folder(tmp_path / "pool", ROWS)
    first, second = (tmp_path / "pool" / f"{stem}.npz" for stem in datacomp.STEMS)
    shutil.move(first, tmp_path / "aside")
    shutil.move(second, first)
    shutil.move(tmp_path / "aside", second)
    with pytest.raises(SourceError, match=rf"{datacomp.STEMS[0]}.*clip_l14 correlate by -?0\.\d\d.*swapped"):
        made(tmp_path / "pool", root, rows_per_shard=ROWS)
    found, _ = made(tmp_path / "pool", root, rows_per_shard=ROWS, compare_scores=False)
    assert found.height == 2 * ROWS


def test_a_missing_file_and_one_that_is_none(tmp_path: Path, root: Location) -> None:
    datacomp.folder(tmp_path / "pool", ROWS)
    file = tmp_path / "pool" / f"{datacomp.STEMS[1]}.npz"
    whole = file.read_bytes()
    file.write_bytes(b"<html>")
    with pytest.raises(SourceError, match=rf"{datacomp.STEMS[1]}.npz is no .npz file"):
        made(tmp_path / "pool", root)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=rf"{datacomp.STEMS[1]}.npz"):
        made(tmp_path / "pool", root)
    file.unlink()
    with pytest.raises(SourceError, match=rf"{datacomp.STEMS[1]}.npz is not there.*{datacomp.STEMS[1]}.parquet"):
        made(tmp_path / "pool", root)


def test_columns_that_hold_no_vectors(tmp_path: Path, root: Location) -> None:
    rows = pl.DataFrame({"url": ["u", "v"], "ragged": [[1.0], [1.0, 2.0]], "words": [["a"], ["b"]]})
    rows.write_parquet(tmp_path / "list.parquet")
    for column, said in (("ragged", "lists of 1, 2 numbers"), ("words", "lists of floats"), ("none", "no column")):
        with pytest.raises(SourceError, match=said):
            made(tmp_path / "list.parquet", root, origin="columns", text=column, image=None)


def test_texts_are_encoded_where_nothing_is_stored(tmp_path: Path, root: Location) -> None:
    texts = ["a red barn", None, " ", "a red barn", "the sea"]
    pl.DataFrame({"url": ["u"] * 5, "text": texts}).write_parquet(tmp_path / "list.parquet")
    encoder = Model(implementation="paris_assets_tests.models.cheap:Letters", batch_size=2)
    found, outputs = made(tmp_path / "list.parquet", root, origin="encoder", encoder=encoder, tokens=5)
    vectors = found["text"]
    assert vectors.is_null().to_list() == [False, True, True, False, False]
    assert vectors[0].to_list() == vectors[3].to_list() != vectors[4].to_list()
    assert outputs[0].facts["without_vector"] == {"text": 2}
    assert "pool.vectors.encoder" in outputs[0].facts["models"]


def test_the_assets_of_a_pool(tmp_path: Path, root: Location) -> None:
    arrays = datacomp.folder(tmp_path / "pool", ROWS)
    settings = Source(path=str(tmp_path / "pool"), rows_per_shard=ROWS)
    registry = register(settings, None, root)
    source = RegisteredSource(settings, lambda shard: entry_of(registry, shard), root)
    profile = load_profile("demo", {"pool.subsets": {"everything": []}})
    (rows,) = source_rows.body("00001", profile, source).rows  # type: ignore[misc]
    assert rows["uid"].to_list() == [datacomp.uid(row) for row in range(ROWS, 2 * ROWS)]
    assert rows["face_bboxes"].list.len().to_list() == [int(row % 3 == 0) for row in range(ROWS, 2 * ROWS)]
    assert rows["clip_l14"].equals(rows["similarity"].alias("clip_l14"))
    assert rows.select("clip_b32", "source_sha256").null_count().row(0) == (0, 0)
    (vectors,) = pool_vectors.body("00001", source, Models(), profile, rows.lazy()).rows  # type: ignore[misc]
    assert np.array_equal(vectors["image"].to_numpy(), arrays[1]["l14_img"])
    path = tmp_path / "pool" / f"{datacomp.STEMS[1]}.parquet"
    datacomp.table(arrays[1], ROWS, uid=["7"] * ROWS).write_parquet(path)
    assert source_rows.body("00001", load_profile("demo"), source).rows_in == ROWS
    with pytest.raises(SourceError, match=rf"{path.name}, row 0: the uid '7' is not 32"):
        source_rows.body("00001", profile, source)
