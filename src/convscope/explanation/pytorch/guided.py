"""Guided backpropagation: the gradient of a logit, when every ReLU lets through only what would raise the
logit.

A ReLU passes a gradient back where its input was positive. Here it also cuts off gradients below zero, so
that what is left comes by paths on which every step speaks for the class: sharp pictures, but nearly the same
whatever the class (Adebayo and others 2018, arXiv 1810.03292). Springenberg and others 2014, arXiv 1412.6806.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps
from convscope.explanation.pytorch.gradients import chosen_logits, for_network, input_gradient, strongest

RELUS: dict[str, Callable[[Any], bool]] = {
    "ReluBackward0": lambda _: True,
    "HardtanhBackward0": lambda node: bool(node._saved_min_val == 0),
    "ClampBackward1": lambda node: bool(node._saved_min == 0),
    "ClampMinBackward0": lambda node: bool(node._saved_min == 0),
}
"""Steps of a way back that cut off what is below 0, by the name that autograd gives them: ReLU, ReLU6, clamp.
"""

OTHERS = {
    "GeluBackward0": "GELU",
    "SiluBackward0": "SiLU",
    "HardswishBackward0": "Hardswish",
    "EluBackward0": "ELU",
    "CeluBackward0": "CELU",
    "LeakyReluBackward0": "LeakyReLU",
    "PreluKernelBackward0": "PReLU",
    "MishBackward0": "Mish",
    "SoftplusBackward0": "Softplus",
    "TanhBackward0": "Tanh",
    "HardtanhBackward0": "Hardtanh",
    "SigmoidBackward0": "Sigmoid",
}


def guided_backprop(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> Maps:
    """max_c |guided gradient|, raw N×H×W; UserError for a network without ReLU."""
    return strongest(guided_gradient(*for_network(explained_model, images, targets)))


def guided_gradient(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """The guided gradient of the target's logit, N×C×H×W, for images N×C×H×W.

    The ReLUs are found on the way back itself, which autograd writes down. So it does not matter whether they
    are layers, functions, in place or used twice, and nothing is put into the network. Other activations (a
    gate's sigmoid) pass gradients back as ever. UserError where there is no ReLU on the way.

    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(4, 2))
    >>> bool((guided_gradient(net, torch.ones(1, 1, 2, 2), torch.tensor([0])) >= 0).all())
    True
    """

    def score(logits: Tensor, classes: Tensor) -> Tensor:
        total = chosen_logits(logits, classes)
        if total.grad_fn is not None:
            _guide(total.grad_fn)
        return total

    return input_gradient(network, x, targets, score=score)


def _guide(end: Any) -> None:
    steps = list(_way_back(end))
    relus = [step for step in steps if RELUS.get(step.name(), lambda _: False)(step)]
    if not relus:
        seen = ", ".join(dict.fromkeys(OTHERS[step.name()] for step in steps if step.name() in OTHERS))
        raise UserError(
            f"guided_backprop needs a network with ReLU; this one has {seen or 'no activation'}: "
            "use smooth_grad or integrated_gradients"
        )
    for relu in relus:
        relu.register_hook(
            lambda gradients, _: tuple(None if one is None else one.clamp(min=0) for one in gradients)
        )


def _way_back(end: Any) -> Iterator[Any]:
    """Every step from an answer back to the pixels and weights, each once."""
    waiting, seen = [end], {end}
    while waiting:
        step = waiting.pop()
        yield step
        for earlier, _ in step.next_functions:
            if earlier is not None and earlier not in seen:
                seen.add(earlier)
                waiting.append(earlier)
