"""small_cnn on the bundled Fashion-MNIST: what `convscope train` does with nothing else said.

command   convscope train --recipe fashion_mnist_small_cnn
"""

from __future__ import annotations

from convscope.core.config import RunConfig

CONFIG = RunConfig()
