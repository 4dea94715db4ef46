"""Tiny networks and their training: known answers of flow matching, and starts that predict nothing."""

from __future__ import annotations

import pytest
import torch

from paris_assets.errors import UsageError
from paris_assets.proof.measured import mixtures
from paris_assets.training.tiny_dit import TinyDitConfig
from paris_assets.training.tiny_flow import Known, Steps, noised, sampled, train_flow, train_router, untrained

CONFIG = TinyDitConfig(channels=2, side=8, patches=4, width=16, depth=1)


def latents(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 2, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_an_untrained_network_predicts_nothing() -> None:
    assert untrained(CONFIG, 0)(latents(3), torch.rand(3)).abs().max() == 0
    logits = untrained(TinyDitConfig(2, 8, 4, 16, 1, classes=5), 0)(latents(3), torch.rand(3))
    assert (tuple(logits.shape), float(logits.abs().max())) == ((3, 5), 0)


def test_a_start_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    one = untrained(CONFIG, 4).patches.weight
    before = torch.random.get_rng_state()
    assert torch.equal(one, untrained(CONFIG, 4).patches.weight)
    assert not torch.equal(one, untrained(CONFIG, 5).patches.weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="9 cells do not divide into 4 patches"):
        TinyDitConfig(2, 9, patches=4)
    with pytest.raises(UsageError, match="width of 18 does not divide into 4 heads"):
        TinyDitConfig(2, 8, width=18)


def test_patches_are_put_back_where_they_were() -> None:
    network, clean = untrained(CONFIG, 0), latents(2)
    assert torch.equal(network._joined(network._cut(clean)), clean)


def test_the_path_goes_from_latents_to_noise() -> None:
    clean, noise = latents(2), latents(2, 1)
    for t, there in ((0.0, clean), (1.0, noise)):
        noisy, velocity = noised(clean, torch.full((2,), t), noise)
        torch.testing.assert_close(noisy, there)
        torch.testing.assert_close(velocity, noise - clean)


def test_sampling_with_the_true_velocity_gives_the_latents() -> None:
    clean, noise = latents(2), latents(2, 1)
    torch.testing.assert_close(sampled(lambda _, t: noise - clean, noise, 7), clean)


def test_training_leaves_its_start_alone_and_is_the_same_again() -> None:
    start, known = untrained(CONFIG, 0), Known(latents(5))
    one, two = (train_flow(start, known, Steps(4, 8, 1e-2), 3) for _ in range(2))
    assert start.head.weight.abs().max() == 0
    assert one.network.head.weight.abs().max() > 0
    assert torch.equal(one.network.head.weight, two.network.head.weight)
    assert (one.steps, one.loss) == (4, two.loss)


def test_a_router_learns_what_can_be_seen() -> None:
    labels = torch.arange(64) % 2
    known = Known(0.3 * latents(64) + 2.0 * labels[:, None, None, None] - 1, labels)
    router = train_router(untrained(TinyDitConfig(2, 8, 4, 16, 1, classes=2), 0), known, Steps(60, 32, 1e-2), 0).network
    with torch.inference_mode():
        found = router(known.latents, torch.full((64,), 0.1)).argmax(1)
    assert (found == labels).float().mean() > 0.9


def test_velocities_are_mixed_and_not_losses() -> None:
    velocities, wanted = latents(3)[:, None].expand(3, 4, 2, 8, 8), latents(4, 1)
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.1, 0.7], [0.5, 0.3, 0.2]])
    found = mixtures(velocities, probabilities)
    torch.testing.assert_close(found["top_1"], velocities[[0, 1, 2, 0], range(4)])
    torch.testing.assert_close(found["top_2"][0], (0.7 * velocities[0, 0] + 0.2 * velocities[1, 0]) / 0.9)
    torch.testing.assert_close(found["full"][1], torch.einsum("k,k...->...", probabilities[1], velocities[:, 1]))
    torch.testing.assert_close(found["uniform"], velocities.mean(0))
    losses = (velocities - wanted).square().flatten(2).mean(2)
    mixed = (found["full"] - wanted).square().flatten(1).mean(1)
    assert (mixed < (probabilities.T * losses).sum(0)).all()
