"""deeper_cnn: more and wider stages, and no hidden layer: the maps are averaged and read by one linear layer.

Global average pooling (Lin, Chen & Yan, Network in Network, 2013) lets the network take images of any size,
and leaves the head 2,570 weights where a flattened one would have 40,970.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import average_head, conv_relu, pooled_stages
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def build(
    spec: ModelSpec, *, stem: int, widths: tuple[int, ...], kernel: tuple[int, ...], depth: int, pooling: str
) -> Network:
    """A stem at full size, `depth` × (Conv → BN → ReLU) → pool for each of `widths`, average, linear; N×C×H×W
    → N×K.
    """
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_relu(spec.input_shape[0], stem, kernel[0]))}
    stages |= pooled_stages(stem, widths, kernel, pooling=pooling, depth=depth)
    return Network(spec, stages, average_head(spec.classes))


VARIANTS = (
    ModelSpec(
        "deeper_cnn",
        title="Deeper CNN",
        idea="a stem and three stages that double their width as the image halves, then a global average",
        input_shape=(3, 32, 32),
        options={"stem": 64, "widths": (64, 128, 256), "kernel": (3,), "depth": 1, "pooling": "max"},
        parameters=410_826,
        macs=77_269_504,
        receptive_field=24,
    ),
)
