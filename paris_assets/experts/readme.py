"""The README beside the published shards, for who gets the folder and nothing else."""

from __future__ import annotations

from typing import Any

README = "expert_shards/README.md"
TEXT = """\
# Expert shards

One folder per expert, with WebDataset tars. `pipeline_manifest.json`, one folder up, lists every file with its sha256;
its entry `format` says the same as this page, for programs.

{counts}

## A sample

Members of a sample are named `IMAGE_ID.MEMBER`; samples are sorted by image_id.

{members}

Latents are scaled: {decode}, with scaling_factor {scaling_factor} and shift_factor {shift_factor}, gives what the
decoder of {codec} takes. They come from {resolution} px squares ({pixels}).

`clip_emb.npy` comes from {encoder}, with its own tokenizer; {padding}. `empty_prompt.npy` is the embedding of the empty
prompt, for classifier-free guidance.

`split` in `metadata.json` is 0 for train and 1 for validation: {split}. {lists}

## metadata.json

{fields}

## Router

`../router_training/*.npy` (and `../router_arrays/SHARD/*.npy`, by image shard): {order}.

{arrays}
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
        codec=_network(latents["codec"]),
        encoder=_network(text["encoder"]),
        padding=text["padding"],
        split=described["split"]["meaning"],
        lists=APART if described["split"]["separate_tars"] else TOGETHER,
        order=described["router"]["order"],
        **{name: latents[name] for name in ("decode", "scaling_factor", "shift_factor", "resolution", "pixels")},
    ).encode()


def _number(entry: tuple[str, Any]) -> int:
    return int(entry[0])


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _shape(held: dict[str, Any]) -> str:
    return f"({', '.join(map(str, held['shape']))})" if "shape" in held else ""


def _network(identity: Any) -> str:
    """A network by name, or several."""
    ran = identity if isinstance(identity, list) else [identity or {}]
    return " and ".join(f"`{one.get('implementation')}` ({one.get('source')})" for one in ran)
