"""The bundled Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28×28 grey, ten classes.

H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms,
2017. MIT licence, Zalando SE (fashion_mnist/LICENSE). The four official files, unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from convscope.data.sources.idx import find_idx, idx_source
from convscope.data.sources.origin import Source

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def fashion_mnist() -> Source:
    """The bundled source, with its official split; it needs no network.

    >>> fashion_mnist().split_names
    ('train', 'test')
    """
    folder = Path(__file__).parent / "fashion_mnist"
    source = idx_source(find_idx(folder), name="fashion_mnist", location=folder, classes=CLASSES)
    return replace(source, kind="bundled")
