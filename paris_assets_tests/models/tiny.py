"""Random networks of a few thousand weights, saved in a folder as the hub would hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

SIDE = 224


def dinov2(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """DINOv2."""
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=2, image_size=70, patch_size=14
    )
    Dinov2Model(config).save_pretrained(folder)
    return folder


def clip_tokenizer(folder: Path) -> dict[str, int]:
    """Save a byte-level tokenizer framed as CLIP's; arguments of CLIPTextConfig that it decides."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = _letters(f"{start} $A {end}", [start, end])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=end).save_pretrained(
        folder
    )
    vocabulary = tokenizer.get_vocab()
    first, last = vocabulary[start], vocabulary[end]
    return {
        "vocab_size": tokenizer.get_vocab_size(), "bos_token_id": first, "eos_token_id": last, "pad_token_id": last
    }  # fmt: skip


def clip_text(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """CLIP's text encoder with a byte-level tokenizer; 77 positions."""
    torch.manual_seed(0)
    small = dict(hidden_size=width, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=2)
    CLIPTextModel(CLIPTextConfig(**small, **clip_tokenizer(folder))).save_pretrained(folder)  # type: ignore[arg-type]
    return folder


SMALL: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2
}  # fmt: skip


def clip(folder: Path, hidden_act: str = "quick_gelu") -> Path:
    """CLIP with both towers, 24-d, saved as the hub holds it; weights large enough that activations matter."""
    torch.manual_seed(0)
    tokens = clip_tokenizer(folder)
    vision = {**SMALL, "image_size": SIDE, "patch_size": 32, "projection_dim": 24, "hidden_act": hidden_act}
    text = {**SMALL, **tokens, "projection_dim": 24, "hidden_act": hidden_act}
    network = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    _scatter(network).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def siglip(folder: Path, resample: int = 2) -> Path:
    """SigLIP with both towers, 32-d, at 84 pixels; saved as a checkpoint of SigLIP 2, which resizes bilinearly."""
    torch.manual_seed(0)
    letters = _letters("$A </s>", ["<pad>", "</s>"])
    PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="</s>", pad_token="<pad>").save_pretrained(folder)
    text = {**SMALL, "vocab_size": letters.get_vocab_size(), "max_position_embeddings": 64}
    text |= {"pad_token_id": letters.token_to_id("<pad>"), "eos_token_id": letters.token_to_id("</s>")}
    network = SiglipModel(SiglipConfig(text_config=text, vision_config={**SMALL, "image_size": 84, "patch_size": 14}))
    _scatter(network).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 84, "width": 84}, resample=resample).save_pretrained(folder)
    return folder


def chinese_clip(folder: Path) -> Path:
    """Chinese CLIP with both towers, 24-d; its published checkpoints stretch pictures to a square."""
    torch.manual_seed(0)
    characters = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"一只猫狗在桌子上的红色"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(characters), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    vision = {**SMALL, "image_size": SIDE, "patch_size": 32, "projection_dim": 24}
    text = {**SMALL, "vocab_size": len(characters), "pad_token_id": 0}
    network = ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    _scatter(network).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    ChineseCLIPImageProcessorPil(do_center_crop=False, size=size).save_pretrained(folder)
    return folder


TOWERS = {"clip-image": clip, "siglip-image": siglip, "chinese-clip-image": chinese_clip}
"""Implementation -> what makes a checkpoint with both towers."""


def _scatter(network: Any) -> Any:
    """As initialised for training, vectors of different pictures would be all but equal."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15 if "embed" in name else 0.3)
    return network


def autoencoder(folder: Path, scaling_factor: float = 0.5, mid_block_add_attention: bool = False) -> Path:
    """AutoencoderKL with four latent channels and eight pixels per cell."""
    torch.manual_seed(0)
    settings: dict[str, Any] = dict(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=mid_block_add_attention,
        scaling_factor=scaling_factor,
    )
    AutoencoderKL(**settings).save_pretrained(folder)
    return folder


def blip2_processor(folder: Path, queries: int) -> tuple[dict[str, int], int]:
    """Save a processor with a tokenizer of letters; arguments of OPTConfig that it decides, and the image token."""
    pad, end, image = "<pad>", "</s>", "<image>"
    letters = _letters(f"{end} $A", [pad, end, image], "abcdefghijklmnopqrstuvwxyz\u0120")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, bos_token=end, eos_token=end, pad_token=pad)
    tokenizer.add_tokens([image], special_tokens=True)
    images = BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    Blip2Processor(images, tokenizer, num_query_tokens=queries).save_pretrained(folder)
    ids = letters.get_vocab()
    decided = {
        "vocab_size": len(tokenizer), "bos_token_id": ids[end], "eos_token_id": ids[end], "pad_token_id": ids[pad]
    }  # fmt: skip
    return decided, ids[image]


def blip2(folder: Path, t5: bool = False) -> Path:
    """BLIP-2 on OPT, or on T5, with four query tokens, saved with its processor."""
    torch.manual_seed(0)
    decided, image_token = blip2_processor(folder, 4)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    opt = {
        "model_type": "opt", "hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "ffn_dim": 64, "max_position_embeddings": 128,
    }  # fmt: skip
    encoder_decoder = {
        "model_type": "t5", "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2,
        "decoder_start_token_id": decided["pad_token_id"],
    }  # fmt: skip
    config = Blip2Config(
        vision_config={**small, "image_size": SIDE, "patch_size": 28},
        qformer_config={**small, "vocab_size": 8},
        text_config={**(encoder_decoder if t5 else opt), **decided},
        num_query_tokens=4,
        image_token_index=image_token,
    )  # fmt: skip
    network = Blip2ForConditionalGeneration(config)
    # As initialised for training, every image would get the same caption.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    network.save_pretrained(folder)
    return folder


def t5_tokenizer(folder: Path, frame: str = "$A </s>") -> dict[str, int]:
    """Save a byte-level tokenizer framed as T5's; arguments of T5Config that it decides."""
    letters = _letters(frame, ["<pad>", "</s>"])
    PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="</s>", pad_token="<pad>").save_pretrained(folder)
    ids = letters.get_vocab()
    return {
        "vocab_size": letters.get_vocab_size(), "eos_token_id": ids["</s>"], "pad_token_id": ids["<pad>"],
        "decoder_start_token_id": ids["<pad>"],
    }  # fmt: skip


def t5(folder: Path, kind: str = "umt5", frame: str = "$A </s>") -> Path:
    """A whole encoder-decoder of UMT5 or T5 v1.1 in several files, as the hub holds pile-t5; 32-d, tokens are bytes."""
    torch.manual_seed(0)
    small: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    small |= t5_tokenizer(folder, frame)
    if kind == "umt5":
        network: Any = UMT5ForConditionalGeneration(UMT5Config(**small))
    else:
        network = T5ForConditionalGeneration(T5Config(**small, feed_forward_proj="gated-gelu"))
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:  # large enough that padding would be seen, if it were not masked
            torch.nn.init.normal_(parameter, std=1.0 if "shared" in name or "bias" in name else 0.3)
    network.save_pretrained(folder, max_shard_size="40KB")
    return folder


def vit_classifier(folder: Path) -> Path:
    """A ViT that tells "normal" from "nsfw", saved with its image processor."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE,
        patch_size=28, id2label={0: "normal", 1: "nsfw"}, label2id={"normal": 0, "nsfw": 1},
    )  # fmt: skip
    network = ViTForImageClassification(config)
    # Random weights call everything half unsafe; these nothing.
    network.get_parameter("classifier.bias").data[0] = 2.0
    network.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def _letters(frame: str, special: list[str], alphabet: str = "") -> Tokenizer:
    """A tokenizer of single bytes, all of them or an ``alphabet``; ``frame``: the special tokens around a text."""
    letters = sorted(alphabet or pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: index for index, name in enumerate([*letters, *special])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    around = [(name, vocabulary[name]) for name in special if name in frame]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=frame, special_tokens=around
    )
    return tokenizer
