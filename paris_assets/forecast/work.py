"""What each asset computes per row: by networks on a GPU (or the cores of a CPU), and by code on the cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from paris_assets.config import Model, Profile
from paris_assets.forecast.hardware import Hardware
from paris_assets.forecast.known import network_of
from paris_assets.forecast.networks import Network
from paris_assets.models.registry import KNOWN

GFLOP = "GFLOP"
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


class Used(NamedTuple):
    """A network that an asset runs.

    Attributes:
        setting: where the profile names it.
        share: of the asset's rows that it sees.
        side: of the square that it encodes, pixels; of an autoencoder.
    """

    setting: str
    model: Model
    share: float = 1.0
    side: int = 256


def networks_of(asset: str, profile: Profile, figure: Mapping[str, float]) -> list[Used]:
    """The networks that an asset runs.

    Args:
        figure: name of an assumption -> value.
    """
    return list(_networks(asset, profile, figure["captioned"]))


def _networks(asset: str, profile: Profile, captioned: float) -> Iterator[Used]:
    if asset == "picture_embeddings":
        yield from (Used(f"{asset}.{name}", model) for name, model in profile.picture_embeddings.items())
    elif asset == "copy_embeddings" and profile.copy_embedder:
        yield Used("copy_embedder", profile.copy_embedder)
    elif asset == "content_scores":
        for name, score in profile.scores.items():
            # A cosine runs the text tower of the encoder whose vectors it compares.
            encoder = profile.picture_embeddings.get(score.on or "") if score.text else None
            tower = {"implementation": "clip-text", "path": encoder.path, "options": {}} if encoder else {}
            model = score.model_copy(update=tower)
            yield Used(f"scores.{name}", model)
    elif asset == ("caption_kinds" if profile.captions.kinds else "captions"):
        for kind, each in profile.captions.all_kinds.items():
            share = captioned if each.unless else 1.0
            for setting, writer in list(profile.captions.writers_of(kind).items())[:1]:  # others are asked seldom
                if writer.captioner is not None:
                    yield Used(setting, writer.captioner, share / len(profile.captions.kinds or [1]))
    elif asset == "concepts" and profile.concepts.labeller:
        yield Used("concepts.labeller", profile.concepts.labeller)
    elif asset == "text_embeddings":
        yield Used("text.encoder", profile.text.encoder)
    elif asset == "image_embeddings" and profile.stored_embedder is None:
        yield Used("embedder", profile.embedder)
    elif asset == "latents":
        for size in profile.latents.resolutions:
            yield Used("latents.codec", profile.latents.codec, side=size)


def looks_at_pixels(asset: str, used: Iterable[Used]) -> bool:
    """Whether an asset decodes images for its networks; heads read stored vectors."""
    return asset != "text_embeddings" and any(getattr(each.model, "on", None) is None for each in used)


@dataclass(frozen=True)
class Cost:
    """Seconds per image or text of one unit of hardware, and where they come from.

    Attributes:
        seconds: of one GPU or core; None where nothing is known of the network.
        on_cpu: whether cores are what is kept busy.
        said: how that was reckoned, in words.
        lacks: what the hardware lacks for it, in words; empty where it has it.
    """

    seconds: float | None
    on_cpu: bool
    said: str
    lacks: str = ""


def cost_of(used: Used, profile: Profile, hardware: Hardware, core: Hardware, figure: Mapping[str, float]) -> Cost:
    """What a network costs on hardware.

    On a GPU a network whose device is the CPU is taken as one without device and precision: a root's own profile names
    what its first run was made on, and a root that is to use a GPU is another one.

    Args:
        core: of a CPU, for networks that run on nothing else.
        figure: name of an assumption -> value.
    """
    model = used.model
    network = network_of(model, profile.text.tokens, used.side)
    if network is None:
        return Cost(None, hardware.is_cpu, f"{used.setting}: {model.implementation} is not known before it ran")
    runs_as = known.runs_as if (known := KNOWN.get(model.implementation)) else None
    unit = core if runs_as else hardware
    moved = model.device == "cpu" and not unit.is_cpu
    precision = unit.precision("auto" if moved else runs_as[1] if runs_as else model.precision)
    if precision is None:
        instead = "fp16" if "fp16" in unit.tflops else unit.precision("auto")
        lacks = f"{used.setting}: no {model.precision} there: --set {used.setting}.precision={instead}"
        return Cost(None, unit.is_cpu, f"{used.setting}: {model.precision} is not computed there", lacks)
    seconds = seconds_of(network, unit, precision, model.batch_size, figure)
    size = network.parameters * BYTES[precision]
    lacks = ""
    if not unit.is_cpu and size > unit.memory_gb * 1e9 * 0.9:
        lacks = f"{used.setting}: weights of {size / 1e9:.0f} GB in {precision} do not fit {unit.memory_gb:.0f} GB"
        lacks += f": --set {used.setting}.precision=fp16" if precision == "fp32" and "fp16" in unit.tflops else ""
    flops = network.flops + (network.decoding.flops * network.decoding.steps if network.decoding else 0)
    said = f"{used.setting}: {flops / 1e9:,.1f} {GFLOP} {network.source}, {precision}"
    return Cost(seconds * used.share, unit.is_cpu, said, lacks)


def seconds_of(network: Network, hardware: Hardware, precision: str, batch: int, figure: Mapping[str, float]) -> float:
    """Seconds of one unit of hardware per image or text.

    What is computed at once takes a share of the peak; a token that follows another takes that, or the time in which
    the weights are read from memory once for the batch, whichever is longer.
    """
    per_second = hardware.tflops[precision] * 1e12 * figure["utilisation"]  # type: ignore[index]
    seconds = network.flops / per_second
    if network.decoding is not None:
        read = network.decoding.parameters * BYTES[precision]
        reading = read / (hardware.bandwidth_gb_s * 1e9 * figure["bandwidth"]) / batch
        seconds += network.decoding.steps * max(network.decoding.flops / per_second, reading)
    return seconds


def core_ms(asset: str, pixels: bool, row_bytes: float, figure: Mapping[str, float]) -> float:
    """Milliseconds of a core per row, without networks: fetching, decoding, measuring, and writing what results.

    Args:
        pixels: whether its networks look at images.
        row_bytes: that are written per row.
    """
    own = {"raw_images": figure["fetch_ms"], "image_signals": figure["signals_ms"]}
    decoding = figure["decode_ms"] if pixels else 0.0
    return own.get(asset, decoding) + figure["row_ms"] + row_bytes / figure["write_mb_s"] / 1000
