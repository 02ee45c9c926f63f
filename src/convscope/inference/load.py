"""From a run folder or a bundle to a network that answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from convscope.core.bundle import Bundle
from convscope.data.preparing.preprocess import Preprocess
from convscope.inference.classifier import Classifier

if TYPE_CHECKING:
    from torch import nn


def load(
    run: str | Path, model: str | nn.Module | type[nn.Module] | None = None, *, device: str = "auto"
) -> Classifier:
    """The trained network of a run, ready to answer for paths, PIL images and arrays.

    `run`: a run folder or a bundle file. `model`: needed for a network of one's own alone: its class, a
    module or "my_net.py:Net". `device`: auto, cpu, cuda or mps.

    Raises UserError when there is no bundle, it is damaged, of a newer format, or does not fit `model`.

    >>> net = load("artifacts/torch_small_cnn_fashion_mnist")  # doctest: +SKIP
    >>> net.classify("shirt.png")[0].label  # doctest: +SKIP
    'Shirt'
    """
    return classifier_of(Bundle.load(run), model, device=device)


def classifier_of(
    bundle: Bundle, model: str | nn.Module | type[nn.Module] | None = None, *, device: str = "auto"
) -> Classifier:
    """The same from a bundle in memory."""
    from convscope.models.pytorch.build import rebuild
    from convscope.models.pytorch.device import choose_device
    from convscope.models.pytorch.predictor import TorchPredictor

    preprocess = Preprocess.from_dict(bundle.preprocess)
    network = rebuild(bundle, model)
    predictor = TorchPredictor(network, preprocess, bundle.classes, choose_device(device).device)
    return Classifier(predictor, preprocess, bundle.decision)
