"""Slopes of an answer over the pixels: what a small change of the image would do to the logit of a class.

Everything here takes a network, normalised images x N×C×H×W and targets N (the classes), and works in
evaluation mode, on as many images at a time as fit into memory. Nothing stays behind in the network: no hook,
no mode, no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps
from convscope.models.pytorch.shapes import eval_mode

Score: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From logits N×K and targets N to the sum, over the images, of what the gradient is wanted of."""

MOST_IMAGES, MOST_PIXELS = 64, 250_000
"""Per way back: a quarter of what a way there takes, because every layer's maps are kept until they are
needed.
"""


def saliency(explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """max_c |∂y/∂x_c|, raw N×H×W: where the logit y is easily changed (Simonyan and others 2013, arXiv
    1312.6034).
    """
    gradients = input_gradient(*for_network(explained_model, images, targets))
    return strongest(gradients)


def gradient_x_input(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> Maps:
    """Σ_c x_c · ∂y/∂x_c, raw N×H×W: the share each pixel has in y, were the network linear (Shrikumar and
    others 2016).

    x is the normalised image, so a pixel of the mean colour has no share.
    """
    network, x, classes = for_network(explained_model, images, targets)
    return summed(x * input_gradient(network, x, classes))


def for_network(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, what it gets for uint8 images N×H×W×C, and the targets N beside it."""
    x = explained_model.inputs(images)
    return explained_model.torch_network(), x, torch.from_numpy(np.asarray(targets, np.int64)).to(x.device)


def strongest(attributions: Tensor) -> Maps:
    """max_c |a_c|: attributions N×C×H×W to N×H×W, where the sign says only whether brighter or darker would
    help.
    """
    found: Maps = attributions.abs().amax(dim=1).cpu().numpy()
    return found


def summed(attributions: Tensor) -> Maps:
    """Σ_c a_c: attributions N×C×H×W to N×H×W, for shares that add up over the pixels."""
    found: Maps = attributions.sum(dim=1).cpu().numpy()
    return found


def chosen_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Σ_n y_n, the logit of each image's target; images do not touch one another, so each has a gradient of
    its own.
    """
    return logits.gather(1, targets[:, None]).sum()


def input_gradient(network: nn.Module, x: Tensor, targets: Tensor, *, score: Score = chosen_logits) -> Tensor:
    """∂score/∂x, N×C×H×W: of the target's logit by default.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> gradients = input_gradient(net, torch.zeros(1, 1, 2, 2), torch.tensor([1]))
    >>> bool((gradients.flatten() == net[1].weight[1]).all())
    True
    """
    gradients = torch.zeros_like(x)
    for lot in batches(len(x), x.shape[2:]):
        gradients[lot] = _gradient(network, x[lot], targets[lot], score)
    return gradients


def mean_gradient(
    network: nn.Module,
    x: Tensor,
    targets: Tensor,
    *,
    weights: Tensor,
    points: Callable[[Tensor, Tensor], Tensor],
    score: Score = chosen_logits,
) -> Tensor:
    """Σ_s w_s · ∂score/∂x at S points for each image, N×C×H×W; `weights` S.

    `points(i, s)` gives the inputs for pairs of an image i and a point s, both tensors of M indices: M×C×H×W.
    Pairs are put together in batches that fit into memory, whether they are few images with many points or
    the other way round.
    """
    total, count = torch.zeros_like(x), len(weights)
    for lot in batches(len(x) * count, x.shape[2:]):
        pairs = torch.arange(lot.start, lot.stop, device=x.device)
        i, s = pairs // count, pairs % count
        gradients = _gradient(network, points(i, s), targets[i], score)
        total.index_add_(0, i, gradients * weights[s].view(-1, 1, 1, 1))
    return total


def batches(count: int, size: Sequence[int]) -> Iterator[slice]:
    """`count` images of `size` H×W, cut into what fits into one way there and back.

    >>> list(batches(3, (400, 400)))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    height, width = size
    most = max(1, min(MOST_IMAGES, MOST_PIXELS // (height * width)))
    for start in range(0, count, most):
        yield slice(start, min(start + most, count))


def _gradient(network: nn.Module, x: Tensor, targets: Tensor, score: Score) -> Tensor:
    # A caller may be in inference mode, whose tensors remember no way back; a copy made outside of it does.
    with eval_mode(network), torch.inference_mode(False), torch.enable_grad():
        pixels = x.clone().requires_grad_()
        total = score(network(pixels.clone()), targets.clone())  # a first layer may write in place
        if not total.requires_grad:  # the answer does not hang on the image at all
            return torch.zeros_like(x)
        (gradients,) = torch.autograd.grad(total, pixels, allow_unused=True)
    return torch.zeros_like(x) if gradients is None else gradients
