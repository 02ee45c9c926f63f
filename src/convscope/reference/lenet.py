"""LeNet-5 in NumPy alone: the network that read the digits of bank cheques.

Six filters find strokes, pooling forgets their exact positions, sixteen filters find arrangements of strokes,
and three dense layers read them: 61,706 weights. Four things differ from the paper, as is usual today: ReLU
in place of tanh, max pooling in place of averages with weights, logits in place of distances to drawn digits,
and each map of the second convolution sees all six of the first.

Source: LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86, section II.B.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from convscope.reference.network.layers import Flatten, MaxPool2d, ReLU
from convscope.reference.network.net import Net
from convscope.reference.network.weighted_layers import Conv2d, Linear


def lenet5(*, channels: int = 1, classes: int = 10, seed: int = 0, dtype: DTypeLike = np.float32) -> Net:
    """Build LeNet-5 for images of 28×28 pixels, N×C×28×28 → N×K.

    Args:
        channels: C, 1 for grey images, 3 for colours.
        classes: K, at least 1.
        seed: of the weights at the start.
        dtype: float32 or float64.

    Returns:
        The network with random weights, ready for `fit`.

    >>> net = lenet5()
    >>> sum(w.size for w in net.weights.values()), net.predict(np.zeros((2, 1, 28, 28))).shape
    (61706, (2, 10))
    """
    return Net(
        [
            # The paper puts its 28×28 digits in the middle of a 32×32 field: a padding of 2.
            Conv2d(channels, 6, 5, padding=2),  # C1: 6×28×28
            # Pooling before ReLU: max(relu(x)) = relu(max(x)) exactly, and ReLU sees a quarter of the
            # numbers.
            MaxPool2d(2),  # S2: 6×14×14
            ReLU(),
            Conv2d(6, 16, 5),  # C3: 16×10×10
            MaxPool2d(2),  # S4: 16×5×5
            ReLU(),
            Flatten(),
            Linear(16 * 5 * 5, 120),  # C5
            ReLU(),
            Linear(120, 84),  # F6
            ReLU(),
            Linear(84, classes),
        ],
        seed=seed,
        dtype=dtype,
    )
