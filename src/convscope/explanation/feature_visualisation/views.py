"""The views of a run, each from what was asked to the pictures it wrote and the lines that go with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.explanation.explained_run import ExplainedRun
from convscope.explanation.feature_visualisation.activation_maximisation import maximise
from convscope.explanation.feature_visualisation.channel import class_units, find_unit
from convscope.explanation.feature_visualisation.channel_plot import unit_figure, units_figure
from convscope.explanation.feature_visualisation.embedding import (
    INSTALL,
    check_projection,
    embed,
    missing_projections,
)
from convscope.explanation.feature_visualisation.embedding_plot import TITLES, embedding_figure
from convscope.explanation.feature_visualisation.feature_maps import feature_maps, maps_figure
from convscope.explanation.feature_visualisation.filters import filters_figure, first_filters
from convscope.explanation.feature_visualisation.receptive_field import field_lines, stage_fields
from convscope.explanation.feature_visualisation.receptive_field_plot import fields_figure, growth_figure
from convscope.explanation.feature_visualisation.top_activations import most_exciting
from convscope.inference.classifier import Inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Written: TypeAlias = tuple[list[Path], list[str]]

CLASSES = 20
"""Classes that one sheet shows; of more, the first."""
MEASURED_ON = 16
"""Images for the gradients of a receptive field: more change the field by less than a stride."""
EMBEDDED = 2000


@dataclass(frozen=True, eq=False)
class Asked:
    """A run, where pictures go, and what a person named: `images`, and a `unit`."""

    run: ExplainedRun
    folder: Path
    images: Inputs = ()
    unit: str | None = None

    def pictures(self, count: int) -> tuple[str, list[str], NDArray[np.uint8]]:
        """The images that are meant, in words, by name and as pixels: those named, else `count` of the run's
        own.
        """
        names, images = self.run.prepared(self.images)
        if len(images):
            return f"{len(images):,} image{'s' * (len(images) != 1)} that you named", names, images
        words, part = self.run.subsample(count)
        if not len(part):
            raise UserError(f"{words} holds no image that can be read; name some")
        return words, part.names, part.take(np.arange(len(part)))

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure into the folder."""
        return save_figure(figure, self.folder / f"{name}.png")


def filters(asked: Asked) -> Written:
    """The filters of the first convolution."""
    found = first_filters(asked.run.network, asked.run.dummy_input)
    return [asked.save(filters_figure(found), "filters")], list(found.lines())


def maps(asked: Asked) -> Written:
    """The strongest maps of each stage for each image, or all maps of one layer."""
    _, names, images = asked.pictures(1)
    layers = None if asked.unit is None else [asked.unit]
    pictures, lines = [], []
    for number, (name, image) in enumerate(zip(names, images, strict=True), start=1):
        found = feature_maps(asked.run.network, asked.run.explained_model.inputs(image[None]), layers)
        pictures.append(
            asked.save(maps_figure(image, found), "maps" if len(images) == 1 else f"maps_{number}")
        )
        lines += [f"{name}:", *(f"  {each.line()}" for each in found)]
    return pictures, lines


def units(asked: Asked) -> Written:
    """What excites one unit most, or, unless one is named, each class."""
    run = asked.run
    chosen = class_units(run.explained_model.classes)[:CLASSES]
    if asked.unit is not None:
        chosen = [find_unit(asked.unit, run.network, run.explained_model.classes)]
    words, part = run.opened
    found = most_exciting(run.explained_model, chosen, part, tell=run.telling("look"))
    made = maximise(run.explained_model, chosen, tell=run.telling("climb"))
    lines = [f"{each.unit.title}: {_highest(each.values)}" for each in found]
    lines.append(f"looked through {words}, {len(part):,} images")
    if asked.unit is None:
        if len(run.explained_model.classes) > CLASSES:
            lines.append(
                f"the first {CLASSES} of {len(run.explained_model.classes)} classes; name another with --unit"
            )
        return [asked.save(units_figure(made, found, part), "units")], lines
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in asked.unit)[:60]
    return [asked.save(unit_figure(made[0], found[0], part), f"unit_{name}")], lines


def field(asked: Asked) -> Written:
    """What the middle place of each stage sees, in theory and as measured."""
    words, _, images = asked.pictures(MEASURED_ON)
    images = images[:MEASURED_ON]
    found = stage_fields(
        asked.run.network, asked.run.explained_model.inputs(images), tell=asked.run.telling("measure")
    )
    size = (images.shape[1], images.shape[2])
    pictures = [
        asked.save(fields_figure(images[0], found), "field"),
        asked.save(growth_figure(found, size), "field_growth"),
    ]
    return pictures, [
        *field_lines(found, size),
        f"measured on {words}: the patch that holds 95 % of the gradient",
    ]


def embedding(asked: Asked) -> Written:
    """Where the network puts images, on a plane."""
    projection = asked.unit or "pca"
    check_projection(projection)
    words, part = asked.run.subsample(EMBEDDED)
    found = embed(asked.run.explained_model, part, projection, tell=asked.run.tell)  # type: ignore[arg-type]
    wrong = int((found.predicted != found.labels).sum())
    lines = [f"{TITLES[projection]} of {words}: {wrong:,} of {len(part):,} are answered wrongly"]
    if found.shares:
        held = " and ".join(f"{share:.0%}" for share in found.shares)
        lines.append(f"the two axes hold {held} of the variance of {found.width:,} features ({found.layer})")
    if missing := missing_projections():
        lines.append(f"not installed: {', '.join(missing)}; {INSTALL} brings them")
    name = "embedding" if projection == "pca" else f"embedding_{projection}"
    return [asked.save(embedding_figure(found, asked.run.explained_model.classes), name)], lines


def _highest(values: NDArray[np.float64]) -> str:
    return f"up to {values[0]:.3g}" if len(values) else "no images"


IDLE = {
    "filters": ("images", "unit", "data"),
    "maps": (),
    "units": ("images",),
    "field": ("unit",),
    "embedding": ("images",),
}
"""What each view has no use for, of what a person may name."""
VIEWS: dict[str, Callable[[Asked], Written]] = {
    "filters": filters,
    "maps": maps,
    "units": units,
    "field": field,
    "embedding": embedding,
}
