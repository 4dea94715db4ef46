"""The model hub: whether its cache holds a model, and what to do where neither cache nor hub can give it.

Imports nothing heavy, so that the command line can look for problems before any work starts.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from paris_assets.config import Model


def is_hub_name(path: str) -> bool:
    """Whether ``path`` reads as ``owner/name`` on the hub rather than as a folder."""
    return path.count("/") == 1 and path[0] not in "./~" and not Path(path).exists()


def cached(name: str, revision: str | None, subfolder: str, files: Sequence[str]) -> bool:
    """Whether the hub's cache holds configuration, weights (all of their files) and ``files`` of a model."""

    def found(file: str) -> str | None:
        return in_cache(name, revision, subfolder, file)

    def whole(stem: str) -> bool:
        index = found(f"{stem}.index.json")
        return bool(found(stem)) or bool(index and all(found(part) for part in listed_parts(Path(index))))

    stems = ("model.safetensors", "diffusion_pytorch_model.safetensors")
    return any(whole(stem) for stem in stems) and all(found(file) for file in ("config.json", *files))


def in_cache(name: str, revision: str | None, subfolder: str, file: str) -> str | None:
    """Where the hub's cache holds a file of a model; None where it does not."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, f"{subfolder}/{file}" if subfolder else file, revision=revision)
    return path if isinstance(path, str) else None


def listed_parts(index: Path) -> set[str]:
    """Names of the files that the index of weights in several files lists."""
    return set(json.loads(index.read_text())["weight_map"].values())


def hub_problem(model: Model) -> str | None:
    """Why the hub cannot deliver a model that its cache lacks."""
    revision = f" --revision {model.revision}" if model.revision else ""
    advice = (
        f"fetch it where the hub can be reached (`hf download {model.path}{revision}`) and bring the cache here, "
        "set `path` to a local folder, or use the offline set (profile demo or z_image-demo)"
    )
    lacking = f"{model.implementation}: {model.path} is not in the hub's cache"
    offline = next((name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name)), None)
    if offline and os.environ[offline].upper() in ("1", "ON", "YES", "TRUE"):
        return f"{lacking} and {offline} is set: {advice}"
    hub = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    proxies = getproxies()
    proxy = proxies.get(hub.scheme) or proxies.get("all")
    by_proxy = bool(proxy) and not proxy_bypass(hub.netloc)
    first = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy and by_proxy else hub
    try:
        socket.create_connection((first.hostname, first.port or (443 if first.scheme == "https" else 80)), 5).close()
    except OSError as error:
        through = f" through the proxy {first.hostname}" if by_proxy else ""
        return f"{lacking} and {hub.netloc} cannot be reached{through} ({error}): {advice}"
    return None
