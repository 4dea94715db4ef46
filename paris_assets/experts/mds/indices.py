"""The index of each folder of MDS files, assembled last from what is known of the files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import polars as pl

from paris_assets.experts.coding import CODEC, Codecs, codec_bytes
from paris_assets.experts.mds.files import FOLDER, Kind
from paris_assets.experts.schema import MDS_INDEX
from paris_assets.formats.mds_writer import INDEX, index_bytes
from paris_assets.storage.output import Output


def indices(files: pl.LazyFrame, codecs: Codecs) -> Output:
    """Rows of `mds_index`, one per folder, its `index.json`, and `codec.json` where there is a codec.

    Args:
        files: `expert_mds` of all shards.
    """
    rows = files.sort("path").collect()
    output = Output(rows_in=rows.height)

    def write() -> Iterator[pl.DataFrame]:
        folders: defaultdict[Kind, list[dict[str, Any]]] = defaultdict(list)
        for row in rows.iter_rows(named=True):
            folders[Kind(row["cluster"], row["sizes"], row["split"])].append(row)
        index = []
        for kind, held in folders.items():
            path = f"{kind.folder}/{INDEX}"
            output.add_file(path, index_bytes([json.loads(row["entry"]) for row in held]))
            sums = {name: sum(row[name] for row in held) for name in ("samples", "size_bytes")}
            index.append({**kind._asdict(), "path": path, "files": len(held), **sums})
        if codecs:
            output.add_file(f"{FOLDER}/{CODEC}", codec_bytes(codecs))
        output.facts |= {"samples": int(rows["samples"].sum()), "folders": len(index)}
        yield MDS_INDEX.frame(index).sort("path")

    output.rows = write()
    return output
