"""Class activation mapping: where the maps of a layer speak for a class."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.explanation import cam
from convscope.explanation.capture import Captured, capture, find_layer
from convscope.explanation.method import Maps
from convscope.explanation.subject import Subject


def grad_cam(subject: Subject, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """Grad-CAM of N images, raw N×h×w; see `cam.grad_cam`."""
    found = _captured(subject, images, targets)
    return cam.grad_cam(found.maps.cpu().numpy(), found.gradients.cpu().numpy())


def _captured(subject: Subject, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Captured:
    network, x = subject.torch_network(), subject.inputs(images)
    layer = subject.layer or find_layer(network, x)
    return capture(network, x, torch.from_numpy(targets).to(x.device), layer=layer)
