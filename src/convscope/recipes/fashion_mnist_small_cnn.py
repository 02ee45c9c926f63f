"""small_cnn on the bundled Fashion-MNIST: what `convscope train` does with nothing else said.

command   convscope train --recipe fashion_mnist_small_cnn
minutes   1.3 to 1.4 of training
hardware  Intel Xeon with AMX, 2 cores, bfloat16
score     93.02 % ± 0.33 % test accuracy (n = 3), benchmarks/results/accuracy_fashion_mnist.json
"""

from __future__ import annotations

from convscope.core.config import RunConfig

# The defaults alone, so that the score also holds for a bare `convscope train`.
CONFIG = RunConfig()
