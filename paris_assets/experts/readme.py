"""The README beside the published shards, for who gets the folder and nothing else."""

from __future__ import annotations

from typing import Any

README = "expert_shards/README.md"
TEXT = """\
# Expert shards

One folder per expert, with {containers}. `pipeline_manifest.json`, one folder up, lists every file with its sha256;
its entry `format` says the same as this page, for programs.

{counts}

## A sample

Members of a sample are named `IMAGE_ID.MEMBER`; samples are sorted by image_id.

{members}

{coded}Latents are scaled: {decode}, with scaling_factor {scaling_factor} and shift_factor {shift_factor},
gives what the decoder of {codec} takes. {sizes}

`clip_emb.npy` comes from {encoder}, with its own tokenizer; {padding}. `empty_prompt.npy` is the embedding of the empty
prompt in the same form, for classifier-free guidance; dropping captions is left to training.

`split` in `metadata.json` is 0 for train and 1 for validation: {split}. {lists}

## metadata.json

{fields}

## Router

`../router_training/*.npy` (and `../router_arrays/SHARD/*.npy`, by image shard): {order}.

{arrays}
"""
CONTAINERS = {"webdataset": "WebDataset tars", "mds": "MDS files in `../expert_mds` (its columns are in the manifest)"}
CODED = """\
Arrays of `uint8` are coded: `{decode}`, with the scales in `codec.json` beside them; zero is exact. Undo it first.

"""
APART = "Tars hold one side only: `train.txt` and `validation.txt` in the folder of each expert list them by name."
TOGETHER = "Tars hold both sides: readers select by it."


def readme(described: dict[str, Any], splits: dict[str, dict[str, int]]) -> bytes:
    """Text of the README; it holds no time, host or absolute path.

    Args:
        described: the manifest's `format`.
        splits: its `split_per_cluster`.
    """
    samples, latents, text = described["samples"], described["latents"], described["text"]
    return TEXT.format(
        counts=_table(
            ("expert", "train", "validation"),
            [(name, *sides.values()) for name, sides in sorted(splits.items(), key=_number)],
        ),
        members=_table(
            ("member", "type", "shape", "meaning"),
            [
                (f"`{name}`", held.get("dtype", "text"), _shape(held), held.get("meaning", "see below"))
                for name, held in samples["members"].items()
            ],
        ),
        fields=_table(("field", "value"), list(samples["members"]["metadata.json"]["fields"].items())),
        arrays=_table(
            ("array", "type", "shape", "meaning"),
            [
                (f"`{name}`", held["dtype"], _shape(held), held["meaning"])
                for name, held in described["router"]["arrays"].items()
            ],
        ),
        containers=" and ".join(CONTAINERS[name] for name in described["written_as"]),
        coded=CODED.format(**described["codec"]) if "codec" in described else "",
        codec=network(latents["codec"]),
        sizes=_sizes(latents),
        encoder=network(text["encoder"]),
        padding=text["padding"],
        split=described["split"]["meaning"],
        lists=APART if described["split"]["separate_tars"] else TOGETHER,
        order=described["router"]["order"],
        **{name: latents[name] for name in ("decode", "scaling_factor", "shift_factor")},
    ).encode()


def _sizes(latents: dict[str, Any]) -> str:
    """Where latents come from: one line of one square size; of more a list, and what their readers must know."""
    if "sizes" not in latents:
        return f"They come from {latents['resolution']} px squares ({latents['pixels']})."
    rows = [(f"`{held['member']}`", f"{size} px", held["shapes"]) for size, held in latents["sizes"].items()]
    table = _table(("member", "size", "shapes"), rows)
    said = f"Pixels are {latents['pixels']}. A size is {latents['missing']}."
    return f"They come in several sizes or shapes:\n\n{table}\n\n{said} For micro-conditioning, {latents['mirrored']}."


def _number(entry: tuple[str, Any]) -> int:
    return int(entry[0])


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _shape(held: dict[str, Any]) -> str:
    return f"({', '.join(map(str, held['shape']))})" if "shape" in held else ""


def network(identity: Any) -> str:
    """A network by name, or several."""
    ran = identity if isinstance(identity, list) else [identity or {}]
    return " and ".join(f"`{one.get('implementation')}` ({one.get('source')})" for one in ran)
