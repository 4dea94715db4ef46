"""Muon: momentum whose update is made nearly orthogonal, for the convolution weights; fewer steps than Adam.

Source: Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the Newton-Schulz
coefficients and number of iterations published there; the update scale 0.2 * sqrt(max(rows, columns)) is Moonshot AI's
(arXiv 2502.16982), which lets Adam's learning rates be used.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """The (R, C) matrix with its singular values pushed towards 1, by a quintic Newton-Schulz iteration in bfloat16."""
    x = (matrix / (matrix.norm() + 1e-7)).bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, for weights of two or more dimensions, flattened to matrices."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; closures are not supported."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                matrix = parameter.grad.lerp(momentum, group["momentum"]).flatten(1)
                scale = 0.2 * max(matrix.shape) ** 0.5
                update = orthogonalised(matrix).reshape(parameter.shape)
                parameter.add_(update, alpha=-group["lr"] * scale)
