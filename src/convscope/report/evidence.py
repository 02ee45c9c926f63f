"""What a report is made from: one evaluation, and the run that was evaluated, open to look into.

It is also the `Page` that a task's own sections draw with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from convscope.core.bundle import Bundle
from convscope.evaluation.evaluate import Evaluation
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel, ExplainedRun
from convscope.explanation.faithfulness.choose import choose_method, most_faithful
from convscope.explanation.methods import methods
from convscope.explanation.pictures import overlay
from convscope.inference.prediction import printable
from convscope.report.graphics import SIDE, Picture, framed, inline_svg
from convscope.tasks.section import HeatMap, HeatMaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAP_SIDE = 160
THEN = ("layer_cam", "occlusion")
"""Where the most faithful method refuses an image, these are asked; the last needs predictions alone."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """`evaluation` holds the images and the result, `run` the network and its folder."""

    evaluation: Evaluation
    run: ExplainedRun

    @property
    def bundle(self) -> Bundle:
        """The network as it is on disk."""
        return self.run.bundle

    @property
    def explained_model(self) -> ExplainedModel:
        """The network to look into."""
        return self.run.explained_model

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the page is about: `model`, `data`, `split`, and `failed`, (name, reason) of unread images."""
        evaluation = self.evaluation
        return {
            "model": self.bundle.model["name"],
            "data": evaluation.data,
            "split": evaluation.split,
            "failed": evaluation.failed,
        }

    @property
    def output_indices(self) -> NDArray[np.int64] | None:
        """The targets n, where each is the index of an output; None for targets of another kind."""
        targets = self.evaluation.images.targets
        return targets if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer) else None

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far work is, where anybody watches."""
        if self.run.progress:
            self.run.progress(what, done, total)

    def images(self, positions: NDArray[np.int64] | list[int]) -> NDArray[np.uint8]:
        """The prepared images at some positions of the evaluated split, uint8 n×H×W×C."""
        return self.evaluation.images.take(np.asarray(positions, np.int64))

    def name(self, position: int) -> str:
        """What a person calls an image, as a terminal can show it."""
        return printable(self.evaluation.images.names[position])

    def figure(self, name: str, alt: str, draw: Callable[[], Figure]) -> Markup:
        """A figure for a template; see `inline_svg`."""
        return inline_svg(name, alt, draw)

    def thumbnail(self, position: int, text: str = "", *, side: int | None = None) -> Picture:
        """The image at a position of the evaluated split, with a text below it."""
        return framed(self.images([position])[0], self.name(position), text=text, side=side or SIDE)

    def heat_maps(self, positions: NDArray[np.int64], *targets: NDArray[np.int64]) -> HeatMaps:
        """What the network saw in images, by the most faithful of the methods that mark regions.

        Args:
            positions: of n images in the evaluated split.
            targets: arrays n, each of output indices: whose map an image is to have.
        """
        # Once for all targets: the choice of a method and its maps are of the same pixels.
        images = self.images(positions)
        choice = choose_method(self.run, images)
        # Gradients of single pixels are dust at the size of a thumbnail; regions can be seen.
        regions = {name: score for name, score in choice.scores.items() if methods[name].needs != "gradients"}
        best = most_faithful(regions) if regions else choice.method
        order = tuple(dict.fromkeys((best, *THEN)))
        rows = (tuple(self._heat_maps(images, positions, outputs, order)) for outputs in targets)
        return HeatMaps(methods[best].title, choice.line(), tuple(rows))

    def _heat_maps(
        self,
        images: NDArray[np.uint8],
        positions: NDArray[np.int64],
        targets: NDArray[np.int64],
        order: tuple[str, ...],
    ) -> list[HeatMap]:
        """For each image the map of the first method that shows something, or why none does."""
        maps = [HeatMap("")] * len(images)
        left = np.arange(len(images))
        for name in order:
            if not len(left):
                break
            explained = explain_images(
                self.explained_model, images[left], methods[name], targets=targets[left]
            )
            for place, one, refused in zip(
                left.tolist(), explained.heat_maps, explained.refused, strict=True
            ):
                title = methods[name].title
                if refused:
                    maps[place] = HeatMap(title, reason=refused)
                    continue
                image, output = self.name(int(positions[place])), self.bundle.classes[targets[place]]
                drawn = overlay(images[place], one, signed=bool((one < 0).any()))
                alt = f"{title}: where {image} speaks for {output}"
                maps[place] = HeatMap(title, framed(drawn, image, alt=alt, side=MAP_SIDE))
            # Those that were refused go on to the next method.
            left = left[[reason is not None for reason in explained.refused]]
        return maps
