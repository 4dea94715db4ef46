"""A root's tables against what was published from them, shard by shard, and against their own records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.dag.graph import Graph
from paris_assets.dag.records import ALL, DataFile, Record, read_record, table_path
from paris_assets.formats.codec import ArrayCodec, encode
from paris_assets.storage.location import Location
from paris_assets.storage.ragged import array_columns
from paris_assets.verification.content import content_of
from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import ListedFiles, Promise
from paris_assets.verification.manifest_checks import MANIFEST, codecs_in
from paris_assets.verification.mds_samples import ShardMds
from paris_assets.verification.router_files import Arrays
from paris_assets.verification.sample_shapes import published_arrays, published_latents
from paris_assets.verification.tar_samples import ShardTars

BATCH_ROWS = 256
VALUES = {  # table -> column -> name in metadata.json
    "curated_images": {
        "uid": "uid",
        "group_id": "group_id",
        "url": "url",
        "width": "original_width",
        "height": "original_height",
        "aesthetic": "aesthetic",
    },
    "captions": {"caption": "caption", "captioner": "captioner", "source_text": "source_text", "kind": "caption_kind"},
    "text_embeddings": {"tokens": "tokens", "truncated": "truncated"},
    "sampling_weights": {"weight": "weight", "concepts": "concepts"},
    "cluster_assignments": {
        "cluster": "expert",
        "fine_cluster": "fine_cluster",
        "distance": "distance",
        "second_distance": "second_distance",
    },
}


class TableJoins:
    """Joins of published samples with the tables of their root."""

    def __init__(self, root: Location, manifest: dict[str, Any], graph: Graph, findings: Findings) -> None:
        self._root, self._manifest, self._graph, self._findings = root, manifest, graph, findings
        self._latents, self._codecs = published_latents(manifest["settings"]), codecs_in(manifest)
        self._listed = {file["path"]: file["sha256"] for file in manifest["files"]}

    def join(self, shard: str, samples: pl.DataFrame, tars: ShardTars | ShardMds, arrays: Arrays | None) -> None:
        """All tables of one shard against its samples; tables that cannot be read are left to ``check_records``."""
        placed = {name: name for name in self._latents.placed}
        for asset, columns in {**VALUES, "latents": placed}.items():
            table = self._table(asset, shard, ["image_id", *columns])
            if table is not None:
                self._join_values(asset, shard, samples, table.rename(columns))
        self._join_selection(shard, samples)
        self._join_split(shard, samples)
        for size in sorted(self._latents.resolutions):
            place = self._latents.column("latent_at", size)
            self._join_arrays("latents", shard, f"latent_{size}", samples, place, tars)
        self._join_arrays("text_embeddings", shard, "embedding", samples, "text_at", tars)
        if arrays is not None:
            for asset, column, name in (
                ("image_embeddings", "embedding", "embeddings"),
                ("text_embeddings", "pooled", "clip"),
            ):
                if name in arrays:
                    self._join_router(asset, shard, column, arrays, name)

    def _table(
        self, asset: str, shard: str, columns: list[str], where: list[tuple[str, str, str]] | None = None
    ) -> pl.DataFrame | None:
        if read_record(self._root, asset, shard) is None:
            return None
        with self._root.open(table_path(asset, shard)) as file:
            try:
                return pl.DataFrame(pq.read_table(file, columns=columns, filters=where))
            except (pa.ArrowException, OSError):
                return None

    def _join_values(self, asset: str, shard: str, samples: pl.DataFrame, table: pl.DataFrame) -> None:
        names = [name for name in table.columns if name != "image_id"]
        joined = samples.select("image_id", "path", *names).join(
            table.with_columns(found=True), on="image_id", how="left", suffix=" there", maintain_order="left"
        )
        where = table_path(asset, shard)
        self._report(
            joined.filter(pl.col("found").is_null()), f"samples that {where} has", "an image without a row there"
        )
        joined = joined.filter("found")
        for name in names:
            there = f"{name} there"
            here = pl.col(name).cast(joined.schema[there], strict=False)
            self._report(joined.filter(here.ne_missing(pl.col(there))), f"{name} as in {where}", f"another {name}")
        self._findings.checked["joined values"] += joined.height * len(names)

    def _report(self, rows: pl.DataFrame, expected: str, found: str) -> None:
        for (path,), group in rows.group_by("path", maintain_order=True):
            self._findings.samples(str(path), expected, found, group["image_id"].to_list())

    def _join_selection(self, shard: str, samples: pl.DataFrame) -> None:
        selection = self._table("training_selection", shard, ["image_id", "selected"])
        latents = self._table("latents", shard, ["image_id"])
        captions = self._table("captions", shard, ["image_id", "caption"])
        if selection is None or latents is None or captions is None:
            return
        captioned = captions.filter(pl.col("caption") != "")
        wanted = selection.filter("selected")
        for table in (latents, captioned):
            wanted = wanted.join(table, on="image_id", how="semi")
        self._report(
            samples.join(wanted, on="image_id", how="anti"),
            f"images that training_selection/{shard}.parquet selects and that have a latent and a caption",
            "an image that is not among them",
        )
        missing = wanted.join(samples, on="image_id", how="anti")["image_id"].to_list()
        where, expected = f"training_selection/{shard}.parquet", "every selected image with latent and caption in a tar"
        remedy = f"make them again: paris run --force --select expert_shards,router_arrays --shards {shard}"
        self._findings.samples(where, expected, "none that holds the image,", missing, remedy)

    def _join_split(self, shard: str, samples: pl.DataFrame) -> None:
        split = self._table("training_split", ALL, ["image_id", "split"], [("shard", "=", shard)])
        if split is not None:
            wanted = samples.select("image_id", "path", held_out="split").join(split, on="image_id", how="left")
            other = wanted.filter(pl.col("split").cast(pl.Int64).ne_missing(pl.col("held_out")))
            self._report(other, f"the split of {table_path('training_split')}", "another split")

    def _join_arrays(
        self, asset: str, shard: str, column: str, samples: pl.DataFrame, place: str, tars: ShardTars | ShardMds
    ) -> None:
        places = {name: (path, at) for name, path, at in samples.select("image_id", "path", place).iter_rows()}
        wrong: dict[str, list[str]] = {}
        codec = self._codecs.get("text" if column == "embedding" else "latents")
        for name, values in self._rows(asset, shard, column, codec):
            path, at = places.get(name, ("", None))
            if (path and (at is not None) != (values is not None)) or (
                path and values is not None and not tars.same(path, at, values)
            ):
                wrong.setdefault(path, []).append(name)
            self._findings.checked["joined values"] += bool(path)
        for path, names in wrong.items():
            self._findings.samples(path, f"{column} of {table_path(asset, shard)}", "another array", names)

    def _join_router(self, asset: str, shard: str, column: str, arrays: Arrays, name: str) -> None:
        positions = {image.decode(errors="replace"): row for row, image in enumerate(arrays["image_ids"].tolist())}
        wrong = []
        for image_id, values in self._rows(asset, shard, column):
            row = positions.get(image_id)
            if row is not None and arrays[name][row].tobytes() != values:
                wrong.append(image_id)
            self._findings.checked["joined values"] += row is not None
        expected = f"{column} of {table_path(asset, shard)}"
        self._findings.samples(f"router_arrays/{shard}/{name}.npy", expected, "another row", wrong)

    def _rows(
        self, asset: str, shard: str, column: str, codec: ArrayCodec | None = None
    ) -> Iterator[tuple[str, bytes | None]]:
        """(image_id, bytes of its array as they are published; None where it has none) of one table, a batch in memory
        at a time."""
        if read_record(self._root, asset, shard) is None:
            return
        with self._root.open(table_path(asset, shard)) as file:
            try:
                table = pq.ParquetFile(file)
                columns = array_columns(column, table.schema_arrow.names)
                for batch in table.iter_batches(BATCH_ROWS, columns=["image_id", *columns]):
                    rows = pl.DataFrame(batch)
                    for image_id, values in zip(rows["image_id"], published_arrays(rows, column, codec), strict=True):
                        coded = values if codec is None or values is None else encode(values, codec)
                        yield image_id, None if coded is None else coded.tobytes()
            except (pa.ArrowException, OSError):
                return

    def check_records(self) -> None:
        """Every table against its record, its data files, and the manifest's counts.

        The manifest has counts of all tables but its own; where they were taken out, the tables are there all the same.
        """
        counts: dict[str, Any] = self._manifest["counts"]
        unlisted: dict[str, Promise] = {}
        for asset in sorted(self._graph):
            if asset in counts or self._begun(asset):
                records = list(self._records(asset))
                if asset in counts:
                    self._compare_counts(asset, counts[asset], records)
                unlisted |= self._unlisted(asset, [file for record in records for file in record.files])
        with ListedFiles(self._root, unlisted, self._findings) as found:
            if not self._root.remote:
                found.prepare(found.promises)
            for path in found.promises:
                found.take(path)
                found.drop([path])

    def _unlisted(self, asset: str, recorded: list[DataFile]) -> dict[str, Promise]:
        """What records promise of the files that the manifest does not list; those that it lists must be the same."""
        unlisted: dict[str, Promise] = {}
        for file in recorded:
            stated = self._listed.get(file.path)
            if stated is None:
                unlisted[file.path] = Promise(file.size_bytes, file.sha256)
            elif stated != file.sha256:
                expected = f"{file.path} with sha256 {file.sha256}, as {asset} wrote it"
                self._findings.problem(MANIFEST, expected, f"sha256 {stated}", "publish anew: paris run")
        return unlisted

    def _keys(self, asset: str) -> list[str]:
        known = [*self._manifest["shards"], *self._manifest["shards_missing"]]
        return sorted(known) if self._graph[asset].partitioned else [ALL]

    def _begun(self, asset: str) -> bool:
        return any(read_record(self._root, asset, key) is not None for key in self._keys(asset))

    def _records(self, asset: str) -> Iterator[Record]:
        for key in self._keys(asset):
            path, record = table_path(asset, key), read_record(self._root, asset, key)
            if record is None and key in self._manifest["shards_missing"]:
                continue
            self._findings.checked["tables"] += 1
            if record is None:
                found = "no such file" if self._root.size(path) is None else "one that cannot be read"
                self._findings.problem(path, "a table with its record", found, "bring it back: paris run")
                continue
            with self._root.open(path) as file:
                content = content_of(file, record, self._graph[asset].volatile)
            if content != record.content:
                expected = f"rows with hash {record.content[:16]}, as recorded"
                self._findings.problem(path, expected, content[:16] or "rows that cannot be read")
            yield record

    def _compare_counts(self, asset: str, stated: Mapping[str, Any], records: list[Record]) -> None:
        rejects: Counter[str] = Counter()
        for record in records:
            rejects.update(record.rejects)
        found = {
            "in": sum(record.counts.get("rows_in", record.rows) for record in records),
            "out": sum(int(record.facts.get("kept", record.rows)) for record in records),
            "rejects": dict(rejects),
        }
        for name, value in found.items():
            if stated.get(name) != value:
                expected = f"counts.{asset}.{name} = {value}, as its tables record"
                self._findings.problem(MANIFEST, expected, str(stated.get(name)), "publish anew: paris run")
