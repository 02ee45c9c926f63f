"""Five small networks to write oneself, each one step from another, so that what the step does can be seen.

* `simple_cnn`: convolution, ReLU and pooling, twice, and one linear layer. The first network to write.
* `small_cnn`: with batch norm (Ioffe & Szegedy 2015) and one hidden layer with dropout (Srivastava et al.
  2014), the least network that deserves the name on CIFAR-10. Batch norm lets small steps take it far: 250 of
  them on CIFAR-10 at a rate of 0.003 give 54.5 %, and 42.4 without, where the rate has to be ten times as
  high for as much (SGD with momentum, three seeds).
* `deeper_cnn`: more and wider stages, and no hidden layer: the mean of each map (Lin, Chen & Yan, Network in
  Network, 2013) takes images of any size and leaves the head 2,570 weights where a flattened one would have
  40,970.
* `fashion_cnn`: for small grey images, with the norm behind the ReLU. Whether it belongs there was never
  settled. Before the ReLU is what Ioffe & Szegedy wrote; after it the norm, and not the ReLU, sets the mean
  of what is passed on. Comparing this with small_cnn is the exercise.
* `lab_cnn` and `lab_cnn_bn`: a pair that differs in batch norm alone: 250 steps on CIFAR-10 at a rate of
  0.003 give 52 % with it and 35 without, at 0.01 56 and 46, at 0.03 49 and 52 (SGD with momentum, three
  seeds). 91 % of the weights sit in the hidden layer (2,048 × 512).
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import conv, conv_relu, pool, pooled_stages
from convscope.models.pytorch.heads import average_head, dense_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def simple_cnn(
    spec: ModelSpec, *, widths: tuple[int, ...], kernel: tuple[int, ...], depth: int, pooling: str
) -> Network:
    """`depth` × (Conv → ReLU) → pool for each of `widths`, then one linear layer; N×C×H×W → N×K."""
    stages = pooled_stages(spec.input_shape[0], widths, kernel, norm=False, pooling=pooling, depth=depth)
    return Network(
        spec, stages, lambda c, h, w: nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, spec.classes))
    )


def small_cnn(
    spec: ModelSpec,
    *,
    widths: tuple[int, ...],
    kernel: tuple[int, ...],
    depth: int,
    pooling: str,
    hidden: int,
    dropout: float,
) -> Network:
    """`depth` × (Conv → BN → ReLU) → pool for each of `widths`, then a dense head; N×C×H×W → N×K."""
    stages = pooled_stages(spec.input_shape[0], widths, kernel, pooling=pooling, depth=depth)
    return Network(spec, stages, dense_head(hidden, spec.classes, dropout=dropout))


def deeper_cnn(
    spec: ModelSpec, *, stem: int, widths: tuple[int, ...], kernel: tuple[int, ...], depth: int, pooling: str
) -> Network:
    """A stem at full size, the stages of small_cnn, the mean of each map, one linear layer; N×C×H×W → N×K."""
    # At full size, so that the first kernels see every pixel before anything is pooled.
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_relu(spec.input_shape[0], stem, kernel[0]))}
    stages |= pooled_stages(stem, widths, kernel, pooling=pooling, depth=depth)
    return Network(spec, stages, average_head(spec.classes))


def norm_after_relu(inputs: int, outputs: int, *, kernel: int, pooling: str) -> nn.Sequential:
    """Conv → ReLU → BN → pool; N×inputs×H×W → N×outputs×⌊H/2⌋×⌊W/2⌋."""
    # The pool stays last: a norm's scale may be negative, so the norm may turn the order of values round.
    return nn.Sequential(conv(inputs, outputs, kernel), nn.ReLU(), nn.BatchNorm2d(outputs), pool(pooling))


def fashion_cnn(
    spec: ModelSpec, *, widths: tuple[int, ...], kernel: int, pooling: str, hidden: int, dropout: float
) -> Network:
    """A stage with the norm behind the ReLU for each of `widths`, then a dense head; N×C×H×W → N×K."""
    channels = (spec.input_shape[0], *widths)
    stages = {
        f"stage{i + 1}": norm_after_relu(channels[i], width, kernel=kernel, pooling=pooling)
        for i, width in enumerate(widths)
    }
    return Network(spec, stages, dense_head(hidden, spec.classes, dropout=dropout))


def lab_cnn(
    spec: ModelSpec,
    *,
    widths: tuple[int, ...],
    kernel: tuple[int, ...],
    pooling: str,
    hidden: int,
    dropout: float,
) -> Network:
    """Conv (→ BN, in lab_cnn_bn) → ReLU → pool for each of `widths`, then a dense head; N×C×H×W → N×K."""
    # Not an option: the name says which one of the pair a run was, and nothing else may differ.
    norm = spec.name == "lab_cnn_bn"
    stages = pooled_stages(spec.input_shape[0], widths, kernel, norm=norm, pooling=pooling)
    return Network(spec, stages, dense_head(hidden, spec.classes, dropout=dropout))
