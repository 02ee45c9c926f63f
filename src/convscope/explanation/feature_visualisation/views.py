"""What a trained network learned, as pictures and a few lines: the views, and the function that shows one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import make_folder
from convscope.core.errors import UserError, unknown_name
from convscope.core.plotting import save_figure
from convscope.core.run.progress import Progress
from convscope.explanation.explained_model import ExplainedModel, ExplainedRun, open_explained_run
from convscope.explanation.feature_visualisation.channel_plot import channel_figure, channels_figure
from convscope.explanation.feature_visualisation.channels import class_channels, find_channel, top_activations
from convscope.explanation.feature_visualisation.embedding import (
    INSTALL,
    TITLES,
    check_projection,
    embed,
    embedding_figure,
    missing_projections,
)
from convscope.explanation.feature_visualisation.feature_maps import feature_maps, maps_figure
from convscope.explanation.feature_visualisation.filters import filters_figure, first_filters
from convscope.explanation.feature_visualisation.receptive_field import field_lines, stage_fields
from convscope.explanation.feature_visualisation.receptive_field_plot import fields_figure, growth_figure
from convscope.explanation.feature_visualisation.visualiser import visualiser_of
from convscope.inference.classifier import Inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

Written: TypeAlias = tuple[list[Path], list[str]]
"""The pictures of a view, and its lines for a person."""

CLASSES = 20
"""Classes that one sheet shows; of more, the first."""
MEASURED_ON = 16
"""Images for the gradients of a receptive field: more change the field by less than a stride."""
# More points cover each other on one page; t-SNE and UMAP take 10 to 40 seconds for these.
EMBEDDED = 2000


@dataclass(frozen=True)
class View:
    """`what` was shown, the `pictures` in `folder`, and `lines` for a person."""

    what: str
    folder: Path
    pictures: tuple[Path, ...]
    lines: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        pictures = [str(picture) for picture in self.pictures]
        return {
            "what": self.what,
            "folder": str(self.folder),
            "pictures": pictures,
            "lines": list(self.lines),
        }


def show(
    run: str | Path,
    what: str,
    *,
    images: Inputs = (),
    channel: str | None = None,
    data: str | Path | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> View:
    """Draw what the network of a run learned.

    Args:
        run: a run folder or a bundle file.
        what: filters (of the first convolution), maps (the feature maps of each stage for an image), channels
            (what activates them most), receptive-field (what a position of each stage sees) or embedding
            (where images lie).
        images: for maps and receptive-field; left out, some of the validation split.
        channel: for maps, a layer to show in full; for channels, a class or LAYER:NUMBER; for embedding, pca,
            tsne or umap.
        data: other images than the run's own.
        model: for a custom model, as in `load`.
        out: a folder; `explanation/` in the run folder by default.
        progress: `progress(what, done, total)` is called as work goes on.

    Returns:
        The pictures and lines.

    Raises:
        UserError: a view, channel, layer or images that are not there, something that the view does not use,
            or an engine that does not show it.

    >>> show("artifacts/torch_small_cnn_fashion_mnist", "filters").lines  # doctest: +SKIP
    """
    if what not in VIEWS:
        raise unknown_name("view", what, VIEWS)
    named = {
        # An empty list is what the command line hands on when nothing is typed.
        "images": not (isinstance(images, list | tuple) and not images),
        "channel": channel,
        "data": data,
    }
    # An option without effect is an error: without a message it would seem to have worked.
    for name in UNUSED[what]:
        if named[name]:
            raise UserError(f"the view {what} has no use for {name}; leave that out, or choose another view")
    # After the checks: opening a run builds its network, which may take seconds.
    opened = open_explained_run(run, data=data, model=model, progress=progress)
    folder = make_folder(Path(out) if out else opened.folder / "explanation")
    pictures, lines = VIEWS[what](ViewRequest(opened, folder, images, channel, progress))
    return View(what, folder, tuple(pictures), tuple(lines))


@dataclass(frozen=True, eq=False)
class ViewRequest:
    """A run, the folder for pictures, and what a person named: `images`, and a `channel`."""

    run: ExplainedRun
    folder: Path
    images: Inputs = ()
    channel: str | None = None
    progress: Progress | None = None

    @property
    def model(self) -> ExplainedModel:
        """The network of the run."""
        return self.run.explained_model

    def prepared(self, count: int) -> tuple[str, list[str], NDArray[np.uint8]]:
        """The images that are meant: where they are from, their names, and their pixels, uint8 N×H×W×C.

        Those that a person named, else `count` of the run's own. UserError where there are none.
        """
        names, images = self.run.prepared(self.images)
        if len(images):
            return f"{len(images):,} image{'s' * (len(images) != 1)} that you named", names, images
        source, part = self.run.subsample(count)
        if not len(part):
            raise UserError(f"{source} holds no image that can be read; name some")
        return source, part.names, part.take(np.arange(len(part)))

    def save(self, figure: Figure, name: str) -> Path:
        """Write a figure into the folder as `name`.png."""
        return save_figure(figure, self.folder / f"{name}.png")


def filters(request: ViewRequest) -> Written:
    """The filters of the first convolution."""
    found = first_filters(request.model)
    return [request.save(filters_figure(found), "filters")], list(found.lines())


def maps(request: ViewRequest) -> Written:
    """The strongest feature maps of each stage for each image, or all of one layer."""
    _, names, images = request.prepared(1)
    layers = None if request.channel is None else [request.channel]
    pictures, lines = [], []
    for number, (name, image) in enumerate(zip(names, images, strict=True), start=1):
        found = feature_maps(request.model, image, layers)
        file = "maps" if len(images) == 1 else f"maps_{number}"
        pictures.append(request.save(maps_figure(image, found), file))
        lines += [f"{name}:", *(f"  {each.line()}" for each in found)]
    return pictures, lines


def channels(request: ViewRequest) -> Written:
    """What activates one channel most, or, unless one is named, each class."""
    model, classes = request.model, request.model.classes
    if request.channel is None:
        # A row a class is an inch and a quarter high.
        chosen = class_channels(classes)[:CLASSES]
    else:
        chosen = [find_channel(request.channel, model.inside(), classes)]
    source, part = request.run.opened
    found = top_activations(model, chosen, part, progress=request.progress)
    made = visualiser_of(model).maximise(
        chosen, model.preprocess, steps=None, seed=0, progress=request.progress
    )
    lines = [f"{each.channel.title}: {_highest(each.values)}" for each in found]
    lines.append(f"looked through {source}, {len(part):,} images")
    if request.channel is not None:
        # A layer has dots and colons, which some file systems refuse.
        # 60 characters of 4 bytes, channel_ and .png stay below the 255 bytes of most file systems.
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in request.channel)[:60]
        return [request.save(channel_figure(made[0], found[0], part), f"channel_{name}")], lines
    if len(classes) > CLASSES:
        lines.append(f"the first {CLASSES} of {len(classes)} classes; name another with --channel")
    return [request.save(channels_figure(made, found, part), "channels")], lines


def receptive_field(request: ViewRequest) -> Written:
    """What the middle position of each stage sees, in theory and as measured."""
    source, _, images = request.prepared(MEASURED_ON)
    # A person may name a folder of thousands.
    images = images[:MEASURED_ON]
    found = stage_fields(request.model, images, progress=request.progress)
    size = (images.shape[1], images.shape[2])
    pictures = [
        request.save(fields_figure(images[0], found), "receptive_field"),
        request.save(growth_figure(found, size), "receptive_field_growth"),
    ]
    # Which images they were matters, since the measured field depends on them.
    measured = f"measured on {source}: the patch that holds 95 % of the gradient"
    return pictures, [*field_lines(found, size), measured]


def embedding(request: ViewRequest) -> Written:
    """Where the network puts images, on a plane."""
    projection = request.channel or "pca"
    # Before the images are read, so that a missing package is reported at once.
    check_projection(projection)
    source, part = request.run.subsample(EMBEDDED)
    found = embed(request.model, part, projection, progress=request.progress)  # type: ignore[arg-type]
    wrong = int((found.predicted != found.labels).sum())
    lines = [f"{TITLES[projection]} of {source}: {wrong:,} of {len(part):,} are answered wrongly"]
    if found.fractions:
        held = " and ".join(f"{fraction:.0%}" for fraction in found.fractions)
        lines.append(f"the two axes hold {held} of the variance of {found.width:,} features ({found.layer})")
    # Whoever sees PCA alone should know that there is more.
    if missing := missing_projections():
        lines.append(f"not installed: {', '.join(missing)}; {INSTALL} brings them")
    name = "embedding" if projection == "pca" else f"embedding_{projection}"
    return [request.save(embedding_figure(found, request.model.classes), name)], lines


def _highest(values: NDArray[np.float64]) -> str:
    return f"up to {values[0]:.3g}" if len(values) else "no images"


UNUSED = {
    "filters": ("images", "channel", "data"),
    "maps": (),
    "channels": ("images",),
    "receptive-field": ("channel",),
    "embedding": ("images",),
}
"""What each view has no use for, of what a person may name."""
VIEWS: dict[str, Callable[[ViewRequest], Written]] = {
    "filters": filters,
    "maps": maps,
    "channels": channels,
    "receptive-field": receptive_field,
    "embedding": embedding,
}
