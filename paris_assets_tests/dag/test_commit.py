"""Commits: data files first, the record last, leftovers removed, nothing torn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.commit import Partition, commit
from paris_assets.dag.graph import TableSpec
from paris_assets.dag.records import ALL
from paris_assets.errors import MissingInput
from paris_assets.profiles import load_profile
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets.storage.schema import Schema, WrongColumns
from paris_assets_tests.fixtures.made_up import MadeUpRoot

GRAPH = {
    "tars": TableSpec("tars", True, "1", ("clusters.k",), (), data_files=("tars/cluster_*/{shard}-*.tar",)),
    "after": TableSpec("after", True, "1", (), ("tars",)),
}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    return MadeUpRoot(Catalog(Location(tmp_path), load_profile("demo"), lambda profile: GRAPH))


def output(files: dict[str, bytes], fail: bool = False) -> Output:
    made = Output(rows_in=len(files))

    def rows() -> Iterator[pl.DataFrame]:
        for path, data in files.items():
            made.add_file(path, data)
        if fail:
            raise RuntimeError("no space left on device")
        yield pl.DataFrame({"path": sorted(files)}, schema={"path": pl.String})

    made.rows = rows()
    return made


def test_commit_then_done(store: MadeUpRoot) -> None:
    assert not store.done("tars", "00000")
    record = store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))
    assert store.done("tars", "00000")
    assert [(file.path, file.size_bytes) for file in record.files] == [("tars/cluster_0/00000-0.tar", 3)]
    assert store.wanted("after", "00000") is not None
    assert store.wanted("after", "00001") is None


def test_a_setting_that_matters_makes_it_undone(store: MadeUpRoot) -> None:
    store.commit("tars", "00000", output({}))
    other = store.under(**{"clusters.k": 3})
    assert not other.done("tars", "00000")


def test_files_that_the_new_record_does_not_name_are_deleted(store: MadeUpRoot) -> None:
    store.commit("tars", "00000", output({f"tars/cluster_{k}/00000-0.tar": b"x" for k in range(8)}))
    store.root.put_bytes(b"left by a killed run", "tars/cluster_9/00000-3.tar")
    store.root.put_bytes(b"another shard's", "tars/cluster_9/00001-0.tar")
    store.commit("tars", "00000", output({f"tars/cluster_{k}/00000-0.tar": b"y" for k in range(4)}))
    left = store.root.glob("tars/cluster_*/*.tar")
    assert left == [*(f"tars/cluster_{k}/00000-0.tar" for k in range(4)), "tars/cluster_9/00001-0.tar"]


def test_a_failure_while_rows_are_made_changes_nothing(store: MadeUpRoot) -> None:
    before = store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"good"}))
    with pytest.raises(RuntimeError, match="no space"):
        store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"torn"}, fail=True))
    assert store.record("tars", "00000") == before
    assert store.root.read("tars/cluster_0/00000-0.tar") == b"good"


@pytest.mark.parametrize(
    ("newer", "keeps", "stays"),
    [(b"newer", None, False), (b"newer", "when_retried", True), (b"same", "when_retried", False)],
)
def test_a_failure_between_data_file_and_record_leaves_nothing_done(
    store: MadeUpRoot, monkeypatch: pytest.MonkeyPatch, newer: bytes, keeps: Any, stays: bool
) -> None:
    """What was fetched keeps its older record where the size of its file tells that it is another."""
    before = store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"good"}))
    put = Location.put

    def failing(self: Location, local: Path, path: str) -> None:
        if path.endswith(".parquet"):
            raise OSError("denied")
        put(self, local, path)

    monkeypatch.setattr(Location, "put", failing)
    with pytest.raises(OSError, match="denied"):
        store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": newer}), keeps=keeps)
    monkeypatch.undo()
    assert store.root.read("tars/cluster_0/00000-0.tar") == newer
    assert store.record("tars", "00000") == (before if stays else None)
    assert not store.done("tars", "00000")


def test_a_failure_before_the_data_file_is_replaced_leaves_all_as_it_was(
    store: MadeUpRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kill in the middle of a long upload would: nothing is to be fetched again."""
    before = store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"good"}))

    def failing(self: Location, local: Path, path: str) -> None:
        raise OSError("denied")

    monkeypatch.setattr(Location, "put", failing)
    with pytest.raises(OSError, match="denied"):
        store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"newer"}), keeps="when_retried")
    monkeypatch.undo()
    assert store.record("tars", "00000") == before
    assert store.done("tars", "00000")


def test_a_deleted_data_file_makes_it_undone(store: MadeUpRoot) -> None:
    store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))
    store.root.delete("tars/cluster_0/00000-0.tar")
    assert not store.done("tars", "00000")


def test_reading_what_is_missing_names_it(store: MadeUpRoot) -> None:
    store.commit("tars", "00000", output({}))
    with pytest.raises(MissingInput, match=r"tars/00001 has not been made"):
        store.scan("tars", ["00000", "00001"])
    with pytest.raises(MissingInput, match=r"tars/00001 has not been made under .*: materialise it first"):
        store.commit("after", "00001", output({}))


def test_rows_are_kept_only_when_going_on_under_the_same_settings(store: MadeUpRoot) -> None:
    store.commit("tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))

    def given(root: MadeUpRoot, **how: Any) -> bool:
        seen: list[bool] = []

        def rows(previous: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
            seen.append(previous is not None)
            yield pl.DataFrame({"path": ["x"]})

        root.commit("tars", "00000", Output(rows=rows), **how)
        return seen[0]

    assert not given(store)
    assert given(store, keeps="when_resumed")
    assert not given(store.under(**{"clusters.k": 3}), keeps="when_resumed")


def test_a_shard_made_from_its_rows_says_so_and_a_table_over_all_shards_does_not(tmp_path: Path) -> None:
    """As for `--retry transient`, and for a source that has grown."""
    graph = {**GRAPH, "fit": TableSpec("fit", False, "1", (), ())}
    store = MadeUpRoot(Catalog(Location(tmp_path), load_profile("demo"), lambda profile: graph))

    def stood(asset: str, shard: str, keeps: Any) -> bool:
        made = Output(rows=lambda _: [pl.DataFrame({"path": ["x"]})])
        return commit(store.tables, Partition(asset, shard, store.wanted(asset, shard), keeps=keeps), made).stood

    for keeps in ("when_resumed", "when_retried"):
        assert [stood("tars", keeps, how) for how in (keeps, None, keeps)] == [False, False, True]
    assert [stood("fit", ALL, "when_refitted") for _ in range(2)] == [False, False]


def test_models_of_kept_rows_are_remembered_beside_those_that_ran_now(store: MadeUpRoot) -> None:
    def committed(models: dict[str, str] | None, keep_rows: bool = True, **facts: object) -> dict:
        made = output({})
        made.facts.update(facts if models is None else {"models": {"embedder": models}, **facts})
        return store.commit("tars", "00000", made, keeps="when_resumed" if keep_rows else None).facts

    committed({"precision": "fp32"}, halved_batches={"dinov2": 8})
    assert committed(None)["models"] == {"embedder": {"precision": "fp32"}}
    mixed = committed({"precision": "bf16"})
    assert mixed["models"] == {"embedder": [{"precision": "fp32"}, {"precision": "bf16"}]}
    assert mixed["halved_batches"] == {"dinov2": 8}
    assert committed({"precision": "bf16"}, keep_rows=False) == {"models": {"embedder": {"precision": "bf16"}}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"path": ["a"]}, r"lacks its column 'bytes'"),
        ({"path": ["a"], "bytes": ["9"]}, r"tars\.bytes holds String, not Int64"),
        ({"path": ["a"], "bytes": [9], "more": [1]}, r"does not know: more"),
    ],
)
def test_rows_of_other_columns_are_not_committed(store: MadeUpRoot, rows: dict[str, list], said: str) -> None:
    schema = Schema({"path": (pl.String, "where"), "bytes": (pl.Int64, "how large")})
    with pytest.raises(WrongColumns, match=said):
        store.commit("tars", "00000", Output(rows=[pl.DataFrame(rows)]), schema=schema)
    assert store.record("tars", "00000") is None
