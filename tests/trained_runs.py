"""A network that has learned the small images, as an ExplainedModel: in a second, and the same each time."""

from __future__ import annotations

from functools import cache

import torch

import small_data
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create


@cache
def explained_model(channels: int = 1) -> ExplainedModel:
    """Of a small network that tells the thirds of 12×12 images apart."""
    torch.manual_seed(0)
    network = create(
        "simple_cnn",
        input_shape=(channels, small_data.SIDE, small_data.SIDE),
        classes=len(small_data.CLASSES),
    )
    preprocess = Preprocess(
        channels, small_data.SIDE, small_data.SIDE, mean=(0.4,) * channels, std=(0.2,) * channels
    )
    found = ExplainedModel.of(TorchPredictor(network, preprocess, small_data.CLASSES))
    images, labels = small_data.pictures(240, channels=channels, seed=5)
    x, y = torch.from_numpy(found.inputs(images)), torch.from_numpy(labels)
    parameters = list(network.parameters())
    for _ in range(60):  # by hand: an optimiser of torch wakes its compiler, which takes seconds
        loss = torch.nn.functional.cross_entropy(network(x), y)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= 0.1 * gradient
    return found
