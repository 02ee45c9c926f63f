"""small_cnn on CIFAR-10 in 10 epochs with the basic policy.

command   convscope train --recipe cifar10_small_cnn
minutes   1.2 of training, 2.3 beside other work
hardware  Intel Xeon with AMX, 2 cores, bfloat16
score     78.03 % ± 0.42 % test accuracy (n = 3), benchmarks/results/accuracy_cifar10.json
"""

from __future__ import annotations

from convscope.core.config import RunConfig

CONFIG = RunConfig.from_dict(
    {
        "data": {"source": "cifar10"},
        "model": {"name": "small_cnn"},
        "train": {"epochs": 10},
        "augment": {"policy": "basic"},
    }
)
