from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paris_assets.dag import kept_records
from paris_assets.dag.kept_records import KeptRecords
from paris_assets.storage.location import Location


def test_threads_that_look_at_a_partition_at_once_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def slowly(_: Location, asset: str, shard: str) -> None:
        read.append(f"{asset}/{shard}")
        time.sleep(0.05)

    monkeypatch.setattr(kept_records, "read_record", slowly)
    records = KeptRecords(Location(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: records.at("latents", f"{number % 2:05}", 1), range(16)))
    assert sorted(read) == ["latents/00000", "latents/00001"]
    records.at("latents", "00000", 2)
    assert len(read) == 3, "a table that changed is read again"
