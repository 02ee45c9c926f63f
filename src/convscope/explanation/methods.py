"""What a method of explaining is, and the list of all of them, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.registry import Registry
from convscope.explanation.attribution import cam, class_activation, gradients, integrated, occlusion, rise
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes

Compute: TypeAlias = Callable[[ExplainedModel, NDArray[np.uint8], Classes], HeatMaps]
"""From a model, N prepared images uint8 N×H×W×C and N classes to raw heat maps N×h×w, perhaps smaller than
the images."""


@dataclass(frozen=True)
class Method:
    """A way to say which pixels counted for a class.

    Attributes:
        name: what a person types.
        title: what a picture says.
        needs: what it needs of the network.
        paper: its authors, year and address.
        compute: the method itself.
        relu: what speaks against the class is cut off, as the authors do; else it stays, below zero.
        class_agnostic: the map is the same for every class.
        when_nan: why a map may be NaN, beside logits that are not finite.
    """

    name: str
    title: str
    needs: Literal["feature_maps", "gradients", "predictions"]
    paper: str
    compute: Compute
    relu: bool = False
    class_agnostic: bool = False
    when_nan: str = ""


methods: Registry[Method] = Registry("method of explaining")


def enter(method: Method) -> None:
    """Put a method on the list; ValueError for a name that is on it."""
    methods.add(method.name)(method)


# Of the feature maps of a layer: coarse, and about regions.
enter(
    Method(
        "cam",
        "CAM",
        "feature_maps",
        "Zhou and others 2016, arXiv 1512.04150",
        # No ReLU: the sum of the paper, Σ w_k f_k, keeps what speaks against the class.
        class_activation.cam,
    )
)
enter(
    Method(
        "grad_cam",
        "Grad-CAM",
        "feature_maps",
        "Selvaraju and others 2017, arXiv 1610.02391",
        class_activation.from_gradients(cam.grad_cam),
        relu=True,
    )
)
enter(
    Method(
        "grad_cam_plus_plus",
        "Grad-CAM++",
        "feature_maps",
        "Chattopadhay and others 2018, arXiv 1710.11063",
        class_activation.from_gradients(cam.grad_cam_plus_plus),
        relu=True,
    )
)
enter(
    Method(
        "layer_cam",
        "LayerCAM",
        "feature_maps",
        "Jiang and others 2021, IEEE Transactions on Image Processing 30",
        class_activation.from_gradients(cam.layer_cam),
        relu=True,
    )
)
enter(
    Method(
        "score_cam",
        "Score-CAM",
        "feature_maps",
        "Wang and others 2020, arXiv 1910.01279",
        class_activation.score_cam,
        relu=True,
    )
)
enter(
    Method(
        "eigen_cam",
        "Eigen-CAM",
        "feature_maps",
        "Muhammad and Yeasin 2020, arXiv 2008.00299",
        class_activation.eigen_cam,
        # It has no gradient in it, so nothing tells the classes apart.
        class_agnostic=True,
    )
)

# Of gradients with respect to the image: fine, and about single pixels.
enter(
    Method(
        "saliency", "Saliency", "gradients", "Simonyan and others 2013, arXiv 1312.6034", gradients.saliency
    )
)
enter(
    Method(
        "gradient_x_input",
        "Gradient × input",
        "gradients",
        "Shrikumar and others 2016, arXiv 1605.01713",
        gradients.gradient_x_input,
    )
)
enter(
    Method(
        "guided_backprop",
        "Guided backpropagation",
        "gradients",
        "Springenberg and others 2014, arXiv 1412.6806",
        gradients.guided_backprop,
    )
)
enter(
    Method(
        "smooth_grad",
        "SmoothGrad",
        "gradients",
        "Smilkov and others 2017, arXiv 1706.03825",
        gradients.smooth_grad,
    )
)
enter(
    Method(
        "integrated_gradients",
        "Integrated gradients",
        "gradients",
        "Sundararajan and others 2017, arXiv 1703.01365",
        integrated.integrated_map,
        # Its NaN means that shares do not add up, which is no fault of the network.
        when_nan=integrated.JUMPS,
    )
)
# Of predictions alone: slow, and right for any Predictor.
enter(
    Method(
        "occlusion",
        "Occlusion",
        "predictions",
        "Zeiler and Fergus 2013, arXiv 1311.2901",
        occlusion.occlusion_map,
    )
)
enter(Method("rise", "RISE", "predictions", "Petsiuk and others 2018, arXiv 1806.07421", rise.rise_map))
