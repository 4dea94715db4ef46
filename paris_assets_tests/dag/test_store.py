"""Commits: data files first, the record last, leftovers removed, nothing torn."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.commit import commit
from paris_assets.dag.fingerprint import Node
from paris_assets.dag.s3 import open_location
from paris_assets.dag.store import Store
from paris_assets.errors import MissingInput
from paris_assets.profiles import load_profile
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output

GRAPH = {
    "tars": Node("tars", True, "1", ("clusters.k",), (), data_files=("tars/cluster_*/{shard}-*.tar",)),
    "after": Node("after", True, "1", (), ("tars",)),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_location(tmp_path), load_profile("demo"), GRAPH)


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


def test_commit_then_done(store: Store) -> None:
    assert not store.done("tars", "00000")
    record = commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))
    assert store.done("tars", "00000")
    assert [(file.path, file.size_bytes) for file in record.files] == [("tars/cluster_0/00000-0.tar", 3)]
    assert store.wanted("after", "00000") is not None
    assert store.wanted("after", "00001") is None


def test_a_setting_that_matters_makes_it_undone(store: Store) -> None:
    commit(store, "tars", "00000", output({}))
    other = Store(store.root, load_profile("demo", {"clusters.k": 3}), GRAPH)
    assert not other.done("tars", "00000")


def test_files_that_the_new_record_does_not_name_are_deleted(store: Store) -> None:
    commit(store, "tars", "00000", output({f"tars/cluster_{k}/00000-0.tar": b"x" for k in range(8)}))
    store.root.put_bytes(b"left by a killed run", "tars/cluster_9/00000-3.tar")
    store.root.put_bytes(b"another shard's", "tars/cluster_9/00001-0.tar")
    commit(store, "tars", "00000", output({f"tars/cluster_{k}/00000-0.tar": b"y" for k in range(4)}))
    left = store.root.glob("tars/cluster_*/*.tar")
    assert left == [*(f"tars/cluster_{k}/00000-0.tar" for k in range(4)), "tars/cluster_9/00001-0.tar"]


def test_a_failure_while_rows_are_made_changes_nothing(store: Store) -> None:
    before = commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"good"}))
    with pytest.raises(RuntimeError, match="no space"):
        commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"torn"}, fail=True))
    assert store.record("tars", "00000") == before
    assert store.root.read("tars/cluster_0/00000-0.tar") == b"good"


def test_a_failure_between_data_file_and_record_leaves_no_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"good"}))
    put = Location.put

    def failing(self: Location, local: Path, path: str) -> None:
        if path.endswith(".parquet"):
            raise OSError("denied")
        put(self, local, path)

    monkeypatch.setattr(Location, "put", failing)
    with pytest.raises(OSError, match="denied"):
        commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"newer"}))
    monkeypatch.undo()
    assert store.record("tars", "00000") is None
    assert not store.done("tars", "00000")


def test_a_deleted_data_file_makes_it_undone(store: Store) -> None:
    commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))
    store.root.delete("tars/cluster_0/00000-0.tar")
    assert not store.done("tars", "00000")


def test_reading_what_is_missing_names_it(store: Store) -> None:
    commit(store, "tars", "00000", output({}))
    with pytest.raises(MissingInput, match=r"tars/00001 has not been made"):
        store.scan("tars", ["00000", "00001"])
    with pytest.raises(MissingInput, match="an input has not been made"):
        commit(store, "after", "00001", output({}))


def test_previous_rows_only_when_going_on_under_the_same_settings(store: Store) -> None:
    commit(store, "tars", "00000", output({"tars/cluster_0/00000-0.tar": b"abc"}))
    assert store.previous_rows("tars", "00000") is None
    store.resuming = True
    assert store.previous_rows("tars", "00000") is not None
    store.forced = frozenset({"tars"})
    assert store.previous_rows("tars", "00000") is None
    other = Store(store.root, load_profile("demo", {"clusters.k": 3}), GRAPH)
    other.resuming = True
    assert other.previous_rows("tars", "00000") is None


def test_models_of_kept_rows_are_remembered_beside_those_that_ran_now(store: Store) -> None:
    def committed(models: dict[str, str] | None, **facts: object) -> dict:
        made = output({})
        made.facts.update(facts if models is None else {"models": {"embedder": models}, **facts})
        return commit(store, "tars", "00000", made).facts

    store.resuming = True
    committed({"precision": "fp32"}, halved_batches={"dinov2": 8})
    assert committed(None)["models"] == {"embedder": {"precision": "fp32"}}
    mixed = committed({"precision": "bf16"})
    assert mixed["models"] == {"embedder": [{"precision": "fp32"}, {"precision": "bf16"}]}
    assert mixed["halved_batches"] == {"dinov2": 8}
    store.forced = frozenset({"tars"})
    assert committed({"precision": "bf16"}) == {"models": {"embedder": {"precision": "bf16"}}}
