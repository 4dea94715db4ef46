"""Fitting a head: one linear layer, or a few with batch normalisation and ReLU, whose output is calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
EPOCHS, PATIENCE, BATCH, RATE = 200, 20, 64, 1e-3
Part = tuple[np.ndarray, np.ndarray]
"""Vectors (N, dim) float32, normalised as they will be, and labels (N)."""


def fit_linear(train: Part, validation: Part, classifies: bool) -> nn.Sequential:
    """Logistic or ridge regression whose penalty is the one that is best on the validation part."""
    centre, spread = train[0].mean(0), train[0].std(0).clip(1e-6)
    scaled = (train[0] - centre) / spread
    best, least = None, np.inf
    for penalty in PENALTIES:
        if classifies:
            model = LogisticRegression(C=1 / penalty, max_iter=2000, class_weight="balanced").fit(scaled, train[1])
        else:
            model = Ridge(alpha=penalty * len(scaled)).fit(scaled, train[1])
        layer = nn.Linear(scaled.shape[1], 1)
        weight = np.asarray(model.coef_, np.float64).reshape(1, -1) / spread
        layer.weight.data = torch.from_numpy(weight).float()
        bias = float(np.ravel(model.intercept_)[0]) - float(weight[0] @ centre)
        layer.bias.data = torch.tensor([bias]).float()
        loss = _loss(nn.Sequential(layer), validation, classifies)
        if loss < least:
            best, least = nn.Sequential(layer), loss
    assert best is not None
    return best


def fit_layers(train: Part, validation: Part, classifies: bool, hidden: Sequence[int], seed: int) -> nn.Sequential:
    """Layers of these widths by AdamW; the state with the least loss on the validation part is kept."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = nn.Sequential(*_layers(train[0].shape[1], hidden))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    vectors, labels = torch.from_numpy(train[0]), torch.from_numpy(train[1]).float()
    measure, best, least, waited = _measure(labels, classifies), dict[str, torch.Tensor](), np.inf, 0
    for _ in range(EPOCHS):
        network.train()
        for batch in torch.randperm(len(vectors), generator=generator).split(BATCH):
            if len(batch) < 2:  # batch normalisation has no deviation of one
                continue
            optimiser.zero_grad()
            measure(network(vectors[batch])[:, 0], labels[batch]).backward()
            optimiser.step()
        loss = _loss(network, validation, classifies)
        waited = 0 if loss < least else waited + 1
        if loss < least:
            best, least = {name: value.clone() for name, value in network.state_dict().items()}, loss
        if waited > PATIENCE:
            break
    network.load_state_dict(best)
    return network.eval()


def calibrate(network: nn.Sequential, validation: Part) -> nn.Sequential:
    """The same network with its last layer scaled and shifted so that the sigmoid of its output is a probability
    (Platt 1999), at the share of positives of the validation part."""
    logits = outputs(network, validation[0]).reshape(-1, 1)
    platt = LogisticRegression(C=1e6, max_iter=2000).fit(logits, validation[1])
    scale, shift = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    last = network[-1]
    assert isinstance(last, nn.Linear)
    last.weight.data, last.bias.data = last.weight.data * scale, last.bias.data * scale + shift
    return network


def outputs(network: nn.Sequential, vectors: np.ndarray) -> np.ndarray:
    """(N, dim) -> (N,) float64, before any sigmoid."""
    network.eval()
    with torch.inference_mode():
        return network(torch.from_numpy(vectors))[:, 0].double().numpy()


def _layers(width: int, hidden: Sequence[int]) -> Iterator[nn.Module]:
    for size in hidden:
        yield from (nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(0.3))
        width = size
    yield nn.Linear(width, 1)


def _measure(labels: torch.Tensor, classifies: bool) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    if not classifies:
        return nn.MSELoss()
    rare = (labels == 0).sum() / (labels == 1).sum().clamp(min=1)
    return nn.BCEWithLogitsLoss(pos_weight=rare)


def _loss(network: nn.Sequential, part: Part, classifies: bool) -> float:
    labels = torch.from_numpy(part[1]).float()
    found = torch.from_numpy(outputs(network, part[0])).float()
    return float(_measure(labels, classifies)(found, labels))
