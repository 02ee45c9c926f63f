"""A network that has learned the tiny pictures, and what is looked into: in a second, and the same each time."""

from __future__ import annotations

from functools import cache

import torch

import tiny
from convscope.data.preprocess import Preprocess
from convscope.explanation.subject import Subject
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create


@cache
def subject(channels: int = 1) -> Subject:
    """Subject of a small network that tells the thirds of 12×12 pictures apart."""
    torch.manual_seed(0)
    network = create("simple_cnn", input_shape=(channels, tiny.SIDE, tiny.SIDE), classes=len(tiny.CLASSES))
    preprocess = Preprocess(channels, tiny.SIDE, tiny.SIDE, mean=(0.4,) * channels, std=(0.2,) * channels)
    found = Subject.of(TorchPredictor(network, preprocess, tiny.CLASSES))
    images, labels = tiny.pictures(240, channels=channels, seed=5)
    x, y = found.inputs(images), torch.from_numpy(labels)
    parameters = list(network.parameters())
    for _ in range(60):  # by hand: an optimiser of torch wakes its compiler, which takes seconds
        loss = torch.nn.functional.cross_entropy(network(x), y)
        for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.data -= 0.1 * slope
    return found
