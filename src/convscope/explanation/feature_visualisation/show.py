"""The verb: what a trained network learned, as pictures and a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.atomic import make_folder
from convscope.core.contracts import Tell
from convscope.core.errors import UserError, unknown_name
from convscope.explanation.explained_run import open_explained_run
from convscope.explanation.feature_visualisation.views import IDLE, VIEWS, Asked
from convscope.inference.classifier import Inputs

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Shown:
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
    unit: str | None = None,
    data: str | Path | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    tell: Tell | None = None,
) -> Shown:
    """Draw what the network of `run` learned into `out`, else into `explanation/` in the run folder.

    `what`: filters (of the first convolution), maps (of each stage, for an image), units (what excites them
    most), field (what a place of each stage sees) or embedding (where images lie). `images`: those to look at
    in maps and field; left out, some of the validation split. `unit`: of maps, a layer to show in full; of
    units, a class or LAYER:NUMBER; of embedding, pca, tsne or umap. `data`: other images than the run's own.
    `model`: for a network of one's own, as in `load`. `tell(what, done, total)` is called as work goes on.

    Raises UserError for a view, a unit, a layer or images that are not there, and for words that a view has
    no use for.

    >>> show("artifacts/torch_small_cnn_fashion_mnist", "filters").lines  # doctest: +SKIP
    """
    if what not in VIEWS:
        raise unknown_name("view", what, VIEWS)
    given = {"images": not (isinstance(images, list | tuple) and not images), "unit": unit, "data": data}
    for word in IDLE[what]:
        if given[word]:
            raise UserError(f"the view {what} has no use for {word}; leave that out, or choose another view")
    opened = open_explained_run(run, data=data, model=model, tell=tell)
    folder = make_folder(Path(out) if out else opened.folder / "explanation")
    pictures, lines = VIEWS[what](Asked(opened, folder, images, unit))
    return Shown(what, folder, tuple(pictures), tuple(lines))
