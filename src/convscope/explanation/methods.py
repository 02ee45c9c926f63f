"""All methods of explaining, entered in the order in which they are shown."""

from __future__ import annotations

from convscope.explanation import class_activation
from convscope.explanation.method import Method, enter, methods

__all__ = ["methods"]

enter(
    Method(
        "grad_cam",
        "Grad-CAM",
        "maps",
        "Selvaraju and others 2017, arXiv 1610.02391",
        class_activation.grad_cam,
        rectified=True,
    )
)
