"""The dataset card of an export, as the Hugging Face hub and `datasets` read it, and what lies beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from paris_assets.export.checksums import SUMS, Checksums
from paris_assets.export.croissant import CROISSANT, croissant
from paris_assets.export.parquet import DESCRIPTION, IMAGE
from paris_assets.export.parts import Config
from paris_assets.export.provenance import PROVENANCE, most

README = "README.md"
OTHER = "other"
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
SIZES = (*SIZES, (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))
LARGEST = "100B<n<1T"
HOSTS = 20
ARROW_NAMES = {"bool": "bool", "double": "float64", "float": "float32", "halffloat": "float16"}
UNKNOWN = (
    "The pictures, and the texts of their sources, belong to whoever made them. What the source list says of licences "
    "is not kept by this pipeline; ask at the address of each row. "
)
TAKEDOWN = (
    "Whoever has rights in a picture, or is seen in one, may ask the publisher of this data set to take it out, by its "
    "`url` or `image_id`. `paris takedown` removes it, and near copies of it, from everything that was made of it; a "
    "new export then lacks it."
)
AGAIN = (
    "**Fetch the pictures again** by `url`; `image_id` is the first 32 hexadecimal digits of the sha256 of the file as "
    "it was fetched, so a file that has changed since is known by it."
)


@dataclass(frozen=True)
class Card:
    """What the card of an export says.

    Attributes:
        name: of the data set.
        said: what its rows are, for people.
        load: lines of Python that load it.
        notes: what whoever uses it has to know.
        configs: those that share no file; with ``whole``, they are together loaded under its name.
        schema: of all files.
        license: an identifier of the hub.
        version: of what was exported, hexadecimal digits.
        origin: see ``provenance``.
    """

    name: str
    said: str
    load: str
    notes: Sequence[str]
    configs: Sequence[Config]
    whole: Config | None
    schema: pa.Schema
    license: str
    version: str
    origin: Mapping[str, Any]

    def write(self, sums: Checksums) -> None:
        """Write card, Croissant and provenance."""
        sums.text(PROVENANCE, json.dumps({**self.origin, "license": self.license}, indent=1, ensure_ascii=False) + "\n")
        described = croissant(self.name, self.said, self.license, f"1.0.0+{self.version}", self.configs, self.schema)
        sums.text(CROISSANT, json.dumps(described, indent=1, ensure_ascii=False) + "\n")
        front = yaml.safe_dump(self._front(), sort_keys=False, allow_unicode=True, width=1000)
        sums.text(README, f"---\n{front}---\n\n{chr(10).join(self._text())}\n")

    def _front(self) -> dict[str, Any]:
        configs = [*([self.whole] if self.whole else []), *self.configs]
        rows = configs[0].rows
        other = {"license_name": "see-licences-below", "license_link": f"{README}#licences"}
        return {
            "pretty_name": self.name,
            "license": self.license,
            **(other if self.license == OTHER else {}),
            "task_categories": ["text-to-image"],
            "size_categories": [next((name for limit, name in SIZES if rows < limit), LARGEST)],
            "configs": [self._config(config, config is configs[0]) for config in configs],
            "dataset_info": [self._info(config) for config in configs],
        }

    @staticmethod
    def _config(config: Config, default: bool) -> dict[str, Any]:
        files = [{"split": split, "path": pattern} for split, (pattern, _) in config.splits.items()]
        return {"config_name": config.name, **({"default": True} if default else {}), "data_files": files}

    def _info(self, config: Config) -> dict[str, Any]:
        sizes = {split: sum(part.raw_bytes for part in parts) for split, (_, parts) in config.splits.items()}
        splits = [
            {"name": split, "num_bytes": sizes[split], "num_examples": sum(part.rows for part in parts)}
            for split, (_, parts) in config.splits.items()
        ]
        return {
            "config_name": config.name,
            "features": [{"name": field.name, **feature(field)} for field in self.schema],
            "splits": splits,
            "download_size": sum(part.size_bytes for part in config.parts),
            "dataset_size": sum(sizes.values()),
        }

    def _text(self) -> Iterator[str]:
        origin = self.origin
        yield f"# {self.name}\n\n{self.said}\n\n```python\n{self.load}\n```\n"
        names = list(dict.fromkeys(split for config in self.configs for split in config.splits))
        counts = [
            [
                config.name,
                *(
                    f"{sum(p.rows for p in config.splits[name][1]):,}" if name in config.splits else "0"
                    for name in names
                ),
            ]
            for config in self.configs
        ]
        yield _table(("rows", *names), counts)
        if self.notes:
            yield "\n".join(f"- {note}" for note in self.notes) + "\n"
        yield "## Columns\n"
        told = [(f"`{f.name}`", _type(f), (f.metadata or {}).get(DESCRIPTION, b"").decode()) for f in self.schema]
        yield _table(("column", "type", "what"), told)
        yield "## Where it comes from\n"
        yield f"Source: `{origin['source']}`. What became of its rows:\n"
        yield "\n".join(f"- {step}" for step in origin["account"]) + "\n"
        rejects = [
            (stage, reason, f"{count:,}")
            for stage, told in origin["rejected"].items()
            for reason, count in told.items()
        ]
        if rejects:
            yield "What was left out, and why:\n"
            yield _table(("stage", "reason", "count"), rejects)
        yield f"Hosts of the pictures (all of them are in `{PROVENANCE}`):\n"
        yield _table(("host", "rows"), [(host, f"{count:,}") for host, count in most(origin["hosts"], HOSTS)])
        if origin["captioners"]:
            yield "Who wrote the captions:\n"
            yield _table(("captioner", "rows"), [(name, f"{count:,}") for name, count in origin["captioners"].items()])
        yield "Networks that ran, with their revisions, are under `models` in the same file.\n"
        yield f"{AGAIN}\n"
        yield f"## Licences\n\n{UNKNOWN}Licence of this data set itself, as its publisher named it: `{self.license}`.\n"
        taken = origin["taken_down"].get("images", 0)
        yield f"## Takedown\n\n{TAKEDOWN} Taken out so far: {taken:,} pictures.\n"
        yield f"## Files\n\n`sha256sum -c {SUMS}` checks every file; `{CROISSANT}` describes them for machines.\n"


def feature(field: pa.Field) -> dict[str, Any]:
    """A column as the hub's `dataset_info` writes its features."""
    if field.name == IMAGE:
        return {"dtype": "image"}
    inner = _inner(field.type)
    return inner if isinstance(inner, dict) else {"dtype": inner}


def _inner(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return {"list": _inner(kind.value_type), "length": kind.list_size}
    if pa.types.is_list(kind):
        return {"list": _inner(kind.value_type)}
    return ARROW_NAMES.get(str(kind), str(kind))


def _type(field: pa.Field) -> str:
    """As people read it: `float16, 4 x 32 x 32`."""
    if field.name == IMAGE:
        return "picture"
    kind, shape = field.type, list[str]()
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(str(kind.list_size) if pa.types.is_fixed_size_list(kind) else "N")
        kind = kind.value_type
    name = ARROW_NAMES.get(str(kind), str(kind))
    return f"{name}, {' x '.join(shape)}" if shape else name


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return (
        "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"
    )
