"""Operations by the formulas of layers, against torch's own counter on networks of full size without weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
    SiglipVisionConfig,
    SiglipVisionModel,
    UMT5Config,
    UMT5EncoderModel,
    ViTConfig,
    ViTModel,
)

from paris_assets.config import Model
from paris_assets.forecast.known import network_of
from paris_assets.forecast.networks import Network


def known(implementation: str, path: str | None = None, tokens: int = 77, **options: object) -> Network:
    found = network_of(Model(implementation=implementation, path=path, options=options), tokens)
    assert found is not None
    return found


def counted(run: Callable[[], object]) -> int:
    """Operations of a call on the meta device, where nothing is computed."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def pixels(side: int) -> torch.Tensor:
    return torch.zeros(1, 3, side, side, device="meta")


def words(tokens: int) -> torch.Tensor:
    return torch.zeros(1, tokens, dtype=torch.long, device="meta")


@pytest.mark.parametrize(("path", "width", "layers"), [("facebook/dinov2-base", 768, 12), ("dinov2-large", 1024, 24)])
def test_dinov2(path: str, width: int, layers: int) -> None:
    with torch.device("meta"):
        config = Dinov2Config(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64, patch_size=14
        )
        network = Dinov2Model(config)
    found = known("dinov2", path)
    assert found.flops == pytest.approx(counted(lambda: network(pixels(224))), rel=0.01)
    assert found.parameters == pytest.approx(sum(each.numel() for each in network.parameters()), rel=0.03)
    assert found.dim == width


@pytest.mark.slow
def test_other_vision_transformers() -> None:
    with torch.device("meta"):
        vit = ViTModel(ViTConfig(), add_pooling_layer=False)
        siglip = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=1152, num_hidden_layers=27, intermediate_size=4304, num_attention_heads=16, image_size=384,
                patch_size=14,
            )
        )  # fmt: skip
    assert known("vit-classifier").flops == pytest.approx(counted(lambda: vit(pixels(224))), rel=0.01)
    # Its pooling attends once more over all patches.
    assert known("siglip-image").flops == pytest.approx(counted(lambda: siglip(pixels(384))), rel=0.03)


def test_text_encoders() -> None:
    with torch.device("meta"):
        clip = CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        )
        t5 = UMT5EncoderModel(
            UMT5Config(d_model=2048, d_ff=5120, num_layers=24, num_heads=32, d_kv=64, vocab_size=32128)
        )
    assert known("clip-text").flops == pytest.approx(counted(lambda: clip(words(77))), rel=0.02)
    found = known("umt5", "EleutherAI/pile-t5-xl", tokens=256)
    assert found.flops == pytest.approx(counted(lambda: t5(words(256), attention_mask=None)), rel=0.02)
    assert found.parameters == pytest.approx(sum(each.numel() for each in t5.parameters()), rel=0.02)


@pytest.mark.slow
def test_blip2_sees_asks_and_writes() -> None:
    opt = {
        "model_type": "opt", "hidden_size": 2560, "word_embed_proj_dim": 2560, "num_hidden_layers": 32,
        "num_attention_heads": 32, "ffn_dim": 10240, "vocab_size": 50304,
    }  # fmt: skip
    config = Blip2Config(vision_config={}, qformer_config={}, text_config=opt, num_query_tokens=32, image_token_index=9)
    with torch.device("meta"):
        network = Blip2ForConditionalGeneration(config).eval()
        seen = counted(lambda: network.vision_model(pixels(224)))
        states, queries = torch.zeros(1, 257, 1408), torch.zeros(1, 32, 768)
        asked = counted(lambda: network.qformer(query_embeds=queries, encoder_hidden_states=states))
        begun = counted(lambda: network.language_model.model(inputs_embeds=torch.zeros(1, 33, 2560)))
        one = counted(lambda: network.language_model(inputs_embeds=torch.zeros(1, 1, 2560)))
    found = known("blip-2", max_new_tokens=30)
    assert found.flops == pytest.approx(seen + asked + begun, rel=0.02)
    assert found.decoding is not None
    assert found.decoding.steps == 30
    assert found.decoding.flops == pytest.approx(one, rel=0.02)
    assert found.parameters == pytest.approx(sum(each.numel() for each in network.parameters()), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("side", [256, 512])
def test_the_autoencoder(side: int) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    with torch.device("meta"):
        settings: dict[str, Any] = dict(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
        network = AutoencoderKL(**settings)
    found = network_of(Model(implementation="autoencoder-kl", path="stabilityai/sd-vae-ft-mse"), side=side)
    assert found is not None
    assert found.flops == pytest.approx(counted(lambda: network.encode(pixels(side))), rel=0.02)


def test_a_class_of_ones_own_is_not_guessed_at() -> None:
    assert network_of(Model(implementation="mine:Network")) is None
