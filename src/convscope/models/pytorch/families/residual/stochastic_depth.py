"""Stochastic depth: leave out whole blocks at random in training, for each image others (Huang et al. 2016).

What a residual block adds is left out with probability p, so that a deep network trains as many shallow ones,
and no block can rely on any other one. Evaluation uses all of them. The paper draws once for a whole batch;
EfficientNet and ConvNeXt draw for each image, as is done here.
"""

from __future__ import annotations

from torch import Tensor, nn

from convscope.models.pytorch.blocks import check_share


class StochasticDepth(nn.Module):
    """x · b / (1 − p) in training, with b drawn for each image: 0 with probability `p`, else 1; x at
    evaluation.

    Divided so, the mean over many draws is x, and evaluation needs no correction. It belongs at the end of
    what a residual block adds. N×C×H×W → N×C×H×W, or any other shape that begins with N. UserError unless 0 ≤
    p < 1.

    >>> import torch
    >>> layer = StochasticDepth(0.75)
    >>> bool(torch.isin(layer(torch.ones(5, 1, 1, 1)), torch.tensor([0.0, 4.0])).all())
    True
    >>> layer.eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_share("stochastic depth", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Each image whole, or zeros in its place."""
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty((len(x), *[1] * (x.ndim - 1))).bernoulli_(1 - self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """What stands in the brackets when the layer is printed."""
        return f"p={self.p}"
