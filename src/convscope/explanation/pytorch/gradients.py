"""Gradients with respect to the images, plain and guided.

Guided backpropagation: a ReLU passes a gradient back where its input was positive. Here it also cuts off
gradients below zero, so that what is left comes by paths on which every step speaks for the class: sharp
pictures, but nearly the same whatever the class (Adebayo and others 2018, arXiv 1810.03292). Springenberg and
others 2014, arXiv 1412.6806.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.models.pytorch.hooks import eval_mode

TotalScore: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From logits N×K and targets N to a sum over the images. They do not touch one another, so each has a
gradient of its own."""

RELUS: dict[str, Callable[[Any], bool]] = {
    "ReluBackward0": lambda _: True,
    "HardtanhBackward0": lambda node: bool(node._saved_min_val == 0),
    "ClampBackward1": lambda node: bool(node._saved_min == 0),
    "ClampMinBackward0": lambda node: bool(node._saved_min == 0),
}
"""Nodes of a graph that cut off what is below 0, by autograd's name for them: ReLU, ReLU6, clamp."""

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


def chosen_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Σ_n y_n, the logits of the targets N, from logits N×K."""
    return logits.gather(1, targets[:, None]).sum()


def log_odds_against(logits: Tensor, targets: Tensor) -> Tensor:
    """Σ_n log((1 − p_n) / p_n), with p the probability of the target, from logits N×K.

    Its gradient is that of the cross-entropy divided by 1 − p: it points the same way, and it does not vanish
    where the network is so sure that 1 − p rounds to 0. An attack would find no direction there otherwise,
    and the network would look robust.

    >>> round(float(log_odds_against(torch.tensor([[0.0, 3.0]]), torch.tensor([1]))), 3)
    -3.0
    """
    # logsumexp of the others less the own logit is log((1 − p) / p), without ever forming p.
    own = torch.nn.functional.one_hot(targets, logits.shape[1]).bool()
    return (logits.masked_fill(own, -torch.inf).logsumexp(dim=1) - logits[own]).sum()


def input_gradient(
    network: nn.Module,
    x: Tensor,
    targets: Tensor,
    *,
    score: TotalScore = chosen_logits,
    guided: bool = False,
) -> Tensor:
    """∂score/∂x, N×C×H×W, in one pass; zeros where the logits do not depend on the image.

    Args:
        network: any module; it computes in evaluation mode, and its own mode is put back.
        x: images, N×C×H×W.
        targets: a class for each image, N.
        score: whose gradient it is; the logit of the target by default.
        guided: ReLUs pass back only what is above 0. They are found in autograd's graph, so it does not
            matter whether they are layers, functions, in place or used twice. Other activations (a gate's
            sigmoid) stay as they are.

    Raises:
        UserError: `guided`, and there is no ReLU between logits and image.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> gradients = input_gradient(net, torch.zeros(1, 1, 2, 2), torch.tensor([1]))
    >>> bool((gradients.flatten() == net[1].weight[1]).all())
    True
    """
    # Tensors of inference mode take no part in a graph; a copy that is made outside of it does.
    with eval_mode(network), torch.inference_mode(False), torch.enable_grad():
        pixels = x.clone().requires_grad_()
        total = score(network(pixels.clone()), targets.clone())  # a first layer may write in place
        if not total.requires_grad:
            return torch.zeros_like(x)
        if guided:
            _guide(total.grad_fn)
        (gradients,) = torch.autograd.grad(total, pixels, allow_unused=True)
    return torch.zeros_like(x) if gradients is None else gradients


def _guide(end: Any) -> None:
    nodes = list(_graph(end))
    relus = [node for node in nodes if RELUS.get(node.name(), lambda _: False)(node)]
    if not relus:
        seen = ", ".join(dict.fromkeys(OTHERS[node.name()] for node in nodes if node.name() in OTHERS))
        raise UserError(
            f"guided_backprop needs a network with ReLU; this one has {seen or 'no activation'}: "
            "use smooth_grad or integrated_gradients"
        )
    # Hooks of nodes die with the graph, so the next gradient is a plain one.
    for relu in relus:
        relu.register_hook(
            lambda gradients, _: tuple(None if one is None else one.clamp(min=0) for one in gradients)
        )


def _graph(end: Any) -> Iterator[Any]:
    """Every node from a result back to pixels and weights, each once."""
    # A stack and not recursion: a graph may be deeper than the 1,000 calls that Python allows.
    waiting, seen = [end], {end}
    while waiting:
        node = waiting.pop()
        yield node
        for earlier, _ in node.next_functions:
            if earlier is not None and earlier not in seen:
                seen.add(earlier)
                waiting.append(earlier)
