"""Functions of a probe and arrays, asked with a torch module and tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from convscope.explanation.pytorch.probe import TorchProbe


def on_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(probe, *arrays)` as a function of a network and tensors that gives tensors."""

    def call(network: torch.nn.Module, *tensors: torch.Tensor, **kwargs: Any) -> Any:
        arrays = [each.detach().numpy() for each in tensors]
        named = {key: _array(value) for key, value in kwargs.items()}
        return _tensors(function(TorchProbe(network), *arrays, **named))

    return call


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def _tensors(values: Any) -> Any:
    if isinstance(values, tuple):
        return tuple(map(_tensors, values))
    return torch.from_numpy(np.ascontiguousarray(values))
