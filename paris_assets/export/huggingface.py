"""`paris export --format hf`: the training samples as a data set of the Hugging Face hub, with its card."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.experts.coding import CODEC
from paris_assets.experts.readme import network
from paris_assets.experts.summary import EMPTY_PROMPT, SIDES
from paris_assets.export import folder
from paris_assets.export.card import Card
from paris_assets.export.checksums import Checksums
from paris_assets.export.parquet import FINGERPRINT, footer, write_groups
from paris_assets.export.parts import Config, Part, part
from paris_assets.export.placing import brought
from paris_assets.export.provenance import provenance
from paris_assets.export.published import Published, read_published
from paris_assets.export.sample_columns import SampleColumns
from paris_assets.export.tar_samples import TarSample, by_side, mapped, stored
from paris_assets.planning.waves import some
from paris_assets.storage.location import Location

ROWS = 100
"""Of a row group: what a reader holds at least."""
ALL = "all"
LOAD = """\
import datasets

data = datasets.load_dataset("FOLDER", "{}", split="train")
data.set_format("torch")"""
SAID = (
    "Training samples for decentralised diffusion experts, as paris_assets made them: of each picture its caption, the "
    "latent that an image autoencoder gives, the states of a text encoder, and what is known of it. Each configuration "
    "`cluster_K` is what one expert trains on; `all` has all of them."
)


def hf_command(catalog: Catalog, out: Location, license: str) -> int:
    """Write `cluster_K/SIDE-SHARD-PART.parquet` of every tar, and what belongs to a data set; 0.

    Args:
        license: of the data set, an identifier of the hub.

    Raises:
        MissingInput: nothing is published, or a change is not finished.
        UsageError: there are no tars, or the folder cannot be used.
    """
    published, root = read_published(catalog, "hf"), catalog.location
    # The folder is pushed as it is: it tells no path of this machine.
    told = hashlib.sha256(folder.address(root).encode()).hexdigest()[:16]
    folder.begin(out, {"format": "hf", "root": f"sha256:{told}"}, root)
    columns, sums = SampleColumns(published.manifest["format"]), Checksums(out)
    sets = dict[int, dict[str, list[Part]]]()
    try:
        for row in published.tars.iter_rows(named=True):
            for side, found in _parts(root, out, row, columns, sums):
                sets.setdefault(row["cluster"], {}).setdefault(side, []).append(found)
        card = _card(catalog, out, published, sets, columns.schema, license)
        card.write(sums)
        _beside(root, out, published, sums)
        folder.remove_others(out, "cluster_*/*.parquet", sums.files)
        sums.finish()
    finally:
        folder.tidy(out)
    for line in _told(out, published, card):
        Console(highlight=False, soft_wrap=True, markup=False).print(line)
    return 0


def _parts(
    root: Location, out: Location, row: dict[str, Any], columns: SampleColumns, sums: Checksums
) -> Iterator[tuple[str, Part]]:
    """(side, file) of one tar."""
    name = Path(row["path"]).stem
    paths = {side: f"cluster_{row['cluster']}/{side}-{name}.parquet" for side in SIDES}
    of = f"{row['sha256']} {code_version(_parts)} {columns.schema.serialize().to_pybytes().hex()}"
    wanted = hashlib.sha256(of.encode()).hexdigest()
    there = {side: found for side, path in paths.items() if (found := _kept(out, path, wanted, sums))}
    if sum(found.rows for found in there.values()) == row["samples"]:
        yield from there.items()
        return
    with out.scratch() as scratch, mapped(brought(root, row["path"], row["sha256"], scratch)) as tar:
        for number, samples in by_side(tar, root.uri(row["path"])).items():
            side, local = SIDES[number], scratch / "rows.parquet"
            facts = {FINGERPRINT.decode(): wanted}
            write_groups(local, columns.schema, _groups(tar, samples, columns), facts)
            told, size = pq.read_metadata(local), local.stat().st_size
            yield side, part(paths[side], told, size, sums.file(paths[side], local), kept=False)


def _kept(out: Location, path: str, wanted: str, sums: Checksums) -> Part | None:
    """A file that an earlier export wrote of the same tar, by the same code."""
    told = footer(out, path)
    if told is None or (told.metadata or {}).get(FINGERPRINT) != wanted.encode():
        return None
    sha256 = sums.there(path)
    return part(path, told, out.size(path) or 0, sha256, kept=True) if sha256 else None


def _groups(tar: mmap.mmap, samples: Sequence[TarSample], columns: SampleColumns) -> Iterator[pa.Table]:
    for first in range(0, len(samples), ROWS):
        yield columns.table([stored(tar, sample) for sample in samples[first : first + ROWS]])


def _card(
    catalog: Catalog,
    out: Location,
    published: Published,
    sets: dict[int, dict[str, list[Part]]],
    schema: pa.Schema,
    license: str,
) -> Card:
    configs = [
        Config(
            f"cluster_{expert}",
            f"Samples of expert {expert}",
            {side: (f"cluster_{expert}/{side}-*.parquet", sides[side]) for side in SIDES if side in sides},
        )
        for expert, sides in sorted(sets.items())
    ]
    of_all = {side: [found for sides in sets.values() for found in sides.get(side, [])] for side in SIDES}
    patterns = {side: (f"cluster_*/{side}-*.parquet", found) for side, found in of_all.items() if found}
    origin = provenance(catalog, out, [found.path for config in configs for found in config.parts])
    load = LOAD.format(configs[0].name)
    whole = Config(ALL, "Samples of all experts", patterns)
    name = f"{published.manifest['profile']} experts"
    notes = list(_notes(published.manifest["format"]))
    return Card(name, SAID, load, notes, configs, whole, schema, license, published.manifest["version"], origin)


def _notes(form: dict[str, Any]) -> Iterator[str]:
    """How arrays are used, of the manifest's `format`."""
    latents, text = form["latents"], form["text"]
    if "codec" in form:
        yield f"Arrays of uint8 are coded: `{form['codec']['decode']}`, with the scales in `{CODEC}`. Undo it first."
    yield (
        f"Latents are scaled: `{latents['decode']}`, with scaling_factor {latents['scaling_factor']} and shift_factor "
        f"{latents['shift_factor']}, gives what the decoder of {network(latents['codec'])} takes."
    )
    yield f"`text` is what {network(text['encoder'])} gives; {text['padding']}."
    yield (
        "`empty_prompt.npy` is the text embedding of the empty prompt, for classifier-free guidance; no caption was "
        "dropped."
    )
    yield f"Of `split`: {form['split']['meaning']}."


def _beside(root: Location, out: Location, published: Published, sums: Checksums) -> None:
    """The empty prompt, and how arrays are coded, where they are."""
    listed = {file["path"]: file["sha256"] for file in published.manifest["files"]}
    for path in (EMPTY_PROMPT, f"expert_shards/{CODEC}"):
        if path in listed:
            with out.scratch() as scratch:
                sums.file(path.rpartition("/")[2], brought(root, path, listed[path], scratch), listed[path])


def _told(out: Location, published: Published, card: Card) -> Iterator[str]:
    parts = card.whole.parts if card.whole else []
    kept, size = sum(found.kept for found in parts), sum(found.size_bytes for found in parts)
    there = f", {kept} of them there before" if kept else ""
    rows = sum(found.rows for found in parts)
    yield f"{rows:,} samples in {len(parts):,} files, {size / 1e6:,.1f} MB{there}: {out.url}"
    if published.unfinished:
        yield f"not in it: {some(published.unfinished)}, not finished"
    yield f'datasets.load_dataset("{out.url}", "{card.configs[0].name}")'
