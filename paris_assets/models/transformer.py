"""What the networks of the transformers library share: quiet loading from a folder, and right-padded tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from paris_assets.models.device import Placement, ready
from paris_assets.models.weights import require_known, require_whole

# A tokenizer holds padding and truncation as state: set by one thread while another uses it, it is "already borrowed".
_TOKENIZING = Lock()


class Tokens(NamedTuple):
    """A batch of texts: ids and mask (B, tokens) int64, true counts (B,) int32."""

    ids: np.ndarray
    mask: np.ndarray
    counts: np.ndarray


def load(kind: type[PreTrainedModel], folder: Path, placement: Placement, unused: Sequence[str] | None = None) -> Any:
    """A network from a folder with config and safetensors; no pickle is opened and nothing is fetched.

    Args:
        unused: beginnings of the names of parameters that the file may hold beside the network's; None: of any.

    Raises:
        WeightsError: the file lacks parameters of the network, which the library would fill with random numbers, or
            holds others than those of ``unused``.
    """
    # Its progress bars would break ours, and its report on parts of the file that are not wanted is no news.
    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        network, found = kind.from_pretrained(  # type: ignore[misc]
            folder, dtype=placement.dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    finally:
        logging.set_verbosity(before)
    require_whole(kind.__name__, folder, found)
    if unused is not None:
        require_known(kind.__name__, folder, found, unused)
    return ready(network, placement)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, padding on the right."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="right")


def tokenise(tokenizer: Any, texts: Sequence[str], tokens: int, longest: int) -> Tokens:
    """Cut or pad texts to ``tokens`` tokens, special tokens included.

    Raises:
        ValueError: more tokens than the network has positions, or a mask that is no prefix of ones.
    """
    if tokens > longest:
        raise ValueError(f"text.tokens is {tokens}, but this encoder has {longest} positions")
    batch = _framed(tokenizer, texts, tokens)
    ids, mask = batch["input_ids"].astype(np.int64), batch["attention_mask"].astype(np.int64)
    counts = mask.sum(1)
    if not np.array_equal(mask, np.arange(tokens) < counts[:, None]):
        raise ValueError("the tokenizer does not pad on the right: position < tokens would not be the mask")
    return Tokens(ids, mask, counts.astype(np.int32))


def added_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(B, tokens) mask -> (B, 1, tokens, tokens) numbers that attention adds: 0, or the least that there is.

    A mask of ones and zeros is left out by the library where all are ones, so that another kernel might give a text
    other last bits for the company that it is in.
    """
    closed = (mask == 0)[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
    return torch.zeros_like(closed, dtype=dtype).masked_fill(closed, torch.finfo(dtype).min)


def token_ids(tokenizer: Any, texts: Sequence[str], tokens: int) -> np.ndarray:
    """(B, tokens) int64 for networks that see padding as they see words: no mask is made, or asked for."""
    return _framed(tokenizer, texts, tokens)["input_ids"].astype(np.int64)


def token_counts(tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """(N,) int32: tokens of texts that are not cut, special ones included."""
    if not texts:
        return np.zeros(0, np.int32)  # a tokenizer refuses none
    with _TOKENIZING:
        # Truncation is state of the tokenizer: it has to be asked for none, and would warn of long texts.
        found = tokenizer(list(texts), padding=False, truncation=False, return_attention_mask=False, verbose=False)
    return np.array([len(ids) for ids in found["input_ids"]], np.int32)


def _framed(tokenizer: Any, texts: Sequence[str], tokens: int) -> Any:
    with _TOKENIZING:
        return tokenizer(list(texts), padding="max_length", truncation=True, max_length=tokens, return_tensors="np")
