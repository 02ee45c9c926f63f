"""simple_cnn: convolution, ReLU and pooling, twice, and one linear layer. The first network to write
oneself.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import pooled_stages
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def build(
    spec: ModelSpec, *, widths: tuple[int, ...], kernel: tuple[int, ...], depth: int, pooling: str
) -> Network:
    """`depth` × (Conv → ReLU) → pool for each of `widths`, then one linear layer; N×C×H×W → N×K."""
    stages = pooled_stages(spec.input_shape[0], widths, kernel, norm=False, pooling=pooling, depth=depth)
    return Network(
        spec, stages, lambda c, h, w: nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, spec.classes))
    )


VARIANTS = (
    ModelSpec(
        "simple_cnn",
        title="Simple CNN",
        idea="the bare pattern: convolve, keep what is positive, halve, and read the answer off the maps",
        input_shape=(1, 28, 28),
        options={"widths": (16, 32), "kernel": (5,), "depth": 1, "pooling": "max"},
        parameters=28_938,
        macs=2_838_080,
        receptive_field=16,
    ),
)
