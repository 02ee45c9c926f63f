"""All methods of explaining, entered in the order in which they are shown."""

from __future__ import annotations

from convscope.explanation.attribution import cam, occlusion, rise
from convscope.explanation.method import Method, enter, methods
from convscope.explanation.pytorch import class_activation, gradients, guided, integrated, smooth

__all__ = ["methods"]

enter(
    Method(
        "cam",
        "CAM",
        "maps",
        "Zhou and others 2016, arXiv 1512.04150",
        class_activation.cam,
    )
)
enter(
    Method(
        "grad_cam",
        "Grad-CAM",
        "maps",
        "Selvaraju and others 2017, arXiv 1610.02391",
        class_activation.from_gradients(cam.grad_cam),
        relu=True,
    )
)
enter(
    Method(
        "grad_cam_plus_plus",
        "Grad-CAM++",
        "maps",
        "Chattopadhay and others 2018, arXiv 1710.11063",
        class_activation.from_gradients(cam.grad_cam_plus_plus),
        relu=True,
    )
)
enter(
    Method(
        "layer_cam",
        "LayerCAM",
        "maps",
        "Jiang and others 2021, IEEE Transactions on Image Processing 30",
        class_activation.from_gradients(cam.layer_cam),
        relu=True,
    )
)
enter(
    Method(
        "score_cam",
        "Score-CAM",
        "maps",
        "Wang and others 2020, arXiv 1910.01279",
        class_activation.score_cam,
        relu=True,
    )
)
enter(
    Method(
        "eigen_cam",
        "Eigen-CAM",
        "maps",
        "Muhammad and Yeasin 2020, arXiv 2008.00299",
        class_activation.eigen_cam,
        class_agnostic=True,
    )
)

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
        guided.guided_backprop,
    )
)
enter(
    Method(
        "smooth_grad",
        "SmoothGrad",
        "gradients",
        "Smilkov and others 2017, arXiv 1706.03825",
        smooth.smooth_grad,
    )
)
enter(
    Method(
        "integrated_gradients",
        "Integrated gradients",
        "gradients",
        "Sundararajan and others 2017, arXiv 1703.01365",
        integrated.integrated_map,
        when_nan=integrated.JUMPS,
    )
)
enter(
    Method(
        "occlusion",
        "Occlusion",
        "answers",
        "Zeiler and Fergus 2013, arXiv 1311.2901",
        occlusion.occlusion_map,
    )
)
enter(Method("rise", "RISE", "answers", "Petsiuk and others 2018, arXiv 1806.07421", rise.rise_map))
