"""fashion_cnn: made for small grey pictures; batch norm comes after the ReLU here, and the head is wide.

Whether a norm belongs before or after the ReLU was never settled. Before it is what Ioffe & Szegedy wrote in
2015; after it the norm, and not the ReLU, sets the mean of what is passed on. Comparing this with small_cnn
is the exercise.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import conv, dense_head, pool
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def stage(inputs: int, outputs: int, *, kernel: int, pooling: str) -> nn.Sequential:
    """Conv → ReLU → BN → pool. The pool stays last: a norm's scale may be negative, so it may turn the order
    round.
    """
    return nn.Sequential(conv(inputs, outputs, kernel), nn.ReLU(), nn.BatchNorm2d(outputs), pool(pooling))


def build(
    spec: ModelSpec, *, widths: tuple[int, ...], kernel: int, pooling: str, hidden: int, dropout: float
) -> Network:
    """A stage for each of `widths`, then dense → ReLU → dropout → dense; N×C×H×W → N×K."""
    channels = (spec.input_shape[0], *widths)
    stages = {
        f"stage{i + 1}": stage(channels[i], width, kernel=kernel, pooling=pooling)
        for i, width in enumerate(widths)
    }
    return Network(spec, stages, dense_head(hidden, spec.classes, dropout=dropout))


VARIANTS = (
    ModelSpec(
        "fashion_cnn",
        title="Fashion CNN",
        idea="norm after ReLU, and a wide hidden layer held in check by dropout",
        input_shape=(1, 28, 28),
        options={"widths": (32, 64), "kernel": 3, "pooling": "max", "hidden": 256, "dropout": 0.5},
        parameters=824_650,
        macs=4_643_840,
        receptive_field=10,
    ),
)
