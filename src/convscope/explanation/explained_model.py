"""What is explained: a network with all that its images need, and a run that holds one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.probe import Probe, find_layer, probe_of
from convscope.inference.classifier import check_finite
from convscope.inference.opened_run import OpenedRun, open_run

if TYPE_CHECKING:
    from torch import nn

    from convscope.inference.classifier import Classifier

HeatMaps: TypeAlias = NDArray[np.floating[Any]]
"""N×H×W, or N×h×w before they are enlarged to the image: larger where more speaks for the class."""


@dataclass(frozen=True, eq=False)
class ExplainedModel:
    """A Predictor, its preprocessing and, where its engine has one, the Probe that looks inside.

    Without a `probe`, such as behind HTTP, the methods that need only predictions are left: occlusion and
    RISE. `layer`: the name of the layer for class activation; None finds one.

    >>> class Grey:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-9 * light, 9 * light], axis=1)
    >>> model = ExplainedModel(Grey(), Preprocess(1, 8, 8, mean=(0.5,), std=(0.5,)))
    >>> model.classes, model.inputs(np.zeros((2, 8, 8, 1), np.uint8))[0, 0, 0, 0]
    (('dark', 'light'), np.float32(-1.0))
    """

    predictor: Predictor
    preprocess: Preprocess
    probe: Probe | None = None
    layer: str | None = None

    @classmethod
    def of(cls, model: Classifier | Predictor, *, layer: str | None = None) -> ExplainedModel:
        """The ExplainedModel of a Classifier, as `load` gives it, or of a Predictor with a `preprocess`.

        UserError for a Predictor that has none.
        """
        # A Classifier carries a predictor; a Predictor is one itself.
        predictor = getattr(model, "predictor", model)
        preprocess = getattr(model, "preprocess", None)
        if preprocess is None:
            raise UserError(
                f"a {type(model).__name__} does not say how it prepares images; give a Classifier"
            )
        return cls(predictor, preprocess, probe_of(predictor), layer)

    @property
    def classes(self) -> tuple[str, ...]:
        """The K names of the classes."""
        return self.predictor.classes

    def inside(self) -> Probe:
        """The probe; UserError where there is none."""
        if self.probe is None:
            raise UserError(
                "only the predictions of this network are at hand; use occlusion or rise, which need no more"
            )
        return self.probe

    @cached_property
    def shown_layer(self) -> str:
        """The layer for class activation: the one that was named, else the one that `find_layer` finds."""
        # Finding it takes a pass through the network, so the property is cached.
        return self.layer if self.layer is not None else find_layer(self.inside(), self.blank_input)

    @property
    def blank_input(self) -> NDArray[np.float32]:
        """One black image as the network takes it, 1×C×H×W."""
        return self.inputs(np.zeros((1, *self.preprocess.shape), np.uint8))

    def inputs(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepared images, uint8 N×H×W×C, as a network takes them: normalised, N×C×H×W."""
        # The one preprocessing: an engine that normalised by itself might round, or differ.
        return self.preprocess.normalise(images)


@dataclass(frozen=True, eq=False)
class ExplainedRun(OpenedRun):
    """An opened run whose network is explained."""

    # Keyword-only, because a run hands its other fields on by position.
    layer: str | None = field(default=None, kw_only=True)

    @cached_property
    def explained_model(self) -> ExplainedModel:
        """The network of the run."""
        return ExplainedModel.of(self.predictor, layer=self.layer)

    @classmethod
    def of(cls, run: OpenedRun, *, layer: str | None = None) -> ExplainedRun:
        """The same run, opened once, with `layer` for class activation."""
        # Handed on and not opened again: neither the bundle is read nor the network built twice.
        return cls(run.bundle, run.folder, run.predictor, run.data, run.progress, layer=layer)


def open_explained_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    layer: str | None = None,
    progress: Progress | None = None,
) -> ExplainedRun:
    """Open a run folder or a bundle; the arguments and errors are those of `open_run`.

    `layer`: the layer for class activation. `progress(what, done, total)` is called as images are decoded.
    Raises Failure for a network that predicts NaN or infinity: there is nothing in it to look at.
    """
    opened = open_run(run, data=data, model=model, progress=progress)
    # One grey image costs one pass; NaN in the weights reaches the logits of nearly any image.
    check_finite(opened.predictor.predict(np.full((1, *opened.predictor.preprocess.shape), 128, np.uint8)))
    return ExplainedRun.of(opened, layer=layer)
