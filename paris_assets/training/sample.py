"""Draw pictures with trained experts and the router: ``python -m paris_assets.training.sample --help``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from paris_assets.errors import UsageError, UserError, explained
from paris_assets.models.registry import build as build_model
from paris_assets.training.checkpoints import Checkpoint, CheckpointError, latest
from paris_assets.training.flow import generator
from paris_assets.training.mixture import MIXTURES, SOLVERS, Mixture, Words, integrate
from paris_assets.training.networks import PATCH, build
from paris_assets.training.options import at_least, placed
from paris_assets.training.root_networks import encode_prompts, read_settings


def load(found: Checkpoint, device: torch.device, bf16: bool) -> nn.Module:
    """The averaged network of a checkpoint, for inference."""
    network = build(found.state["network"])
    network.load_state_dict(found.tensors("ema"))
    return network.to(device=device, dtype=torch.bfloat16 if bf16 else torch.float32).requires_grad_(False).eval()


def find_networks(folder: Path, cluster: int | None) -> tuple[dict[int, Checkpoint], Checkpoint | None]:
    """The experts and the router; one expert alone where a cluster is named.

    Raises:
        CheckpointError: one is not there, or they are of different latents.
    """
    router = None if cluster is not None else latest(folder / "router")
    if cluster is None and router is None:
        raise CheckpointError(f"no checkpoint in {folder}/router: train it, or name one expert by --cluster")
    wanted = range(router.state["network"]["clusters"]) if router else [cluster]
    found = {int(each): latest(folder / f"cluster_{each}") for each in wanted}  # type: ignore[arg-type]
    if absent := [str(each) for each, checkpoint in found.items() if checkpoint is None]:
        raise CheckpointError(
            f"no checkpoint in {folder} of expert {', '.join(absent)}: train what is missing, or name one by --cluster"
        )
    experts = {each: checkpoint for each, checkpoint in found.items() if checkpoint}
    of_all = [*experts.values(), *([router] if router else [])]
    for name in ("channels", "text_dim"):
        values = {each.state["network"][name] for each in of_all if name in each.state["network"]}
        if len(values) > 1:
            raise CheckpointError(f"networks in {folder} differ in {name} ({sorted(values)}): train them on one root")
    return experts, router


def painter(given: argparse.Namespace) -> Painter:
    """All that the arguments name, loaded.

    Raises:
        UsageError: the root encodes other text, or decodes other latents, than the experts were trained with.
        CheckpointError: as ``find_networks`` says.
    """
    device, bf16 = placed(given.device, given.precision)
    experts, router = find_networks(Path(given.networks), given.cluster)
    text_settings, codec_settings, form = read_settings(given.root, given.text_encoder, given.vae)
    text, mask = encode_prompts(["", *given.prompts], text_settings, form)
    codec = build_model(codec_settings)
    first = next(iter(experts.values())).state
    for what, here in (("text_dim", text.shape[2]), ("channels", codec.channels)):
        if here != first["network"][what]:
            raise UsageError(
                f"{given.root} makes {what} {here}, and the experts in {given.networks} take "
                f"{first['network'][what]}: name the root that they were trained on"
            )
    return Painter(
        {each: load(checkpoint, device, bf16) for each, checkpoint in experts.items()},
        load(router, device, bf16) if router else None,
        codec,
        Words(torch.from_numpy(text).to(device), torch.from_numpy(mask).to(device)),
        (codec.channels, *(sides(given.size, codec.factor) if given.size else first["shape"][1:])),
        {each: checkpoint.state["step"] for each, checkpoint in experts.items()},
        bf16,
    )


class Painter(NamedTuple):
    """What draws.

    Attributes:
        experts: by cluster.
        words: of the empty prompt, then of each prompt.
        shape: of a latent.
        trained: steps of each expert.
    """

    experts: dict[int, nn.Module]
    router: nn.Module | None
    codec: Any
    words: Words
    shape: tuple[int, ...]
    trained: dict[int, int]
    bf16: bool

    def draw(self, number: int, given: argparse.Namespace) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Pictures of a prompt, (count, height, width, 3) uint8, and how much each expert gave to each.

        The noise of a picture follows from seed, prompt's number and its own.
        """
        device = self.words.text.device
        rows = torch.full((given.count,), number + 1, device=device)
        words, empty = (Words(*(each[which] for each in self.words)) for which in (rows, torch.zeros_like(rows)))
        sources = [generator("cpu", given.seed, "picture", number, each) for each in range(given.count)]
        noise = torch.stack([torch.randn(self.shape, generator=source) for source in sources]).to(device)
        mixture = Mixture(self.experts, self.router, given.mixture, given.guidance, words, empty)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            latents = integrate(mixture, noise, given.steps, given.solver)
        shares = [
            {str(cluster): round(share, 4) for cluster, share in zip(sorted(self.experts), row, strict=True)}
            for row in mixture.mean_weights().tolist()
        ]
        return self.codec.decode(latents.cpu().numpy()), shares


def draw(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Draw what the arguments ask for into PNG files; what `pictures.json` says of each.

    Raises:
        FileError: they cannot be written.
    """
    paints, out, told = painter(given), Path(given.out), list[dict[str, Any]]()
    asked = {name: getattr(given, name) for name in ("mixture", "guidance", "steps", "solver", "seed")}
    for number, prompt in enumerate(given.prompts):
        pictures, shares = paints.draw(number, given)
        files = [f"{number:03d}_{each:03d}.png" for each in range(len(pictures))]
        with explained(out, "written"):
            out.mkdir(parents=True, exist_ok=True)
            for file, pixels in zip(files, pictures, strict=True):
                Image.fromarray(pixels).save(out / file)
        for file, share in zip(files, shares, strict=True):
            told.append({"file": file, "prompt": prompt, "experts": share, **asked, "trained": paints.trained})
    with explained(out, "written"):
        (out / "pictures.json").write_text(json.dumps(told, indent=2, ensure_ascii=False))
    return told


def sides(size: str, factor: int) -> tuple[int, int]:
    """Cells of a latent of HEIGHTxWIDTH pixels.

    Raises:
        UsageError: it is no such size, or patches do not divide it.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", size)
    step = factor * PATCH
    if not found or any(int(side) % step or not int(side) for side in found.groups()):
        raise UsageError(f"--size {size}: give HEIGHTxWIDTH in pixels, multiples of {step}")
    return int(found[1]) // factor, int(found[2]) // factor


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when pictures were drawn, 2 where they cannot be."""
    parser = argparse.ArgumentParser(prog="python -m paris_assets.training.sample", description=__doc__)
    add = parser.add_argument
    add("prompts", nargs="+", help="what to draw")
    add("--root", required=True, help="the root that was trained on: its text encoder and VAE are used")
    add("--text-encoder", help="its folder, where the root's own was a folder: a manifest does not tell which")
    add("--vae", help="the same of the VAE")
    add("--networks", required=True, help="folder of networks, --out of the trainers")
    add("--out", required=True, help="folder for pictures and pictures.json")
    add("--cluster", type=int, help="this expert alone, without the router")
    add("--mixture", choices=MIXTURES, default="top-2", help="experts of each step, by the router (top-2)")
    add("--guidance", type=float, default=7.5, help="1: the prompt alone (7.5)")
    add("--steps", type=at_least(1), default=50, help="from noise to latent (50)")
    add("--solver", choices=SOLVERS, default="euler", help="heun: two velocities a step (euler)")
    add("--count", type=at_least(1), default=1, help="pictures of each prompt (1)")
    add("--size", help="HEIGHTxWIDTH in pixels; default: what most latents have")
    add("--seed", type=int, default=0, help="of the noise (0)")
    add("--device", default="auto", help="auto: a GPU where there is one")
    add("--precision", choices=["auto", "bf16", "fp32"], default="auto", help="auto: bf16 on a GPU that has it")
    given = parser.parse_args(arguments)
    try:
        told = draw(given)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(told)} drawn, see {given.out}/pictures.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
