"""small_cnn on CIFAR-10 in 10 epochs with the basic policy.

command   convscope train --recipe cifar10_small_cnn
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
