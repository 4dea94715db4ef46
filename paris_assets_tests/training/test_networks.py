"""Sizes of the networks, counted without memory for them, and what they make of shapes, masks and times."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from paris_assets.errors import UsageError
from paris_assets.training.flow import drawn_times, generator, noised
from paris_assets.training.networks import PRESETS, build, count, positions

EXPERT = {"kind": "expert", "channels": 4, "text_dim": 768}
ROUTER = {"kind": "router", "channels": 4, "clusters": 8}
PUBLISHED_EXPERT, PUBLISHED_ROUTER = 605e6, 129e6
"""Paris' own figures (arXiv 2510.03434)."""


def by_formula(design: dict[str, Any]) -> int:
    """The parameters of a design, layer by layer."""
    width, depth, _ = PRESETS[design["preset"]]
    square, patch = width**2, 4 * design["channels"]
    attention, mlp = 4 * square + 4 * width, 8 * square + 5 * width
    time, modulation = 256 * width + width + square + width, 6 * square + 6 * width
    enters = patch * width + width + time
    if design["kind"] == "router":
        head = square + width + 2 * width + width * design["clusters"] + design["clusters"]
        return enters + width + depth * (attention + mlp + modulation) + head
    text = design["text_dim"] * width + width
    ends = 2 * width + width * patch + patch
    return enters + text + modulation + depth * (2 * attention + mlp + 6 * width) + ends


def on_meta(design: dict[str, Any]) -> torch.nn.Module:
    with torch.device("meta"):
        return build(design)


def test_the_expert_is_as_large_as_paris() -> None:
    design = {**EXPERT, "preset": "dit-xl-2"}
    assert count(on_meta(design)) == by_formula(design) == 605_675_536
    assert abs(605_675_536 / PUBLISHED_EXPERT - 1) < 0.002
    of_16_channels = {**design, "channels": 16}
    assert count(on_meta(of_16_channels)) - 605_675_536 == 2 * 48 * 1152 + 48


def test_the_router_is_as_large_as_paris() -> None:
    design = {**ROUTER, "preset": "dit-b-2"}
    assert count(on_meta(design)) == by_formula(design) == 128_940_296
    assert abs(128_940_296 / PUBLISHED_ROUTER - 1) < 0.001


@pytest.mark.parametrize("shape", [(4, 32, 32), (16, 24, 40), (4, 2, 64)])
def test_full_size_networks_take_any_channels_and_sides(shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        latent, t = torch.zeros(2, *shape), torch.zeros(2)
        text, mask = torch.zeros(2, 77, 768), torch.ones(2, 77, dtype=torch.bool)
        expert = build({**EXPERT, "preset": "dit-xl-2", "channels": shape[0]})
        router = build({**ROUTER, "preset": "dit-b-2", "channels": shape[0]})
        assert expert(latent, t, text, mask).shape == latent.shape
        assert router(latent, t).shape == (2, 8)


def awake(**more: Any) -> torch.nn.Module:
    """A tiny network whose layers that begin at zero do not."""
    torch.manual_seed(0)
    network = build({**EXPERT, "preset": "tiny", "text_dim": 6, **more})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_a_new_network_gives_zero_and_blocks_are_identities() -> None:
    torch.manual_seed(0)
    network, latent = build({**EXPERT, "preset": "tiny", "text_dim": 6}), torch.randn(2, 4, 8, 8)
    inputs = (latent, torch.rand(2), torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))
    assert not network(*inputs).any()
    tokens, _ = network.tokens(latent, inputs[1])
    assert torch.equal(network.blocks[0](tokens, torch.zeros(2, 6, 64), torch.randn(2, 5, 64)), tokens)


def test_only_true_tokens_are_read_where_padding_says_nothing() -> None:
    latent, t, text = torch.randn(2, 4, 8, 8), torch.tensor([0.2, 0.7]), torch.randn(2, 5, 6)
    mask = torch.arange(5) < torch.tensor([[2], [5]])
    other = text.clone()
    other[0, 2:] = 9.0
    for masked in (True, False):
        network = awake(masked=masked)
        same = torch.allclose(network(latent, t, text, mask), network(latent, t, other, mask))
        assert same == masked
    network = awake(masked=True)
    longer = torch.cat([text, torch.zeros(2, 3, 6)], 1), torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], 1)
    torch.testing.assert_close(network(latent, t, *longer), network(latent, t, text, mask))
    assert not torch.allclose(network(latent, t, text, mask), network(latent, t + 0.1, text, mask))


def test_recomputed_activations_give_the_same_gradients() -> None:
    inputs = (torch.randn(2, 4, 8, 4), torch.rand(2), torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))
    gradients = []
    for recompute in (False, True):
        network = awake(recompute=recompute)
        network(*inputs).square().mean().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_places_differ_and_lie_where_they_did() -> None:
    wide, high = positions(2, 5, 64, torch.device("cpu")), positions(5, 2, 64, torch.device("cpu"))
    assert len(wide.unique(dim=0)) == 10
    assert torch.equal(wide.view(2, 5, 64)[1, 1], high.view(5, 2, 64)[1, 1])
    assert not torch.equal(wide.view(2, 5, 64)[0, 1], wide.view(2, 5, 64)[1, 0])


def test_sides_that_patches_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="7 x 8 cells do not divide into patches of 2 x 2"):
        awake()(torch.zeros(1, 4, 7, 8), torch.zeros(1), torch.zeros(1, 5, 6), torch.ones(1, 5, dtype=torch.bool))


def test_times_and_noise_follow_from_what_they_are_for() -> None:
    drawn = drawn_times(4000, "logit-normal", generator("cpu", 1, 2))
    assert 0 < drawn.min() < 0.1
    assert 0.9 < drawn.max() < 1
    assert 0.15 < drawn.std() < 0.25  # uniform: 0.29
    assert torch.equal(drawn, drawn_times(4000, "logit-normal", generator("cpu", 1, 2)))
    assert not torch.equal(drawn, drawn_times(4000, "logit-normal", generator("cpu", 1, 3)))
    assert abs(drawn_times(4000, "uniform", generator("cpu", 1)).std() - 12**-0.5) < 0.01
    clean, noise = torch.zeros(3, 4, 2, 2), torch.ones(3, 4, 2, 2)
    assert noised(clean, noise, torch.tensor([0.0, 0.25, 1.0]))[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="takes a GPU of 24 GB")
def test_one_step_of_the_largest_expert_fits_24_gb() -> None:
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats()
    network = build({**EXPERT, "preset": "dit-xl-2", "recompute": True}).to(device)
    averages = [parameter.detach().clone() for parameter in network.parameters()]
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    latent, t = torch.randn(32, 4, 32, 32, device=device), torch.rand(32, device=device)
    text, mask = torch.randn(32, 77, 768, device=device), torch.ones(32, 77, dtype=torch.bool, device=device)
    for _ in range(2):
        with torch.autocast("cuda", torch.bfloat16):
            loss = (network(latent, t, text, mask).float() - latent).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert torch.isfinite(loss)
    assert torch.cuda.max_memory_allocated() < 20e9
    assert len(averages) == len(list(network.parameters()))
